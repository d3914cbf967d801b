package detect

import (
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// slowDoS finds clients that occupy a service with requests that never end
// (Slowloris, slow POST): connections in which the client drips a few bytes
// now and then and the server has nothing to answer yet.
type slowDoS struct {
	cfg      SlowDoS
	services services[slowService]
}

type slowService struct {
	alarm
	period
	flows distinct // that dripped within the window
	drips uint32
}

func newSlowDoS(cfg SlowDoS) *slowDoS {
	return &slowDoS{cfg: cfg, services: newServices[slowService](cfg.Services)}
}

func (d *slowDoS) Name() string { return "slow_dos" }

func (d *slowDoS) Wants(k Kind) Want {
	switch {
	case !k.maybeTCP() || !k.is(traitClient|traitSilent):
		return never
	case k.is(traitPayload):
		return always
	}
	return ifKnown
}

func (d *slowDoS) Observe(c *Case) {
	p := c.Packet
	if p.Version == 0 || p.Proto != packet.ProtoTCP || !c.FromClient || c.ServerBytes != 0 {
		return
	}
	if c.Noise == flow.Clean && d.drip(c.Observation) {
		s := d.services.take(c)
		if s.over(p.Time, d.cfg.Window) {
			flows := s.flows
			flows.clear()
			*s = slowService{alarm: s.alarm, period: begin(p.Time), flows: flows}
		}
		s.drips++
		if s.flows.add(uint64(c.Flow)) {
			s.raise(Grade(float64(s.flows.n), float64(d.cfg.Connections)), p.Time, d.cfg.Window)
		}
		s.last = p.Time
	}
	s := d.services.get(c)
	if s == nil || !s.active(p.Time, d.cfg.Window) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%s connections to %s port %d held open with %d fragments of requests within %.1f s, none of them finished; browsers send a request at once",
			s.flows.size(), c.key.server, c.key.port, s.drips, s.seconds(p.Time))
	}
	c.found(Finding{s.score, verdict.SlowDoS, s.reason, RoleVictim, s.start})
}

// drip tells that the packet adds a little to a request that has been going on
// for long.
func (d *slowDoS) drip(o *flow.Observation) bool {
	n := o.Packet.PayloadLength
	return n > 1 && n <= 512 && o.Age > int64(d.cfg.MinAge) &&
		o.ClientPayloads > 1 && o.ClientBytes <= uint64(d.cfg.MaxBytes)
}
