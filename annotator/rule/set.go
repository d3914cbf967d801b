package rule

import (
	"fmt"
	"net/netip"
	"slices"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// What verdicts score because a rule says so.
const (
	NormalScore = 0.49 // below suspicious
	BadScore    = 0.9  // above anomalous
)

// Set are rules in force. It never changes, and is safe for concurrent use. A nil
// Set has no rules.
type Set struct {
	rules []said // the newest first
	bad   bool   // some say so
}

// said is a rule with what it says in words.
type said struct {
	Rule
	words string
}

// NewSet returns the rules as a set. They are checked, and their IDs must be
// different.
func NewSet(rules []Rule) (*Set, error) {
	if len(rules) > MaxRules {
		return nil, fmt.Errorf("%d rules, more than %d", len(rules), MaxRules)
	}
	s := &Set{}
	for _, r := range rules {
		if err := r.Check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", r.ID, err)
		}
		if r.ID == 0 || slices.ContainsFunc(s.rules, func(other said) bool { return other.ID == r.ID }) {
			return nil, fmt.Errorf("rule %d: its number is not its own", r.ID)
		}
		words := "suppressed by " + r.signed()
		if r.Says == Bad {
			s.bad = true
			words = "bad by " + r.signed()
			if r.Why != "" {
				words += ": " + r.Why
			}
		}
		s.rules = append(s.rules, said{r, words})
	}
	slices.SortFunc(s.rules, func(a, b said) int { return int(int64(b.ID) - int64(a.ID)) })
	return s, nil
}

// Len is how many rules there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// Apply changes the verdict on a packet if a rule is about it, and tells whether
// it did. The newest one counts: if it says normal of something that is not
// ordinary, the score is NormalScore, and what was found stands in the reason; if
// it says bad of something that is not anomalous, the score is BadScore. Other
// verdicts stay as they are.
func (s *Set) Apply(v *verdict.Verdict, o *flow.Observation) bool {
	if s == nil || v.Type == "" && !s.bad {
		return false
	}
	for i := range s.rules {
		if r := &s.rules[i]; r.covers(v.Type, o) {
			return r.apply(v)
		}
	}
	return false
}

func (r *said) apply(v *verdict.Verdict) bool {
	switch {
	case r.Says == Normal && v.Type != "":
		v.Reason = r.words + ": " + v.Type.Words() + ", " + v.Reason
		v.Score, v.Level, v.Type = NormalScore, verdict.Normal, ""
	case r.Says == Bad && v.Level != verdict.Anomalous:
		if v.Type == "" {
			v.Type, v.Reason = verdict.Outlier, r.words
		} else {
			v.Reason = r.words + "; " + v.Reason
		}
		v.Score, v.Level = BadScore, verdict.Anomalous
	default:
		return false
	}
	v.Rule = r.ID
	return true
}

// covers tells that a packet whose verdict has a type is in the scope.
func (s *Scope) covers(kind verdict.Type, o *flow.Observation) bool {
	if s.Type != "" && s.Type != kind || s.Service != (detect.Service{}) && s.Service != serviceOf(o) {
		return false
	}
	if len(s.Hosts) == 0 {
		return true
	}
	src, dst, ok := hostsOf(o.Packet)
	if !ok {
		return false
	}
	a, b := s.Hosts[0], s.Hosts[len(s.Hosts)-1]
	if len(s.Hosts) == 1 {
		return a.Contains(src) || a.Contains(dst)
	}
	return a.Contains(src) && b.Contains(dst) || a.Contains(dst) && b.Contains(src)
}

// ScopeOf returns all that a rule about a packet can name: the hosts that it is
// about, the service that is called, and the type of its verdict without a rule.
// It covers the packet, as does each part of it.
func ScopeOf(kind verdict.Type, o *flow.Observation) Scope {
	s := Scope{Service: serviceOf(o), Type: kind}
	if src, dst, ok := hostsOf(o.Packet); ok {
		s.Hosts = append(s.Hosts, netip.PrefixFrom(src, src.BitLen()))
		if dst != src {
			s.Hosts = append(s.Hosts, netip.PrefixFrom(dst, dst.BitLen()))
		}
	}
	return s
}

// serviceOf returns what the client of a packet's conversation calls.
func serviceOf(o *flow.Observation) detect.Service {
	switch o.Packet.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP:
		if o.Packet.Version != 0 {
			_, port := o.Server()
			return detect.Service{Proto: o.Packet.Proto, Port: port}
		}
	}
	return detect.Service{}
}

// hostsOf returns the two hosts that a packet is about.
func hostsOf(p *packet.Packet) (src, dst netip.Addr, ok bool) {
	switch {
	case p.Version != 0:
		return p.Src.Netip(), p.Dst.Netip(), true
	case p.ARPOp != 0:
		return p.ARPSender.Netip(), p.ARPTarget.Netip(), true
	}
	return src, dst, false
}
