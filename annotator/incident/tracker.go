package incident

import (
	"slices"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/verdict"
)

// Tracker follows the incidents of one capture. It is not safe for concurrent
// use. Its memory is bounded, and its only clock is the packets' time.
type Tracker struct {
	cfg       Config
	open      *lru.Map[key, *event] // each under its key
	ofMany    int                   // how many of them have many actors
	pairs     *lru.Map[pair, *event]
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

// ofMany tells that the events have many actors.
func (k *key) ofMany() bool { return k.actor == detect.Party{} }

func (k *key) hash() lru.Hash {
	h := k.target.Hash(k.actor.Hash(lru.Seed)).Word(uint64(k.domain)<<32 | uint64(k.service.Port)<<8 | uint64(k.service.Proto))
	return h.Word(uint64(len(k.kind))) // which tells most of them apart
}

func (p *pair) hash() lru.Hash {
	return p.target.Hash(p.actor.Hash(lru.Seed)).Word(uint64(p.domain))
}

// New returns a Tracker of no incidents. Bounds below 1 count as 1.
func New(cfg Config) *Tracker {
	cfg.Kept = max(cfg.Kept, 1)
	cfg.Open = min(max(cfg.Open, 1), cfg.Kept)
	return &Tracker{cfg: cfg, open: lru.New[key, *event](cfg.Open), pairs: lru.New[pair, *event](cfg.Pairs)}
}

// Observe takes the next packet that is not ordinary: its verdict, with a Type,
// what was found and what was observed. It fills in the verdict's Incident and
// IncidentFirst.
func (t *Tracker) Observe(v *verdict.Verdict, f *detect.Finding, o *flow.Observation) {
	var parties detect.Parties
	f.Role.Name(o, &parties)
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
	var k key
	k.of(v.Type, p)
	var e *event
	if vague {
		e = t.between(p, v.Time)
	}
	if e == nil {
		if e = t.opened(&k); e != nil && !e.goesOn(v.Time) {
			t.remove(&k) // the next of the kind is another
			e.end()
			e = nil
		}
	}
	if e == nil && !vague {
		if e = t.unnamed(p, v.Time); e != nil {
			t.remove(&e.key)
			e.key = k
			t.add(e)
		}
	}
	if e == nil {
		e = t.begin(&k, v)
	}
	if !p.ManyActors { // they are forged as often as not
		t.note(&pair{p.Actor, p.Target, p.Domain}, e)
	}
	return e
}

// between returns what goes on between the hosts of a vague packet, and turns
// its sides to those of that; nil if nothing does.
func (t *Tracker) between(p *detect.Parties, now int64) *event {
	forth, back := pair{p.Actor, p.Target, p.Domain}, pair{p.Target, p.Actor, p.Domain}
	t.pairs.Await(forth.hash())
	t.pairs.Await(back.hash())
	for _, sides := range [...]*pair{&forth, &back} {
		e := t.latest(sides)
		if e == nil || e.ended {
			e = t.against(sides)
		}
		if e != nil && e.goesOn(now) {
			p.Actor, p.Target = sides.actor, sides.target
			t.opened(&e.key) // there is news of it
			return e
		}
	}
	return nil
}

// unnamed returns what goes on between an actor and a target, and nobody else, if
// nobody knows yet what it is.
func (t *Tracker) unnamed(p *detect.Parties, now int64) *event {
	e := t.latest(&pair{p.Actor, p.Target, p.Domain})
	if p.ManyActors || e == nil || e.ended || !e.vague || e.targets.n > 1 || !e.goesOn(now) {
		return nil
	}
	return e
}

// against returns an event of many against the target, nil if there is none.
func (t *Tracker) against(sides *pair) *event {
	if t.ofMany == 0 { // as mostly
		return nil
	}
	for _, kind := range [...]verdict.Type{verdict.Flood, verdict.SlowDoS, verdict.PortScan} {
		if e := t.opened(&key{kind: kind, target: sides.target, domain: sides.domain}); e != nil {
			return e
		}
	}
	return nil
}

// begin opens an event.
func (t *Tracker) begin(k *key, v *verdict.Verdict) *event {
	if len(t.kept) >= t.cfg.Kept {
		t.forget()
	}
	t.numbers++
	e := &event{key: *k, number: t.numbers, kind: v.Type, vague: true, first: momentOf(v)}
	t.kept = append(t.kept, e)
	t.add(e)
	return e
}

// opened returns the open event of a key, which it marks as used; nil if there is
// none.
func (t *Tracker) opened(k *key) *event {
	entry := t.open.Get(k.hash(), k)
	if entry == nil {
		return nil
	}
	t.open.Touch(entry)
	return entry.Val
}

// add opens an event under its key, which none has. If there are too many, that
// without news for longest ends.
func (t *Tracker) add(e *event) {
	if t.open.Len() >= t.cfg.Open {
		oldest := t.open.Oldest().Val
		oldest.end()
		t.remove(&oldest.key)
	}
	entry, _ := t.open.Add(e.key.hash(), &e.key)
	entry.Val = e
	if e.key.ofMany() {
		t.ofMany++
	}
}

// remove has a key no longer stand for an open event.
func (t *Tracker) remove(k *key) {
	t.open.Remove(t.open.Get(k.hash(), k))
	if k.ofMany() {
		t.ofMany--
	}
}

// latest returns the latest event of two hosts, which it marks as used; nil if
// none is known.
func (t *Tracker) latest(p *pair) *event {
	entry := t.pairs.Get(p.hash(), p)
	if entry == nil {
		return nil
	}
	t.pairs.Touch(entry)
	return entry.Val
}

// note notes the latest event of two hosts.
func (t *Tracker) note(p *pair, e *event) {
	h := p.hash()
	entry := t.pairs.Get(h, p)
	if entry == nil {
		entry, _ = t.pairs.Add(h, p)
	}
	t.pairs.Touch(entry)
	entry.Val = e
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

// of makes k, which is zero, the key of events of a type with such parties.
func (k *key) of(kind verdict.Type, p *detect.Parties) {
	k.kind, k.domain = kind, p.Domain
	if !p.ManyActors {
		k.actor = p.Actor
	}
	if !p.ManyTargets {
		k.target = p.Target
	}
	if !p.AnyService {
		k.service = p.Service
	}
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
