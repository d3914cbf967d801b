package detect

import (
	"fmt"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// storm finds machines that send broadcast after broadcast: a loop, a
// malfunction, or frames replayed into a wireless network to make it talk.
// Address resolution is left to the detectors of scans and spoofing.
type storm struct {
	cfg     Storm
	senders table[packet.MAC, broadcasts]
}

// broadcasts are what one machine sent to all.
type broadcasts struct {
	alarm
	recent rate
	length uint32 // of the latest frame
}

// stormWindow is how long a storm lasts at least; names are announced in bursts
// that are shorter.
const stormWindow = 5 * time.Second

func newStorm(cfg Storm) *storm {
	return &storm{cfg: cfg, senders: newTable[packet.MAC, broadcasts](cfg.Senders)}
}

func (d *storm) Name() string { return "storm" }

func (d *storm) Wants(k Kind) Want { return when(k.is(traitBroadcast)) }

func (d *storm) Observe(c *Case) {
	p := c.Packet
	if !isBroadcast(p) || p.Time == 0 {
		return
	}
	s := d.senders.take(hashOfMAC(p.SrcMAC), &p.SrcMAC)
	s.length = p.Length
	if c.Noise == flow.Clean {
		n := s.recent.add(p.Time, stormWindow, 1)
		s.raise(Grade(float64(n), d.cfg.Rate*stormWindow.Seconds()), p.Time, lull)
	}
	if !s.active(p.Time, time.Second) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%s sent %d broadcasts within %.0f s, the latest of %d bytes; networks see a few",
			p.SrcMAC, s.recent.count(p.Time, stormWindow), stormWindow.Seconds(), s.length)
	}
	c.found(Finding{s.score, verdict.Flood, s.reason, RoleMachine, p.Time - int64(stormWindow)})
}

// isBroadcast tells that a known network card sends to all others, but for ARP.
func isBroadcast(p *packet.Packet) bool {
	everyone := packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	return p.DstMAC == everyone && p.SrcMAC != (packet.MAC{}) && p.ARPOp == 0
}
