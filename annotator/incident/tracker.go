package incident

import (
	"slices"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/verdict"
)

// Tracker follows the incidents of one capture. It is not safe for concurrent
// use. Its memory is bounded, and its only clock is the packets' time.
type Tracker struct {
	cfg       Config
	open      *simplelru.LRU[key, *event]
	pairs     *simplelru.LRU[pair, *event]
	kept      []*event // in the order of their numbers
	numbers   uint32   // given so far
	forgotten uint64
	talks     talks // see Watch
}

// key is what packets of one event have in common; what it may have many of is
// zero.
type key struct {
	kind          verdict.Type
	actor, target detect.Party
	service       detect.Service
	domain        uint32
}

// pair is an actor and a target.
type pair struct {
	actor, target detect.Party
	domain        uint32
}

// New returns a Tracker of no incidents. Bounds below 1 count as 1.
func New(cfg Config) *Tracker {
	cfg.Kept = max(cfg.Kept, 1)
	cfg.Open = min(max(cfg.Open, 1), cfg.Kept)
	// The sizes are above 0, the only thing that makes them fail.
	pairs, _ := simplelru.NewLRU[pair, *event](max(cfg.Pairs, 1), nil)
	open, _ := simplelru.NewLRU(cfg.Open, func(k key, e *event) {
		if e.key == k { // or else it goes on under another one
			e.end()
		}
	})
	return &Tracker{cfg: cfg, open: open, pairs: pairs}
}

// Observe takes the next packet that is not ordinary: its verdict, with a Type,
// what was found and what was observed. It fills in the verdict's Incident and
// IncidentFirst.
func (t *Tracker) Observe(v *verdict.Verdict, f *detect.Finding, o *flow.Observation) {
	parties := f.Role.Parties(o)
	vague := f.Role == detect.RoleHosts
	e := t.eventOf(v, &parties, vague)
	e.add(v, &parties, vague, o, &t.cfg)
	if !vague && v.Score > verdict.AnomalousScore {
		e.learn(f, o)
	}
	v.Incident, v.IncidentFirst = e.number, e.first.Frame
}

// eventOf returns the event that a packet is part of, a new one if need be. A
// vague packet is one of which only the hosts are known.
func (t *Tracker) eventOf(v *verdict.Verdict, p *detect.Parties, vague bool) *event {
	k := keyOf(v.Type, p)
	var e *event
	if vague {
		e = t.between(p, v.Time)
	}
	if e == nil {
		e, _ = t.open.Get(k)
	}
	if e != nil && !e.goesOn(v.Time) {
		t.open.Remove(k) // the next of the kind is another
		e = nil
	}
	if e == nil && !vague {
		if e = t.unnamed(p, v.Time); e != nil {
			t.rename(e, k)
		}
	}
	if e == nil {
		e = t.begin(k, v)
	}
	if !p.ManyActors { // they are forged as often as not
		t.pairs.Add(pair{p.Actor, p.Target, p.Domain}, e)
	}
	return e
}

// between returns what goes on between the hosts of a vague packet, and turns
// its sides to those of that; nil if nothing does.
func (t *Tracker) between(p *detect.Parties, now int64) *event {
	forth, back := pair{p.Actor, p.Target, p.Domain}, pair{p.Target, p.Actor, p.Domain}
	for _, sides := range [...]pair{forth, back} {
		e, ok := t.pairs.Get(sides)
		if !ok || e.ended {
			e = t.against(sides)
		}
		if e != nil && e.goesOn(now) {
			p.Actor, p.Target = sides.actor, sides.target
			t.open.Get(e.key) // there is news of it
			return e
		}
	}
	return nil
}

// unnamed returns what goes on between an actor and a target, and nobody else, if
// nobody knows yet what it is.
func (t *Tracker) unnamed(p *detect.Parties, now int64) *event {
	e, ok := t.pairs.Get(pair{p.Actor, p.Target, p.Domain})
	if p.ManyActors || !ok || e.ended || !e.vague || e.targets.n > 1 || !e.goesOn(now) {
		return nil
	}
	return e
}

// against returns an event of many against the target, nil if there is none.
func (t *Tracker) against(sides pair) *event {
	for _, kind := range [...]verdict.Type{verdict.Flood, verdict.SlowDoS, verdict.PortScan} {
		if e, ok := t.open.Get(key{kind: kind, target: sides.target, domain: sides.domain}); ok {
			return e
		}
	}
	return nil
}

// begin opens an event.
func (t *Tracker) begin(k key, v *verdict.Verdict) *event {
	if len(t.kept) >= t.cfg.Kept {
		t.forget()
	}
	t.numbers++
	e := &event{key: k, number: t.numbers, kind: v.Type, vague: true, first: momentOf(v)}
	t.kept = append(t.kept, e)
	t.open.Add(k, e)
	return e
}

// rename goes on with a vague event under the key of what it turned out to be.
func (t *Tracker) rename(e *event, k key) {
	old := e.key
	e.key = k
	t.open.Remove(old)
	t.open.Add(k, e)
}

// forget drops an eighth of what is kept, but nothing that is open: the oldest
// suspicious ones, then the oldest.
func (t *Tracker) forget() {
	left := max(t.cfg.Kept/8, 1)
	for _, most := range [...]float64{verdict.AnomalousScore, 1} {
		t.kept = slices.DeleteFunc(t.kept, func(e *event) bool {
			if left == 0 || !e.ended || e.score > most {
				return false
			}
			left--
			t.forgotten++
			return true
		})
	}
}

// keyOf returns the key of events of a type with such parties.
func keyOf(kind verdict.Type, p *detect.Parties) key {
	k := key{kind: kind, domain: p.Domain}
	if !p.ManyActors {
		k.actor = p.Actor
	}
	if !p.ManyTargets {
		k.target = p.Target
	}
	if !p.AnyService {
		k.service = p.Service
	}
	return k
}

// All returns the incidents that are kept, in the order of their numbers, as
// they are by now.
func (t *Tracker) All() []verdict.Incident {
	all := make([]verdict.Incident, len(t.kept))
	for i, e := range t.kept {
		all[i] = e.incident()
	}
	return all
}

// Forgotten is how many incidents are not kept any more.
func (t *Tracker) Forgotten() uint64 { return t.forgotten }

// near tells that two packet times are at most d apart, whichever comes first.
func near(a, b int64, d time.Duration) bool {
	if a > b {
		a, b = b, a
	}
	return b-a >= 0 && b-a <= int64(d) // b-a < 0: farther than an int64 reaches
}

func momentOf(v *verdict.Verdict) verdict.Moment {
	return verdict.Moment{Frame: v.Frame, Time: time.Unix(0, v.Time).UTC()}
}
