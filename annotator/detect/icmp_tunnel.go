package detect

import (
	"bytes"
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// icmpTunnel finds data carried in echo requests and replies. A reply has to
// repeat its request byte for byte (RFC 792), there is none without a request,
// and ping sends one size and, but for the time, one content.
type icmpTunnel struct {
	cfg   ICMPTunnel
	pairs table[pair, echoes]
}

// echoes is what a pair of hosts exchanged.
type echoes struct {
	alarm
	period
	packets    uint32
	asked      uint32 // requests, ever
	bytes      uint64
	mismatches int // replies that repeat no request
	sizes      distinct
	contents   distinct    // of requests, behind the time stamp
	requests   [64]request // the latest ones, by hash of id and sequence number
}

// request is an echo request.
type request struct {
	id, seq  uint16
	used     bool
	fromLow  bool // the lower of the two addresses asked
	answered bool
	length   uint32
	head     uint64 // hash of the first bytes
}

func newICMPTunnel(cfg ICMPTunnel) *icmpTunnel {
	return &icmpTunnel{cfg: cfg, pairs: newTable[pair, echoes](cfg.Pairs)}
}

func (d *icmpTunnel) Name() string { return "icmp_tunnel" }

func (d *icmpTunnel) Wants(k Kind) Want { return when(k.over() == overICMP) }

func (d *icmpTunnel) Observe(c *Case) {
	p := c.Packet
	request, reply := isEcho(p)
	if !request && !reply || p.FragOffset != 0 {
		return
	}
	key := pair{p.Src, p.Dst, p.Domain}
	fromLow := bytes.Compare(p.Src[:], p.Dst[:]) <= 0
	if !fromLow {
		key.src, key.dst = key.dst, key.src
	}
	s := d.pairs.take(key.hash(), &key)
	if c.Noise == flow.Clean {
		if s.over(p.Time, d.cfg.Window) {
			sizes, contents := s.sizes, s.contents
			sizes.clear()
			contents.clear()
			*s = echoes{alarm: s.alarm, period: begin(p.Time), sizes: sizes, contents: contents, asked: s.asked, requests: s.requests}
		}
		s.packets++
		s.bytes += uint64(p.PayloadLength)
		s.sizes.add(uint64(p.PayloadLength))
		r := requestOf(p, fromLow == request)
		switch slot := &s.requests[r.slot()]; {
		case request:
			*slot = r
			s.asked++
			if len(p.Payload) > stampBytes {
				s.contents.add(hashBytes(p.Payload[stampBytes:min(len(p.Payload), 128)]))
			}
		case s.asked > 0 && slot.mismatch(r):
			s.mismatches++
		}
		s.raise(max(Grade(float64(s.mismatches), float64(d.cfg.Mismatches)), Grade(float64(s.sizes.n), float64(d.cfg.Sizes)),
			Grade(float64(s.contents.n-s.sizes.n), float64(d.cfg.Contents))), p.Time, d.cfg.Window)
	}
	if !s.active(p.Time, d.cfg.Window) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%d echoes between %s and %s carried %d bytes in %d sizes and %s contents (ping: one) within %.1f s, and %d replies do not repeat a request, as they must",
			s.packets, p.Src, p.Dst, s.bytes, s.sizes.n, s.contents.size(), s.seconds(p.Time), s.mismatches)
	}
	c.found(Finding{s.score, verdict.ICMPTunnel, s.reason, RoleClient, s.start})
}

// stampBytes is how much of a request ping uses for the time, which differs
// from one to the next, unlike the rest.
const stampBytes = 16

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

// requestOf returns the request that p is, or should repeat.
func requestOf(p *packet.Packet, fromLow bool) request {
	return request{
		id: p.ICMPID, seq: p.ICMPSeq, used: true, fromLow: fromLow,
		length: p.PayloadLength, head: hashBytes(p.Payload[:min(len(p.Payload), 64)]),
	}
}

func (r *request) slot() uint64 {
	return mix(uint64(r.id)<<16|uint64(r.seq)) % uint64(len(echoes{}.requests))
}

// mismatch takes the reply to a request and tells whether it is none: it says
// something else, or nobody asked. A slot that is taken by a request still
// without reply may have held the one in question.
func (r *request) mismatch(reply request) bool {
	if r.used && r.id == reply.id && r.seq == reply.seq && r.fromLow == reply.fromLow {
		r.answered = true
		return r.length != reply.length || r.head != reply.head
	}
	return !r.used || r.answered
}
