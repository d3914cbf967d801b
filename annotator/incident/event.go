package incident

import (
	"slices"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/verdict"
)

// event is an incident in the making.
type event struct {
	key    key
	ended  bool // nothing will be added
	vague  bool // nobody knows what it is yet: all its packets are vague
	number uint32
	kind   verdict.Type
	score  float64 // highest of all
	best   float64 // highest of those that tell what it is, to which belongs
	reason string

	actors, targets tally[detect.Party]
	services        tally[detect.Service]
	elsewhere       bool // some packets went to none of these

	first, last verdict.Moment
	latest      int64 // time of the last packet
	packets     uint64
	anomalous   uint64
	flows       uint64

	// What hindsight needs, of packets that are anomalous and tell what it is.
	role  detect.Role // of the latest
	since int64       // packet time from which on evidence counted
	until int64       // packet time of the latest
	forms detect.Form // that they have
	talk  detect.Talk // how far their conversations had come at most
}

// goesOn tells that a packet at time now may be part of e.
func (e *event) goesOn(now int64) bool { return near(now, e.latest, gap(e.kind)) }

// add takes in a packet.
func (e *event) add(v *verdict.Verdict, p *detect.Parties, vague bool, o *flow.Observation, cfg *Config) {
	if e.vague && !vague { // now it is known what it is
		e.elsewhere = e.elsewhere || e.services.n > 0
		e.vague, e.kind, e.best, e.services = false, v.Type, 0, tally[detect.Service]{}
	}
	// What is said of most events grows, but that of a flood is about the second
	// at hand.
	if vague == e.vague && (v.Score > e.best || v.Score == e.best && e.kind != verdict.Flood) {
		e.best, e.reason = v.Score, v.Reason
	}
	e.score = max(e.score, v.Score)
	e.last, e.latest = momentOf(v), v.Time
	e.packets++
	if v.Level == verdict.Anomalous {
		e.anomalous++
	}
	if o.Memo != nil && o.Memo.Incident != e.number {
		o.Memo.Incident = e.number
		e.flows++
	}
	e.actors.add(&p.Actor, cfg)
	e.targets.add(&p.Target, cfg)
	switch {
	case p.Service == detect.Service{} || o.Packet.FragOffset != 0,
		vague != e.vague && !slices.Contains(e.services.listed, p.Service):
		e.elsewhere = true
	default:
		e.services.add(&p.Service, cfg)
	}
}

// learn notes by what hindsight will know the packets of e.
func (e *event) learn(f *detect.Finding, o *flow.Observation) {
	now := o.Packet.Time
	since := min(now, now-o.Age)
	if f.Since != 0 {
		since = min(since, f.Since)
	}
	if e.forms == 0 || since < e.since {
		e.since = since
	}
	e.role, e.until = f.Role, now
	e.forms |= detect.FormOf(o)
	e.talk = max(e.talk, detect.TalkOf(o))
}

// end gives up what is only needed to add more.
func (e *event) end() {
	e.ended = true
	e.actors.seen, e.targets.seen, e.services.seen = nil, nil, nil
}

// incident returns what is known of e by now.
func (e *event) incident() verdict.Incident {
	return verdict.Incident{
		Number: e.number, Type: e.kind, Score: e.score, Reason: e.reason,
		Actors: texts(e.actors.listed), ActorCount: e.actors.n,
		Targets: texts(e.targets.listed), TargetCount: e.targets.n,
		Services: texts(e.services.listed), ServiceCount: e.services.n,
		First: e.first, Last: e.last, Packets: e.packets, Anomalous: e.anomalous, Flows: e.flows,
		Filter: e.filter(),
	}
}

func texts[T interface{ String() string }](list []T) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = x.String()
	}
	return out
}

// tally lists the first members of a set and counts them up to a bound.
type tally[T comparable] struct {
	listed []T
	seen   map[T]struct{} // those that are not listed
	n      int
}

// merge adds what another tally has listed. Those that it has only counted may be
// the same.
func (t *tally[T]) merge(other *tally[T], cfg *Config) {
	for i := range other.listed {
		t.add(&other.listed[i], cfg)
	}
	t.n = max(t.n, other.n)
}

func (t *tally[T]) add(x *T, cfg *Config) {
	var nobody T
	if *x == nobody || t.n >= cfg.Counted || slices.Contains(t.listed, *x) {
		return
	}
	if t.n > len(t.listed)+len(t.seen) {
		return // nobody remembers who was counted
	}
	if len(t.listed) < cfg.Listed {
		t.listed = append(t.listed, *x)
		t.n++
		return
	}
	if t.seen == nil {
		t.seen = make(map[T]struct{})
	}
	t.seen[*x] = struct{}{}
	t.n = len(t.listed) + len(t.seen)
}
