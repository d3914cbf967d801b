// Package rule holds what people said of verdicts on their network: this is
// normal here, this is bad. A [Set] of rules is given to an engine, whose verdicts
// depend on it as they do on the models: it never changes, and looks at nothing
// but the packet and its verdict.
package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// Opinion is what somebody says of packets.
type Opinion string

// The opinions.
const (
	Normal Opinion = "normal"
	Bad    Opinion = "bad"
)

// Limits of what people may say.
const (
	MaxRules = 1000
	maxWho   = 100 // bytes
	maxWhy   = 500
)

// Rule says that what is in its scope is normal, or bad.
type Rule struct {
	ID   uint32 // from 1; never given twice
	Says Opinion
	Scope
	Who  string    // said so; may be empty
	When time.Time // to the second; may be zero
	Why  string    // may be empty
}

// Scope is what a rule is about: packets of which everything that is set is true.
// At least one of them is.
type Scope struct {
	// Hosts are one or two addresses or networks. With one, it is the sender or
	// the receiver; with two, one of them is in the first and the other in the
	// second. Of ARP they are those that it speaks of.
	Hosts []netip.Prefix
	// Service is what is called in the conversation of the packet.
	Service detect.Service
	// Type is what the verdict says without the rule.
	Type verdict.Type
}

// String says what the scope is, as in "10.0.0.66 and 10.0.0.5, tcp/22, port scan".
func (s *Scope) String() string {
	var parts []string
	if hosts := s.HostNames(); len(hosts) > 0 {
		parts = append(parts, strings.Join(hosts, " and "))
	}
	if s.Service != (detect.Service{}) {
		parts = append(parts, s.Service.String())
	}
	if s.Type != "" {
		parts = append(parts, s.Type.Words())
	}
	return strings.Join(parts, ", ")
}

// HostNames returns the hosts as people write them: without the length of the
// prefix where it is the whole address.
func (s *Scope) HostNames() []string {
	var names []string
	for _, p := range s.Hosts {
		if p.IsSingleIP() {
			names = append(names, p.Addr().String())
		} else {
			names = append(names, p.String())
		}
	}
	return names
}

// ParseHosts reads one or two addresses or networks.
func ParseHosts(names []string) ([]netip.Prefix, error) {
	var hosts []netip.Prefix
	for _, name := range names {
		name = strings.TrimSpace(name)
		p, err := netip.ParsePrefix(name)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(name); err == nil {
				p, err = a.Unmap().WithZone("").Prefix(a.Unmap().BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%q is no address and no network", name)
		}
		hosts = append(hosts, p.Masked())
	}
	return hosts, nil
}

// ParseService reads a service as in "tcp/22".
func ParseService(name string) (detect.Service, error) {
	for proto, text := range map[uint8]string{packet.ProtoTCP: "tcp/", packet.ProtoUDP: "udp/", packet.ProtoSCTP: "sctp/"} {
		digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), text)
		if port, err := strconv.ParseUint(digits, 10, 16); ok && err == nil && strconv.FormatUint(port, 10) == digits {
			return detect.Service{Proto: proto, Port: uint16(port)}, nil
		}
	}
	return detect.Service{}, fmt.Errorf("%q is no service such as tcp/22", name)
}

// Check returns what is wrong with a rule, nil if nothing is.
func (r *Rule) Check() error {
	switch {
	case r.Says != Normal && r.Says != Bad:
		return fmt.Errorf("says: %q is neither normal nor bad", r.Says)
	case len(r.Hosts) == 0 && r.Service == detect.Service{} && r.Type == "":
		return errors.New("there is no scope: name hosts, a service or a type")
	case len(r.Hosts) > 2:
		return fmt.Errorf("hosts: %d, more than two", len(r.Hosts))
	case r.Type != "" && !slices.Contains(verdict.Types, r.Type):
		return fmt.Errorf("type: there is no %q", r.Type)
	}
	for _, text := range [...]struct {
		key, value string
		most       int
	}{{"who", r.Who, maxWho}, {"why", r.Why, maxWhy}} {
		if len(text.value) > text.most {
			return fmt.Errorf("%s: %d bytes, more than %d", text.key, len(text.value), text.most)
		}
		if strings.ContainsFunc(text.value, func(c rune) bool { return unicode.IsControl(c) || c == unicode.ReplacementChar }) {
			return fmt.Errorf("%s: control characters, or no UTF-8", text.key)
		}
	}
	return nil
}

// Same tells that two rules say the same of the same.
func (r *Rule) Same(other *Rule) bool {
	return r.Says == other.Says && r.Service == other.Service && r.Type == other.Type &&
		(slices.Equal(r.Hosts, other.Hosts) || len(r.Hosts) == 2 && len(other.Hosts) == 2 && r.Hosts[0] == other.Hosts[1] && r.Hosts[1] == other.Hosts[0])
}

// signed says whose rule it is: "rule 7 (alice, 2026-11-29)".
func (r *Rule) signed() string {
	var by []string
	if r.Who != "" {
		by = append(by, r.Who)
	}
	if !r.When.IsZero() {
		by = append(by, r.When.UTC().Format(time.DateOnly))
	}
	if len(by) == 0 {
		return fmt.Sprintf("rule %d", r.ID)
	}
	return fmt.Sprintf("rule %d (%s)", r.ID, strings.Join(by, ", "))
}
