package detect

import (
	"bytes"
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// icmpTunnel finds data carried in echo requests and replies. A reply has to
// repeat its request byte for byte (RFC 792), and ping sends one size.
type icmpTunnel struct {
	cfg   ICMPTunnel
	pairs *table[pair, echoes]
}

// echoes is what a pair of hosts exchanged.
type echoes struct {
	incident
	period
	packets    uint32
	bytes      uint64
	mismatches int
	sizes      distinct
	// The last request that had no reply yet.
	asked   bool
	id, seq uint16
	length  uint32
	head    [64]byte
}

func newICMPTunnel(cfg ICMPTunnel) *icmpTunnel {
	return &icmpTunnel{cfg: cfg, pairs: newTable[pair, echoes](cfg.Pairs)}
}

func (d *icmpTunnel) Name() string { return "icmp_tunnel" }

func (d *icmpTunnel) Observe(o *flow.Observation) Finding {
	p := o.Packet
	request, reply := isEcho(p)
	if !request && !reply || p.FragOffset != 0 {
		return Finding{}
	}
	key := pair{p.Src, p.Dst, p.Domain}
	if bytes.Compare(p.Src[:], p.Dst[:]) > 0 {
		key.src, key.dst = key.dst, key.src
	}
	s := d.pairs.take(key)
	if o.Noise == flow.Clean {
		if s.over(p.Time, d.cfg.Window) {
			sizes := s.sizes
			sizes.clear()
			*s = echoes{incident: s.incident, period: begin(p.Time), sizes: sizes}
		}
		s.packets++
		s.bytes += uint64(p.PayloadLength)
		s.sizes.add(uint64(p.PayloadLength))
		if request {
			s.ask(p)
		} else if s.differs(p) {
			s.mismatches++
		}
		score := Grade(float64(s.mismatches), float64(d.cfg.Mismatches))
		s.raise(max(score, Grade(float64(s.sizes.n), float64(d.cfg.Sizes))), p.Time, d.cfg.Window)
	}
	if !s.active(p.Time, d.cfg.Window) {
		return Finding{}
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("ICMP tunnel: %d echoes between %s and %s carried %d bytes in %d sizes within %.0f s, and %d replies differ from their requests, which they must repeat",
			s.packets, p.Src, p.Dst, s.bytes, s.sizes.n, s.seconds(p.Time), s.mismatches)
	}
	return Finding{s.score, verdict.ICMPTunnel, s.reason}
}

func isEcho(p *packet.Packet) (request, reply bool) {
	if p.Version == 0 {
		return false, false
	}
	switch p.Proto {
	case packet.ProtoICMP:
		return p.ICMPType == 8, p.ICMPType == 0
	case packet.ProtoICMPv6:
		return p.ICMPType == 128, p.ICMPType == 129
	}
	return false, false
}

func (s *echoes) ask(p *packet.Packet) {
	s.asked, s.id, s.seq, s.length = true, p.ICMPID, p.ICMPSeq, p.PayloadLength
	clear(s.head[copy(s.head[:], p.Payload):])
}

// differs tells that a reply does not repeat the request it belongs to.
func (s *echoes) differs(p *packet.Packet) bool {
	if !s.asked || s.id != p.ICMPID || s.seq != p.ICMPSeq {
		return false
	}
	s.asked = false
	n := min(len(p.Payload), len(s.head))
	return s.length != p.PayloadLength || !bytes.Equal(s.head[:n], p.Payload[:n])
}
