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
	clients *table[service, requests]
}

// requests are what one client asked of one service.
type requests struct {
	incident
	recent rate
}

func newRequestFlood(cfg RequestFlood) *requestFlood {
	return &requestFlood{cfg: cfg, clients: newTable[service, requests](cfg.Clients)}
}

func (d *requestFlood) Name() string { return "request_flood" }

// requestWindow is for how long the rate has to hold: pages come in bursts.
const requestWindow = 5 * time.Second

func (d *requestFlood) Observe(o *flow.Observation) Finding {
	p := o.Packet
	if p.Proto != packet.ProtoTCP || !p.HasPorts() || !o.FromClient {
		return Finding{}
	}
	key := serviceOf(o)
	var s *requests
	if o.Noise == flow.Clean && p.PayloadLength > 0 && (o.ClientPayloads == 1 || isHTTPRequest(p.Payload)) {
		s = d.clients.take(key)
		n := s.recent.add(p.Time, requestWindow, 1)
		s.raise(Grade(float64(n), d.cfg.Rate*requestWindow.Seconds()), p.Time, lull)
	} else if s = d.clients.get(key); s == nil {
		return Finding{}
	}
	if !s.active(p.Time, time.Second) {
		return Finding{}
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%s sent %d requests to %s port %d within %.0f s; people and their browsers send a few dozen",
			key.client, s.recent.count(p.Time, requestWindow), key.server, key.port, requestWindow.Seconds())
	}
	return Finding{s.score, verdict.Flood, s.reason}
}
