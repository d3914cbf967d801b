package flow

import (
	"time"

	"ampulla/annotator/packet"
)

// maxHoles is how many gaps in the sequence numbers of one direction are
// remembered. Beyond it the oldest gap counts as seen.
const maxHoles = 4

// sameSYN is how long after a closed flow's last packet a SYN with the old
// initial sequence number still counts as its retransmission.
const sameSYN = 3 * int64(time.Second)

// stream follows the sequence numbers of one direction of a TCP flow, in the
// serial arithmetic of RFC 9293 section 3.4.
type stream struct {
	isn   uint32 // of the SYN; valid iff syn
	next  uint32 // right edge of what was seen; valid iff begun
	begun bool
	guess bool // next is only the number of an empty segment
	syn   bool
	fin   bool // FIN or RST was sent
	ack   bool // an ACK without SYN and RST was sent
	probe bool // the last packet was a keep-alive

	n     uint8
	holes *[maxHoles]hole // n of them; most flows have none, and no memory for any
}

// hole is a range [from, to) that was skipped.
type hole struct{ from, to uint32 }

// before tells whether a comes before b in serial arithmetic.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// judge tells what kind of noise p is, sent in the direction of s, with r the
// other one, and takes its sequence numbers in.
func (s *stream) judge(r *stream, p *packet.Packet) Noise {
	size := p.PayloadLength
	if r.guess && p.TCPFlags&packet.ACK != 0 && p.Ack == r.next+1 {
		r.next++ // what the other side sent was a keep-alive of a flow met half way
	}
	if p.TCPFlags&(packet.SYN|packet.FIN|packet.RST) == 0 && p.TCPFlags&packet.ACK != 0 {
		if s.begun && size <= 1 && p.Seq == s.next-1 {
			s.probe = true
			return KeepAlive
		}
		if r.probe && size == 0 && p.Seq == s.next && s.begun && p.Ack == r.next {
			r.probe = false
			return KeepAlive
		}
	}
	s.probe, r.probe = false, false
	if p.TCPFlags&packet.RST != 0 {
		return Clean
	}
	if p.TCPFlags&packet.SYN != 0 {
		size++
	}
	if p.TCPFlags&packet.FIN != 0 {
		size++
	}
	if size == 0 {
		if !s.begun {
			s.begun, s.guess, s.next = true, true, p.Seq
		}
		return Clean
	}
	if !s.see(p.Seq, p.Seq+size) {
		return Retransmission
	}
	return Clean
}

// see takes the range [from, to) in and tells whether any of it is new.
func (s *stream) see(from, to uint32) bool {
	s.guess = false
	if !s.begun {
		s.begun, s.next = true, to
		return true
	}
	isNew := false
	if before(s.next, to) {
		if before(s.next, from) {
			s.skip(hole{s.next, from})
		}
		s.next, isNew = to, true
	}
	return s.fill(from, to) || isNew
}

func (s *stream) skip(h hole) {
	if s.n == maxHoles {
		copy(s.holes[:], s.holes[1:])
		s.n--
	}
	if s.holes == nil {
		s.holes = new([maxHoles]hole)
	}
	s.holes[s.n] = h
	s.n++
}

// fill removes [from, to) from the holes and tells whether it met any.
func (s *stream) fill(from, to uint32) bool {
	if s.n == 0 {
		return false
	}
	old, n := *s.holes, s.n
	met := false
	s.n = 0
	for _, h := range old[:n] {
		if !before(from, h.to) || !before(h.from, to) {
			s.skip(h)
			continue
		}
		met = true
		if before(h.from, from) {
			s.skip(hole{h.from, from})
		}
		if before(to, h.to) {
			s.skip(hole{to, h.to})
		}
	}
	return met
}

// renewed tells whether p, a packet on the tuple of f, opens another flow: a
// SYN that neither repeats the one before nor crosses one of the other side
// (simultaneous open, RFC 9293 section 3.5).
func (f *Flow) renewed(p *packet.Packet, fromClient bool) bool {
	if p.Proto != packet.ProtoTCP || p.FragOffset != 0 ||
		p.TCPFlags&(packet.SYN|packet.ACK|packet.RST) != packet.SYN {
		return false
	}
	s, r := &f.streams[0], &f.streams[1]
	if !fromClient {
		s, r = r, s
	}
	repeated := s.syn && s.isn == p.Seq
	if s.fin || r.fin {
		return !repeated || p.Time-f.Last > sameSYN
	}
	if s.syn {
		return !repeated
	}
	return f.Established || !r.syn
}

// observeTCP takes the flags of a clean TCP packet in.
func (f *Flow) observeTCP(p *packet.Packet, fromClient bool) {
	s := &f.streams[0]
	if !fromClient {
		s = &f.streams[1]
	}
	flags := p.TCPFlags
	if flags&packet.SYN != 0 {
		s.syn, s.isn = true, p.Seq
	}
	if flags&(packet.FIN|packet.RST) != 0 {
		s.fin = true
	}
	if flags&(packet.ACK|packet.SYN|packet.RST) == packet.ACK {
		s.ack = true
	}
	c, v := &f.streams[0], &f.streams[1]
	if c.syn && v.syn && c.ack || f.Client.Payloads > 0 && f.Server.Payloads > 0 {
		f.Established = true
	}
}

// recordTCP counts what a clean TCP packet means for its hosts. It comes after
// observeTCP.
func (f *Flow) recordTCP(p *packet.Packet, with parties, fromClient bool) {
	if p.Proto != packet.ProtoTCP || p.FragOffset != 0 {
		return
	}
	src, dst := with.ends(fromClient)
	pair := &with.pair.Tally
	flags := p.TCPFlags
	switch flags & (packet.RST | packet.SYN | packet.ACK) {
	case packet.SYN:
		src.add(SYNOut, 1)
		if fromClient {
			pair.add(SYNOut, 1)
		}
	case packet.SYN | packet.ACK:
		dst.add(SYNACKIn, 1)
		if !fromClient {
			pair.add(SYNACKIn, 1)
		}
	}
	if flags&(packet.FIN|packet.RST) != 0 && !f.closed {
		f.closed = true
		f.recordEnd(flags, with, fromClient)
	}
}

// recordEnd counts how a TCP flow ended.
func (f *Flow) recordEnd(flags uint16, with parties, fromClient bool) {
	switch {
	case f.Established:
		if f.Client.Bytes+f.Server.Bytes < BriefBytes {
			with.count(true, Brief, BriefIn, 1)
		}
	case flags&packet.RST != 0 && !fromClient:
		with.client.add(Failed, 1)
		with.pair.add(Failed, 1)
	}
}
