package detect

import (
	"fmt"
	"math"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/verdict"
)

// newcomer finds conversations of a kind that a settled network does not have:
// machines that poll each other all day, and one of them calls a service that
// it never called before. How settled the network is, its own latest
// conversations tell: where new ones are usual, none is remarkable.
type newcomer struct {
	cfg         Newcomer
	odd         OddPort
	known       services[acquaintance]
	opened      rate  // conversations that were answered
	strange     rate  // of these, with a service new to the client
	latest      int64 // time of the latest that was remarkable
	busiest     service
	busiestHash lru.Hash
}

// acquaintance is a client that has called a service.
type acquaintance struct {
	opened rate // its conversations that were answered
	since  int64
	score  float64 // how remarkable that was
	usual  uint32  // conversations in Window then, and
	new    uint32  // new ones among them
	reason string
}

func newNewcomer(cfg Newcomer, odd OddPort) *newcomer {
	return &newcomer{cfg: cfg, odd: odd, known: newServices[acquaintance](cfg.Services)}
}

func (d *newcomer) Name() string { return "newcomer" }

func (d *newcomer) Wants(k Kind) Want {
	switch {
	case !k.hasPorts():
		return never
	case k.is(traitSignal) || k.is(traitStep) && k.any(traitClient|traitPayload):
		return always
	}
	return ifKnown
}

func (d *newcomer) await(c *Case) { d.known.await(c) }

func (d *newcomer) Observe(c *Case) {
	p := c.Packet
	if c.Flow == 0 || p.Time == 0 || !p.HasPorts() || toMany(&c.key.server) {
		return
	}
	if !c.FromClient && c.ServerPayloads == 1 && p.PayloadLength > 0 && c.Noise == flow.Clean {
		d.count(c)
	}
	opens := c.New && c.Noise == flow.Clean
	if !opens && !near(p.Time, d.latest, suspicionEnd) {
		return
	}
	a := d.known.get(c)
	if a == nil && opens {
		a = d.meet(c)
	}
	if a == nil || a.score < inkling {
		return
	}
	score := a.score
	if d.odd.odd(c.Observation) {
		// Two things that have nothing to do with each other: their chances
		// multiply, so their scores add.
		score = min(score+d.odd.Score, d.cfg.Most)
	}
	score *= math.Exp2(-math.Abs(float64(p.Time-a.since)) / float64(suspicionLife))
	if score < verdict.SuspiciousScore {
		c.found(Finding{Score: score})
		return
	}
	if a.reason == "" {
		a.reason = fmt.Sprintf("%s has not called %s port %d before, and of the %d conversations of the last %.0f s %d were new",
			c.key.client, c.key.server, c.key.port, a.usual, d.cfg.Window.Seconds(), a.new)
	}
	c.found(Finding{score, verdict.Outlier, a.reason, RoleService, 0})
}

// count counts a conversation that was answered; nothing else settles a
// network.
func (d *newcomer) count(c *Case) {
	now := c.Packet.Time
	d.opened.add(now, d.cfg.Window, 1)
	a := d.known.get(c)
	if a == nil {
		return
	}
	if n := a.opened.add(now, d.cfg.Window, 1); c.key == d.busiest || n > d.most(now) {
		d.busiest, d.busiestHash = c.key, c.keyHash
	}
}

// most is how many of the latest conversations were of the busiest client with
// one service.
func (d *newcomer) most(now int64) uint32 {
	if a := d.known.table.get(d.busiestHash, &d.busiest); a != nil {
		return a.opened.count(now, d.cfg.Window)
	}
	return 0
}

// habits is how many conversations there were of late, of which those of the
// busiest count for no more than all others: one client that calls a service
// without pause does not settle a network.
func (d *newcomer) habits(now int64) uint32 {
	all := d.opened.count(now, d.cfg.Window)
	return min(all, 2*(all-min(d.most(now), all)))
}

// meet notes that a client calls a service for the first time. The chance of
// that is what it was of late (Laplace's rule of succession), and the score
// what such a chance is worth on the common scale.
func (d *newcomer) meet(c *Case) *acquaintance {
	now := c.Packet.Time
	a := d.known.add(c)
	*a = acquaintance{since: now, usual: d.habits(now), new: d.strange.count(now, d.cfg.Window)}
	if a.usual < uint32(d.cfg.Conversations) {
		return a // at the beginning of a capture everything is new
	}
	d.strange.add(now, d.cfg.Window, 1)
	chance := float64(a.new+1) / float64(a.usual+2)
	a.score = min(-math.Log10(chance)*verdict.AnomalousScore/3, d.cfg.Most)
	if a.score >= inkling {
		d.latest = now
	}
	return a
}
