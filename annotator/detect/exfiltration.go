package detect

import (
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// exfiltration finds internal hosts that send much to one external destination
// and get little back. Only what the calling side sends counts, so a server
// that is downloaded from sends nothing out.
type exfiltration struct {
	cfg   Exfiltration
	pairs table[pair, upload]
	hosts table[packet.Addr, uploader]
}

// upload is what one host exchanged with one destination.
type upload struct {
	alarm
	period
	out, in uint64 // payload bytes
	covert  uint64 // of out: in DNS and ICMP
	usual   float64
}

// uploader is what one host sent to all destinations.
type uploader struct {
	period
	out          uint64
	destinations distinct
}

func newExfiltration(cfg Exfiltration) *exfiltration {
	return &exfiltration{
		cfg:   cfg,
		pairs: newTable[pair, upload](cfg.Pairs),
		hosts: newTable[packet.Addr, uploader](cfg.Pairs),
	}
}

func (d *exfiltration) Name() string { return "exfiltration" }

func (d *exfiltration) Wants(k Kind) Want {
	return when(k.is(traitOutward) && k.any(traitClient|traitPayload))
}

func (d *exfiltration) await(c *Case) { d.pairs.await(c.forth()) }

func (d *exfiltration) Observe(c *Case) {
	p := c.Packet
	if p.Version == 0 || c.Flow == 0 || p.PayloadLength == 0 && !c.FromClient {
		return
	}
	if c.FromClient {
		d.sent(c)
		return
	}
	if s := d.pairs.get(c.forth()); s != nil && c.Noise == flow.Clean {
		s.in += uint64(p.PayloadLength)
	}
}

func (d *exfiltration) sent(c *Case) {
	p := c.Packet
	if !internal(&p.Src) || internal(&p.Dst) || c.many {
		return
	}
	s := d.pairs.take(c.forth())
	if c.Noise == flow.Clean && p.PayloadLength > 0 {
		if s.over(p.Time, d.cfg.Window) {
			*s = upload{period: begin(p.Time)}
		}
		n := uint64(p.PayloadLength)
		s.out += n
		if isCovert(c.Observation) {
			s.covert += n
		}
		d.judge(s, p.Time, d.host(p, n))
	}
	if !s.active(p.Time, d.cfg.Window) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = s.words(p)
	}
	c.found(Finding{s.score, verdict.Exfiltration, s.reason, RoleClient, s.start})
}

// host adds n bytes to what the sender of p sends altogether.
func (d *exfiltration) host(p *packet.Packet, n uint64) *uploader {
	h := d.hosts.take(hashOfAddr(&p.Src), &p.Src)
	if h.over(p.Time, d.cfg.Window) {
		destinations := h.destinations
		destinations.clear()
		*h = uploader{period: begin(p.Time), destinations: destinations}
	}
	h.out += n
	h.destinations.add(hashAddr(p.Dst))
	return h
}

func (d *exfiltration) judge(s *upload, now int64, h *uploader) {
	s.usual = 0
	if others := h.destinations.n - 1; others > 0 && h.out > s.out {
		s.usual = float64(h.out-s.out) / float64(others)
	}
	covert := Grade(float64(s.covert), d.cfg.CovertBytes)
	if float64(s.out) < d.cfg.Ratio*float64(s.in) {
		s.score = 0 // a conversation, not an upload
		return
	}
	score := Grade(float64(s.out), max(d.cfg.Bytes, d.cfg.Usual*s.usual))
	s.raise(max(score, covert), now, d.cfg.Window)
}

// isCovert tells that a packet belongs to a protocol that is not made for
// carrying data.
func isCovert(o *flow.Observation) bool {
	p := o.Packet
	switch p.Proto {
	case packet.ProtoICMP, packet.ProtoICMPv6:
		return true
	case packet.ProtoUDP:
		return p.DstPort == 53 || classOf(o) == "dns"
	}
	return false
}

func (s *upload) words(p *packet.Packet) string {
	usual := "it sends nothing to other destinations"
	if s.usual > 0 {
		usual = fmt.Sprintf("it sends %s to its other destinations on average", megabytes(s.usual))
	}
	return fmt.Sprintf("%s sent to %s within %.1f s and %s received; %s",
		megabytes(float64(s.out)), p.Dst, s.seconds(p.Time), megabytes(float64(s.in)), usual)
}

func megabytes(n float64) string {
	if n < 1e4 {
		return fmt.Sprintf("%.0f bytes", n)
	}
	return fmt.Sprintf("%.2f MB", n/1e6)
}
