// Package detect holds the named detectors: small state machines over packets
// that each know one kind of trouble, state their evidence in words and
// numbers, and score it on the common scale.
//
// A [Set] shows each packet to those detectors that have to see it, as a [Case]:
// what was observed of it, and what several of them ask, worked out once. Which
// detectors those are depends on the packet's [Kind], and on whether they may
// remember anything about the service that it is for: most packets are in the
// middle of a conversation of which nobody suspects anything, and cost little.
//
// A new detector is a type with the methods of [Detector] in a file of its own, a
// line in [All] and a group in [Config]. While it is being written, Wants may
// return always; then it leaves out what Observe has no use for. TestWants shows
// detectors many captures with and without that, and they must find the same.
package detect

import (
	"math/bits"

	"ampulla/annotator/flow"
	"ampulla/annotator/verdict"
)

// Finding is what one detector says of one packet; the zero value is nothing.
type Finding struct {
	Score  float64 // 0 to 1; 0.8 is the detector's published threshold
	Type   verdict.Type
	Reason string // one sentence with the evidence in numbers; may be empty below verdict.SuspiciousScore
	Role   Role   // who does it to whom
	// Since is the packet time from which on evidence counted, which is before
	// the packet at hand; 0 if nobody knows.
	Since int64
}

// Detector watches the packets of one capture in order. It is not safe for
// concurrent use, has bounded state, and its only clock is the packets' time.
type Detector interface {
	// Name is the name used in the configuration.
	Name() string
	// Observe takes the next packet and tells what is known of it now, see
	// [Case.found]. Packets marked as noise must not be counted, but may still
	// belong to something found before.
	Observe(c *Case)
	// Wants tells which packets it has to see: of all others Observe would tell
	// nothing, and they would change nothing, not even which state of a table was
	// used last. It depends on k alone.
	Wants(k Kind) Want
}

// awaiter is a Detector that looks for a packet of a new flow in tables where it
// hardly finds anything. It is asked beforehand to await what it looks at, see
// [lru.Map.Await].
type awaiter interface {
	await(c *Case)
}

// Review leaves of a detector's finding, whose Score is verdict.SuspiciousScore or
// more, what counts here.
type Review func(o *flow.Observation, detector string, f *Finding)

// Set is the detectors of one capture, and what they found lately. It is not
// safe for concurrent use.
type Set struct {
	detectors []Detector
	awaiters  []awaiter // among them
	review    Review
	suspects  suspects
	first     period // since the first IP packet with a time
	now       Case
	best      Finding // about it
	traces    [traces]uint32
	wanted    [1 << 16]wanted // by the kind of packets
}

// traces is for how many hashes of services a Set knows which detectors may
// remember any, one bit each. What a detector forgets leaves its trace.
const traces = 8192

// wanted are the detectors that want a kind of packets, a bit for each.
type wanted struct {
	known  bool // or else it has to be found out
	always uint32
	traced uint32 // if there is a trace
}

// New returns a Set of new detectors. cfg must be valid, see [Config.Validate].
// review is asked about what they find; nil for nobody.
func New(cfg Config, review Review) *Set { return newSet(All(cfg), review) }

func newSet(detectors []Detector, review Review) *Set {
	s := &Set{detectors: detectors, review: review, suspects: newSuspects()}
	s.now.traces = &s.traces
	for _, d := range detectors {
		if a, ok := d.(awaiter); ok {
			s.awaiters = append(s.awaiters, a)
		}
	}
	return s
}

// Observe takes the next packet and returns the highest finding about it, which
// is the caller's until the next call.
func (s *Set) Observe(o *flow.Observation) *Finding {
	c, best := s.look(o), &s.best
	*best = Finding{}
	if o.New {
		for _, a := range s.awaiters {
			a.await(c)
		}
	}
	for due := s.due(c); due != 0; due &= due - 1 {
		c.asking = due & -due
		d := s.detectors[bits.TrailingZeros32(due)]
		if d.Observe(c); c.finding.Score > 0 { // rarely
			f := &c.finding
			if f.Score >= verdict.SuspiciousScore && s.review != nil {
				s.review(o, d.Name(), f)
			}
			best.Raise(*f)
			*f = Finding{}
		}
	}
	return best
}

// Suspect takes the finding that Observe has returned, as the caller left it, for
// the highest about that packet, and puts in its place what is left of an earlier
// one of the same hosts, if that is higher.
func (s *Set) Suspect() { s.suspects.observe(&s.now, &s.best) }

// due returns the detectors that have to see a packet, a bit for each.
func (s *Set) due(c *Case) uint32 {
	k := c.kindOf()
	w := &s.wanted[k]
	if !w.known {
		*w = s.ask(k)
	}
	return w.always | w.traced&s.traces[c.keyHash%traces]
}

// ask asks all detectors about a kind.
func (s *Set) ask(k Kind) wanted {
	w := wanted{known: true}
	for i, d := range s.detectors {
		switch d.Wants(k) {
		case always:
			w.always |= 1 << i
		case ifKnown:
			w.traced |= 1 << i
		}
	}
	return w
}

// look begins with another packet.
func (s *Set) look(o *flow.Observation) *Case {
	c := &s.now
	c.observe(o)
	if p := o.Packet; !s.first.begun && p.Version != 0 && p.Time != 0 { // 0: captured without a clock
		s.first = begin(p.Time)
		c.began = p.Time
	}
	return c
}

// All returns new detectors of every kind, always in the same order: of equal
// scores, that of the first counts.
func All(cfg Config) []Detector {
	return []Detector{
		newPortScan(cfg.PortScan),
		newHostScan(cfg.HostScan),
		newFlood(cfg.Flood),
		newSlowDoS(cfg.SlowDoS),
		newBruteForce(cfg.BruteForce),
		newExfiltration(cfg.Exfiltration),
		newDNSTunnel(cfg.DNSTunnel),
		newICMPTunnel(cfg.ICMPTunnel),
		newBeacon(cfg.Beacon),
		newARPSpoof(cfg.ARPSpoof),
		newWebAttack(cfg.WebAttack),
		newDGA(cfg.DGA),
		newRemoteControl(cfg.RemoteControl),
		newStorm(cfg.Storm),
		newWebShell(cfg.WebShell),
		newNewcomer(cfg.Newcomer, cfg.OddPort),
		newOddPort(cfg.OddPort),
		newRequestFlood(cfg.RequestFlood),
	}
}

// Grade places evidence on the common scale: 0 for none, 0.8 at the threshold
// and in proportion below it, towards 1 as evidence exceeds it (0.9 at twice, 0.98 at ten times).
func Grade(evidence, threshold float64) float64 {
	if evidence <= 0 || threshold <= 0 {
		return 0
	}
	r := evidence / threshold
	if r <= 1 {
		return verdict.AnomalousScore * r
	}
	return 1 - (1-verdict.AnomalousScore)/r
}
