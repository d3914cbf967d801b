package detect

import (
	"bytes"
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// webShell finds clients that only ever post to scripts of a web server and
// never get a page from it, as programs do that work through a script left
// there or report to one. People get pages, and interfaces for programs have
// no endings of scripts.
type webShell struct {
	cfg     WebShell
	clients services[posts]
	latest  int64 // time of the latest post to a script
}

// posts is what one client sends to the scripts of one service.
type posts struct {
	alarm
	period
	pages bool // it got a page as well
	n     uint32
	path  string // last part of the path of the latest script
	mixed mixedScripts
}

func newWebShell(cfg WebShell) *webShell {
	return &webShell{cfg: cfg, clients: newServices[posts](cfg.Clients)}
}

func (d *webShell) Name() string { return "web_shell" }

func (d *webShell) Wants(k Kind) Want {
	switch {
	case !k.maybeTCP():
		return never
	case k.is(traitWeb) || k.over() == overFragment:
		return always
	}
	return ifKnown
}

func (d *webShell) Observe(c *Case) {
	p := c.Packet
	if p.Proto != packet.ProtoTCP || p.Version == 0 {
		return
	}
	asks := c.FromClient && isHTTPRequest(p.Payload)
	if !asks && !near(p.Time, d.latest, d.cfg.Window) {
		return
	}
	if asks && c.Noise == flow.Clean {
		d.request(c)
	}
	s := d.clients.get(c)
	if s == nil {
		return
	}
	if s.pages || s.score < s.mixed.score() || !s.active(p.Time, d.cfg.Window) {
		s.mixed.tell(c)
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%d requests within %.1f s to %s port %d, all of them POST to scripts such as %s; people get pages as well",
			s.n, s.seconds(p.Time), c.key.server, c.key.port, s.path)
	}
	c.found(Finding{s.score, verdict.Outlier, s.reason, RoleService, 0})
}

func (d *webShell) request(c *Case) {
	p := c.Packet
	s := d.clients.take(c)
	if s.over(p.Time, d.cfg.Window) {
		*s = posts{period: begin(p.Time)}
	}
	path, kind := scriptOf(p.Payload)
	if s.mixed.add(p, kind) {
		d.latest = p.Time
	}
	if kind == 0 || !bytes.HasPrefix(p.Payload, []byte("POST ")) {
		s.pages = true
		return
	}
	s.n++
	d.latest = p.Time
	s.path = printable(path)
	s.raise(Grade(float64(s.n), float64(d.cfg.Posts)), p.Time, d.cfg.Window)
}

// scriptOf returns the last part of the path that is asked for, and the kind of
// script that it is, 0 if it is none.
func scriptOf(b []byte) (path []byte, kind scriptKind) {
	_, rest, _ := bytes.Cut(b[:min(len(b), 200)], []byte{' '})
	path, _, _ = bytes.Cut(rest, []byte{' '})
	path, _, _ = bytes.Cut(path, []byte{'?'})
	for _, ending := range scriptEndings {
		if bytes.HasSuffix(path, []byte(ending.text)) {
			return path[bytes.LastIndexByte(path, '/')+1:], ending.kind
		}
	}
	return nil, 0
}
