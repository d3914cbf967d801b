package incident

import (
	"cmp"
	"slices"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// Past is what a [Tracker] knows of the incidents of a capture at its end. In a
// second pass over the same frames it tells of each which incident it is part
// of, also of those before anything was visible. It is not safe for concurrent
// use, good for one pass, and bounded as the Tracker is.
//
// What belongs to an incident beside the packets that were found: whatever has
// the same parties, while evidence counted or later, and looks like packets
// that were found to be anomalous; but no conversation that came to be more
// than an attempt, unless some of those were. Outliers, DNS and what shows below
// IP have no such looks, nor have suspicions that came to nothing: there it
// stays with what was found.
type Past struct {
	cfg    Config
	groups map[uint32]*event // by the numbers that packets got
	all    []*event          // the same, in the order of their own numbers
	spans  map[key][]span    // in order, apart
	beside map[key][]span    // likewise, see accessory
	kinds  []kind
	talks  talks

	owner   *event // of the frame at hand, and who that is about
	parties detect.Parties
}

// kind is a way in which a packet can be part of something.
type kind struct {
	verdict verdict.Type
	role    detect.Role
}

// span is a stretch of packet time, ends included, in which packets of a key
// are part of an event.
type span struct {
	from, to int64
	forms    detect.Form
	talk     detect.Talk
	// services are those that were called; none if any was.
	services []detect.Service
	group    *event
}

// next is for how long after a sweep its actor goes on with what it found.
const next = 30 * time.Second

// merged is how long an event may pause and be the same in hindsight.
const merged = 24 * time.Hour

// Past returns what is known by now. The Tracker cannot be used any further.
func (t *Tracker) Past() *Past {
	p := &Past{cfg: t.cfg, groups: map[uint32]*event{}, spans: map[key][]span{}, beside: map[key][]span{}, talks: t.talks}
	latest := map[key]*event{}
	var vague []*event
	for _, e := range t.kept {
		e.end()
		if e.vague {
			vague = append(vague, e)
			continue
		}
		g := latest[e.key]
		if g == nil || !near(e.first.Time.UnixNano(), g.latest, merged) {
			g = e
			latest[e.key] = g
		}
		p.widen(e, g)
		p.join(e, g)
	}
	for _, e := range vague {
		p.join(e, p.became(e))
	}
	for _, all := range [...]map[key][]span{p.spans, p.beside} {
		for k, spans := range all {
			all[k] = apart(spans)
		}
	}
	slices.SortFunc(p.all, func(a, b *event) int { return cmp.Compare(a.number, b.number) })
	for _, g := range p.all { // to be counted anew
		g.packets, g.anomalous, g.flows = 0, 0, 0
	}
	return p
}

// join makes e a part of g, or a group of its own if it is g.
func (p *Past) join(e, g *event) {
	p.groups[e.number] = g
	if e == g {
		p.all = append(p.all, e)
		return
	}
	if !e.vague && e.best > g.best {
		g.best, g.reason = e.best, e.reason
	}
	g.score, g.latest = max(g.score, e.score), max(g.latest, e.latest)
	g.actors.merge(&e.actors, &p.cfg)
	g.targets.merge(&e.targets, &p.cfg)
	if !e.vague {
		g.services.merge(&e.services, &p.cfg)
	}
	g.elsewhere = g.elsewhere || e.elsewhere || e.vague
	if e.number < g.number { // the first of its packets names it
		g.number = e.number
	}
}

// became returns what a vague event turned out to be the beginning of: something
// that the same actor does to all of its targets soon after; or itself.
func (p *Past) became(e *event) *event {
	for _, g := range p.all {
		if g.vague || g.best <= verdict.AnomalousScore || g.kind == verdict.Outlier || g.key.domain != e.key.domain ||
			g.actors.n != 1 || g.actors.listed[0] != e.key.actor || e.latest > g.latest ||
			!near(e.latest, max(e.latest, g.since), gap(verdict.Outlier)) {
			continue
		}
		if g.key.target == (detect.Party{}) || e.targets.n == 1 && e.targets.listed[0] == g.key.target {
			return g
		}
	}
	return e
}

// widen adds what e tells of g's scope.
func (p *Past) widen(e, g *event) {
	if e.forms == 0 || e.kind == verdict.Outlier {
		return
	}
	s := span{from: e.since, to: e.until, forms: e.forms, talk: e.talk, group: g}
	actor := key{kind: e.kind, actor: e.key.actor, domain: e.key.domain}
	switch e.role {
	case detect.RoleScan:
		if e.forms&detect.FormFTPData != 0 {
			p.beside[actor] = append(p.beside[actor], s)
		}
	case detect.RoleSweep:
		actor.actor.MAC = packet.MAC{} // of who asks for addresses, to call them
		s.to += int64(next)
		p.beside[actor] = append(p.beside[actor], s)
		s.to = e.until
	case detect.RoleVictim:
		if e.services.n == len(e.services.listed) && !e.elsewhere {
			s.services = e.services.listed
		}
	case detect.RoleClient, detect.RoleService:
	default:
		return
	}
	p.spans[e.key] = append(p.spans[e.key], s)
	if k := (kind{e.kind, e.role}); !slices.Contains(p.kinds, k) {
		p.kinds = append(p.kinds, k)
	}
}

// apart sorts spans and joins those that overlap.
func apart(spans []span) []span {
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	n := 0
	for _, s := range spans[1:] {
		if last := &spans[n]; s.from <= last.to {
			last.to, last.forms, last.talk = max(last.to, s.to), last.forms|s.forms, max(last.talk, s.talk)
			if len(s.services) == 0 {
				last.services = nil
			}
			continue
		}
		n++
		spans[n] = s
	}
	return spans[:n+1]
}

// Raise takes the next frame of the second pass, with the verdict that
// [Tracker.Observe] has seen. If it is not anomalous but part of something that
// is, and no rule says otherwise, the verdict becomes that of the incident.
// [Past.Count] has to follow.
func (p *Past) Raise(v *verdict.Verdict, o *flow.Observation) {
	p.owner = p.groups[v.Incident]
	if v.Score > verdict.AnomalousScore || v.Rule != 0 {
		return
	}
	g, parties := p.ownerOf(o)
	if g == nil {
		return
	}
	p.owner, p.parties = g, parties
	v.Score, v.Level, v.Type = g.score, verdict.Anomalous, g.kind
	v.Reason, v.Hindsight = "in hindsight: "+g.reason, true
}

// Count takes that frame into the account of its incident, and gives the verdict
// the number that this has at the end.
func (p *Past) Count(v *verdict.Verdict, o *flow.Observation) {
	g := p.owner
	switch {
	case v.Type == "": // ordinary, or a rule had the last word
		v.Incident, v.IncidentFirst, v.Hindsight = 0, 0, false
		return
	case g == nil:
		return // of an incident that is not kept any more
	case v.Hindsight:
		g.actors.add(&p.parties.Actor, &p.cfg)
		g.targets.add(&p.parties.Target, &p.cfg)
	}
	g.last = momentOf(v)
	if g.packets == 0 {
		g.first = g.last
	}
	g.packets++
	if v.Level == verdict.Anomalous {
		g.anomalous++
	}
	if o.Memo != nil && o.Memo.Hindsight != g.number {
		o.Memo.Hindsight = g.number
		g.flows++
	}
	v.Incident, v.IncidentFirst = g.number, g.first.Frame
}

// ownerOf returns the worst event that a packet looks like, and its sides; nil if
// there is none.
func (p *Past) ownerOf(o *flow.Observation) (owner *event, sides detect.Parties) {
	form, talk := detect.FormOf(o), p.talks.of(o.Flow)
	for _, k := range p.kinds {
		var parties detect.Parties
		k.role.Name(o, &parties)
		var events key
		events.of(k.verdict, &parties)
		s := spanOf(p.spans[events], o.Packet.Time)
		if s != nil && s.forms&form == form && s.talk >= talk && s.calls(parties.Service) &&
			(owner == nil || s.group.score > owner.score) {
			owner, sides = s.group, parties
		}
	}
	if owner == nil {
		owner = p.accessory(o, form, talk)
	}
	return owner, sides
}

// accessory returns the event that a packet serves without looking like it: its
// sender has an FTP server scan others, or tries the hosts that it found in a
// sweep, which have nothing to say.
func (p *Past) accessory(o *flow.Observation, form detect.Form, talk detect.Talk) *event {
	var k key
	switch {
	case len(p.beside) == 0:
		return nil
	case detect.Orders(o):
		server, _ := o.Server()
		k = key{kind: verdict.PortScan, actor: detect.Party{Addr: server}, domain: o.Packet.Domain}
	case form&(detect.FormSYN|detect.FormRequest) != 0 && talk == detect.Unanswered:
		k = key{kind: verdict.HostScan, actor: detect.Party{Addr: o.Packet.Src}, domain: o.Packet.Domain}
	}
	if s := spanOf(p.beside[k], o.Packet.Time); s != nil {
		return s.group
	}
	return nil
}

// calls tells that a packet to a service may be part of what is in the span.
func (s *span) calls(service detect.Service) bool {
	return len(s.services) == 0 || service == detect.Service{} || slices.Contains(s.services, service)
}

// spanOf returns which of spans a packet time is in, nil if in none.
func spanOf(spans []span, now int64) *span {
	i, found := slices.BinarySearchFunc(spans, now, func(s span, now int64) int { return cmp.Compare(s.from, now) })
	if !found {
		i--
	}
	if i < 0 || now > spans[i].to {
		return nil
	}
	return &spans[i]
}

// All returns the incidents, in the order of their numbers, with the packets of
// the second pass so far.
func (p *Past) All() []verdict.Incident {
	all := make([]verdict.Incident, len(p.all))
	for i, e := range p.all {
		all[i] = e.incident()
	}
	return all
}

// talks are how far each conversation came, two bits for each number of a flow.
type talks struct{ words []uint64 }

// maxTalks bounds the numbers, and the memory to 16 MB. What is beyond counts as
// having come far, of which the least is said.
const maxTalks = 1 << 26

// note takes how far the flow with that number has come, which never is less.
func (t *talks) note(flow uint32, talk detect.Talk) {
	if talk == detect.Unanswered || flow >= maxTalks {
		return
	}
	for int(flow/32) >= len(t.words) {
		t.words = append(t.words, 0)
	}
	t.words[flow/32] |= uint64(talk) << (flow % 32 * 2)
}

// of returns how far a flow came.
func (t *talks) of(flow uint32) detect.Talk {
	if flow >= maxTalks {
		return detect.Talking
	}
	if int(flow/32) >= len(t.words) {
		return detect.Unanswered
	}
	switch t.words[flow/32] >> (flow % 32 * 2) & 3 {
	case 0:
		return detect.Unanswered
	case uint64(detect.Answered):
		return detect.Answered
	}
	return detect.Talking
}

// Watch takes every packet of the first pass, for [Tracker.Past].
func (t *Tracker) Watch(o *flow.Observation) { t.talks.note(o.Flow, detect.TalkOf(o)) }
