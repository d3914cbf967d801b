package baseline

import (
	"math"
	"slices"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// Learner counts what the engine sees in one capture. Its methods do nothing if
// it is nil. It is not safe for concurrent use.
type Learner struct {
	// Without are types of events whose packets are left out, as far as they are
	// anomalous.
	Without []verdict.Type

	b        *Baseline
	meters   *meters
	latest   int64
	findings []found // in the packet at hand
	episodes map[Relation]int64
}

// found is what a detector found.
type found struct {
	detector string
	detect.Finding
}

const (
	// pause is the longest time between two packets that counts as watched.
	pause = 10 * time.Minute
	// episode is how far events are apart that are two.
	episode = time.Hour
)

// NewLearner returns a Learner that has seen nothing.
func NewLearner(identity Identity) *Learner {
	l := &Learner{b: New(identity), episodes: map[Relation]int64{}}
	l.b.totals.Captures = 1
	l.meters = newMeters(l.b)
	return l
}

// Finding takes what a detector found in the packet that Packet is called about
// next.
func (l *Learner) Finding(detector string, f *detect.Finding) {
	if l != nil && f.Score >= verdict.SuspiciousScore {
		l.findings = append(l.findings, found{detector, *f})
	}
}

// Packet takes the next packet, its class, and what the model says of it, nil if
// nothing.
func (l *Learner) Packet(o *flow.Observation, protocol string, model *score.Opinion) {
	if l == nil {
		return
	}
	defer func() { l.findings = l.findings[:0] }()
	l.watch(o.Packet.Time)
	if model != nil && float64(model.Score) >= verdict.SuspiciousScore {
		l.Finding(Model, &detect.Finding{Score: float64(model.Score), Type: verdict.Outlier, Role: detect.RoleHosts})
	}
	l.b.totals.Frames++
	for _, f := range l.findings {
		if f.Score > verdict.AnomalousScore && slices.Contains(l.Without, f.Type) {
			l.b.totals.Omitted++
			return
		}
	}
	for i := range l.findings {
		l.take(o, &l.findings[i])
	}
	if o.Flow == 0 || o.Noise != flow.Clean {
		return
	}
	l.meters.count(o.Packet)
	if n := l.b.classes.take(class(protocol)); n != nil {
		*n++
	}
	l.answered(o)
	if model != nil {
		if h := l.b.hosts.take(host(o.Packet.Src)); h != nil {
			h.Scores[sideOf(o)][binOf(float64(model.Score))]++
		}
	}
}

// watch counts the time that the capture goes on.
func (l *Learner) watch(now int64) {
	if now == 0 { // captured without a clock
		return
	}
	l.b.totals.span(now)
	if d := now - l.latest; l.latest != 0 && d > 0 && d <= int64(pause) {
		n := &l.b.totals.Observed[hourOf(now)]
		*n = sum(*n, uint64(d))
	}
	l.latest = now
}

// take takes what was found in a packet.
func (l *Learner) take(o *flow.Observation, f *found) {
	r := relationOf(o, f.detector, &f.Finding)
	e := l.b.relations.take(r)
	if e == nil {
		return
	}
	e.Packets++
	e.Most = max(e.Most, evidenceOf(f.Score))
	last, known := l.episodes[r]
	if d := o.Packet.Time - last; !known || d >= int64(episode) || d <= -int64(episode) {
		e.Episodes++
	}
	if len(l.episodes) >= 4*maxRelations && !known {
		clear(l.episodes)
	}
	l.episodes[r] = o.Packet.Time
}

// answered counts a conversation when its server first answers.
func (l *Learner) answered(o *flow.Observation) {
	p := o.Packet
	if o.FromClient || o.ServerPackets != 1 || !p.HasPorts() || p.FragOffset != 0 {
		return
	}
	const signals = packet.SYN | packet.ACK | packet.RST
	if p.Proto == packet.ProtoTCP && p.TCPFlags&signals != packet.SYN|packet.ACK {
		return // refused, or begun before the capture, so that nobody knows who called
	}
	if n := l.b.services.take(Endpoint{p.Src, detect.Service{Proto: p.Proto, Port: p.SrcPort}}); n != nil {
		*n++
	}
}

// Baseline returns what was learned. The Learner cannot be used any more.
func (l *Learner) Baseline() *Baseline {
	l.meters.close()
	b := l.Take()
	l.b = nil
	return b
}

// Take returns what was learned since the last Take, but for the seconds at hand,
// and the Learner goes on with the next packet of the same capture.
func (l *Learner) Take() *Baseline {
	b := l.b
	l.b = New(b.identity)
	l.meters.learn = l.b
	for i, ns := range b.totals.Observed {
		b.totals.Observed[i] = ns / uint64(time.Millisecond)
		l.b.totals.Observed[i] = ns % uint64(time.Millisecond)
	}
	b.hosts.prune()
	b.classes.prune()
	b.services.prune()
	b.relations.prune()
	return b
}

// relationOf returns what a finding is about.
func relationOf(o *flow.Observation, detector string, f *detect.Finding) Relation {
	var p detect.Parties
	f.Role.Name(o, &p)
	r := Relation{Detector: detector, Type: f.Type}
	if !p.ManyActors {
		r.Actor = named(p.Actor)
	}
	if !p.ManyTargets {
		r.Target = named(p.Target)
	}
	if !p.AnyService {
		r.Service = p.Service
	}
	return r
}

// named drops the network card of a host with an address.
func named(p detect.Party) detect.Party {
	if !p.Addr.IsZero() {
		p.MAC = packet.MAC{}
	}
	return p
}

// evidenceOf returns what a score stands for, in thousandths of the threshold;
// the other way round than [detect.Grade].
func evidenceOf(score float64) uint64 {
	switch {
	case score <= verdict.AnomalousScore:
		return uint64(math.Round(1000 * score / verdict.AnomalousScore))
	case score >= 1:
		return mostEvidence
	}
	return min(uint64(math.Round(1000*(1-verdict.AnomalousScore)/(1-score))), mostEvidence)
}

// mostEvidence is what evidence counts as at most: a thousand thresholds.
const mostEvidence = 1_000_000

// sideOf tells as which side of its conversation a packet's source sends.
func sideOf(o *flow.Observation) int {
	if o.FromClient {
		return client
	}
	return server
}

// toOne tells that an address is that of one host.
func toOne(a packet.Addr) bool {
	addr := a.Netip()
	return !addr.IsMulticast() && !addr.IsUnspecified() && a != broadcast
}
