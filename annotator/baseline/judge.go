package baseline

import (
	"fmt"
	"math"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// Sigmas is by how many standard deviations a packet rate has to exceed the mean
// to be an alarm. That is not enough: see twice and floor.
const Sigmas = 6

const (
	// margin is by which factor a finding may exceed what was learned of the
	// same, and still be no alarm.
	margin = 2
	// twice and floor are what a rate has to exceed, too: so often the most that was
	// learned, so many packets a second.
	twice = 2
	floor = 100
)

// Judge measures packets of one capture against a Baseline. Its methods return
// what they were given if it is nil. It is not safe for concurrent use.
type Judge struct {
	b      *Baseline
	norms  *norms
	meters *meters
}

// NewJudge returns a Judge, nil if b is nil.
func NewJudge(b *Baseline) *Judge {
	if b == nil {
		return nil
	}
	return &Judge{b: b, norms: b.norms(), meters: newMeters(nil)}
}

// Review is a [detect.Review]: it leaves less than an alarm of a finding, and says
// why, if it is no more than was usual while the baseline was learned, or not
// much more.
func (j *Judge) Review(o *flow.Observation, detector string, f *detect.Finding) {
	if j == nil || f.Score < verdict.SuspiciousScore {
		return
	}
	if j.reversed(o, f.Role) {
		*f = detect.Finding{}
		return
	}
	usual := j.b.relations.get(relationOf(o, detector, f))
	if usual == nil {
		return
	}
	now, most := float64(evidenceOf(f.Score)), float64(usual.Most)
	score := detect.Grade(now, margin*most)
	if now <= margin*most {
		// From suspicious, for what was usual, to the threshold.
		score = verdict.SuspiciousScore + (verdict.AnomalousScore-verdict.SuspiciousScore)*max(0, now-most)/((margin-1)*most)
	}
	if score >= f.Score {
		return
	}
	f.Score = score
	f.Reason = fmt.Sprintf("%s; usual here: %s, %s", f.Reason, times(usual.Episodes), compared(now/most))
}

// reversed tells that a finding about client and server takes the one for the
// other: the capture begins in the middle of their conversation, and it was
// learned who of them serves.
func (j *Judge) reversed(o *flow.Observation, r detect.Role) bool {
	if o.Memo == nil || o.Memo.Begun || !o.Packet.HasPorts() {
		return false
	}
	switch r {
	case detect.RoleHosts, detect.RoleClient, detect.RoleService:
	default:
		return false
	}
	addr, port := o.Client()
	called := Endpoint{addr, detect.Service{Proto: o.Packet.Proto, Port: port}}
	addr, port = o.Server()
	caller := Endpoint{addr, detect.Service{Proto: o.Packet.Proto, Port: port}}
	return j.b.services.get(called) != nil && j.b.services.get(caller) == nil
}

// times says how often something was seen.
func times(episodes uint64) string {
	if episodes == 1 {
		return "seen once"
	}
	return fmt.Sprintf("seen %d times", episodes)
}

// compared says how much of something there is, compared with the most before.
func compared(share float64) string {
	switch {
	case share > 1.05:
		return fmt.Sprintf("at most %.2f of it", 1/share)
	case share < 0.95:
		return fmt.Sprintf("up to %.1f times as much", 1/share)
	}
	return "as much"
}

// Opinion returns the model's score of a packet, measured against the host that
// sent it, and how usual it is there, for behind the model's reason; empty if that
// says nothing.
func (j *Judge) Opinion(o *flow.Observation, model *score.Opinion) (s float64, usual string) {
	s = float64(model.Score)
	if j == nil {
		return s, ""
	}
	side := sideOf(o)
	who, n := j.norms.hosts[o.Packet.Src], uint64(0)
	var t *tail
	if who != nil {
		t, n = &who.tails[side], who.host.Scores[side].Total()
	} else {
		w := j.network(o.Packet.Src)
		t = &w.tails[side]
	}
	heavier := t.heavier(s)
	if heavier <= 1 {
		return s, ""
	}
	p := min(heavier*score.Unscale(s), 1)
	s = score.Scale(p)
	if s < verdict.SuspiciousScore {
		return s, ""
	}
	if n < Enough {
		return s, fmt.Sprintf("; usual here: one packet in %.0f of such hosts is like that", 1/p)
	}
	return s, fmt.Sprintf("; usual here: one packet in %.0f of %s is like that", 1/p, o.Packet.Src)
}

// network returns what is normal around an address.
func (j *Judge) network(a packet.Addr) *network {
	if w := j.norms.networks[Network(a)]; w != nil {
		return w
	}
	return &j.norms.nobody
}

// Rate counts a packet, and raises the highest finding about it if its sender has
// sent, or its receiver received, far more within this second than it did while
// the baseline was learned.
func (j *Judge) Rate(o *flow.Observation, best *detect.Finding) {
	if j == nil || o.Flow == 0 || o.Noise != flow.Clean {
		return
	}
	sent, received := j.meters.count(o.Packet)
	if sent >= floor/2 {
		best.Raise(j.rate(o, o.Packet.Src, sent, true))
	}
	if received >= floor/2 {
		best.Raise(j.rate(o, o.Packet.Dst, received, false))
	}
}

func (j *Judge) rate(o *flow.Observation, a packet.Addr, now uint64, sent bool) detect.Finding {
	usual, most, who := j.usualRate(a, hourOf(o.Packet.Time), sent)
	if usual == nil {
		return detect.Finding{}
	}
	mean, deviation := usual.Mean()
	over := (float64(now) - mean) / deviation
	s := detect.Grade(min(over/Sigmas, float64(now)/float64(twice*most), float64(now)/floor), 1)
	if s < verdict.SuspiciousScore {
		return detect.Finding{Score: s}
	}
	what := "from"
	if !sent {
		what = "to"
	}
	return detect.Finding{Score: s, Type: verdict.Outlier, Role: detect.RoleHosts, Reason: fmt.Sprintf(
		"%d packets/s %s %s, %.0f sigmas above %s: %.1f, and never more than %d", now, what, a, math.Floor(over), who, mean, most)}
}

// usualRate returns the rates of a host, the most it ever had, and in words whose
// these are; nil if they are not known well enough.
func (j *Judge) usualRate(a packet.Addr, hour uint8, sent bool) (usual *Rate, most uint64, who string) {
	if at := j.norms.hosts[a]; at != nil {
		rates := at.host.Received
		if sent {
			rates = at.host.Sent
		}
		var all Rate
		for i := range rates {
			all.add(&rates[i].Rate)
			if rates[i].Hour == hour && rates[i].Seconds >= enoughSeconds {
				usual = &rates[i].Rate
			}
		}
		switch {
		case usual != nil:
			return usual, all.Most, fmt.Sprintf("its normal between %d and %d h UTC", hour, hour+1)
		case all.Seconds >= enoughSeconds:
			return &all, all.Most, "its normal"
		}
	}
	w := j.network(a)
	usual = &w.received
	if sent {
		usual = &w.sent
	}
	if usual.Seconds < enoughSeconds {
		return nil, 0, ""
	}
	return usual, usual.Most, "what is normal for " + w.String()
}

// String names the network's hosts.
func (w *network) String() string {
	if !w.prefix.IsValid() {
		return "hosts elsewhere"
	}
	return "hosts of " + w.prefix.String()
}

// Thin returns what is too little known to call a packet normal; empty if
// nothing is.
func (j *Judge) Thin(o *flow.Observation) string {
	if j == nil || o.Flow == 0 {
		return ""
	}
	side := sideOf(o)
	w := j.network(o.Packet.Src)
	if w.packets[side] >= Enough {
		return ""
	}
	return w.thin[side]
}
