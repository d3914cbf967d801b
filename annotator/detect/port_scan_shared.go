package detect

import (
	"fmt"

	"ampulla/annotator/verdict"
)

// sharedScan is what several hosts together tried of one.
type sharedScan struct {
	alarm
	period
	ports   distinct // marked when they carried a conversation
	sources distinct
}

// share counts a TCP probe that may be part of a scan shared by several hosts,
// each of which tries too little to be found by itself.
func (d *portScan) share(c *Case) {
	p := c.Packet
	s := d.shared.take(c.target())
	if s.over(p.Time, d.cfg.Window) {
		ports, sources := s.ports, s.sources
		ports.clear()
		sources.clear()
		*s = sharedScan{period: begin(p.Time), ports: ports, sources: sources}
	}
	s.sources.add(hashAddr(p.Src))
	if !s.ports.add(portKey(p.Proto, p.DstPort)) || s.sources.n < d.cfg.Sources {
		return
	}
	// A flood goes to few ports, or has a new source for every packet.
	n, served := s.ports.n, s.ports.marked
	if float64(served) > d.cfg.Served*float64(n) || s.sources.n > n/2 {
		s.score = 0
		return
	}
	s.raise(Grade(float64(n-served), float64(d.cfg.Shared)), p.Time, d.cfg.Window)
}

// shares tells what a probe is part of if its port was tried by several.
func (d *portScan) shares(c *Case) {
	p := c.Packet
	s := d.shared.get(c.target())
	if s == nil || s.sources.n < d.cfg.Sources || !s.active(p.Time, d.cfg.Window) || s.ports.isMarked(portKey(p.Proto, p.DstPort)) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%s hosts together probed %s ports of %s within %.1f s, %d used; clients use the few that they try",
			s.sources.size(), s.ports.size(), p.Dst, s.seconds(p.Time), s.ports.marked)
	}
	c.found(Finding{s.score, verdict.PortScan, s.reason, RoleVictim, s.start})
}
