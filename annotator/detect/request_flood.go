package detect

import (
	"fmt"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// requestFlood finds clients that send a service more requests than people or
// their browsers do. Each is answered, so that nothing about a single one is
// odd.
type requestFlood struct {
	cfg     RequestFlood
	clients services[requests]
	latest  int64 // time of the latest evidence of a flood
}

// requests are what one client asked of one service.
type requests struct {
	alarm
	recent rate
}

func newRequestFlood(cfg RequestFlood) *requestFlood {
	return &requestFlood{cfg: cfg, clients: newServices[requests](cfg.Clients)}
}

func (d *requestFlood) Name() string { return "request_flood" }

// requestWindow is for how long the rate has to hold: pages come in bursts.
const requestWindow = 5 * time.Second

func (d *requestFlood) Wants(k Kind) Want {
	switch {
	case k.over() != overTCP || !k.is(traitClient):
		return never
	case k.is(traitWeb) || k.is(traitStep|traitPayload):
		return always
	}
	return ifKnown
}

func (d *requestFlood) Observe(c *Case) {
	p := c.Packet
	if p.Proto != packet.ProtoTCP || !p.HasPorts() || !c.FromClient {
		return
	}
	asks := c.Noise == flow.Clean && p.PayloadLength > 0 && (c.ClientPayloads == 1 || isHTTPRequest(p.Payload))
	if !asks && !near(p.Time, d.latest, time.Second) {
		return
	}
	if asks {
		d.count(c)
	}
	s := d.clients.get(c)
	if s == nil || !s.active(p.Time, time.Second) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%s sent %d requests to %s port %d within %.0f s; people and their browsers send a few dozen",
			c.key.client, s.recent.count(p.Time, requestWindow), c.key.server, c.key.port, requestWindow.Seconds())
	}
	c.found(Finding{s.score, verdict.Flood, s.reason, RoleVictim, p.Time - int64(requestWindow)})
}

func (d *requestFlood) count(c *Case) {
	now := c.Packet.Time
	s := d.clients.take(c)
	n := s.recent.add(now, requestWindow, 1)
	if score := Grade(float64(n), d.cfg.Rate*requestWindow.Seconds()); score >= inkling {
		s.raise(score, now, lull)
		d.latest = now
	}
}
