package flow

import (
	"encoding/binary"

	"ampulla/annotator/packet"
)

// copies recognises frames that a capture holds more than once because it
// listened at more than one point: a mirror port that copies both directions,
// two interfaces, two VLANs, both sides of a router or a tunnel.
//
// A copy comes at most Config.DuplicateGap after the one before and has the
// same addresses, ports, TCP fields, ICMP fields, lengths and payload head.
// Traffic repeats itself too, so that alone is not enough:
//
//   - If the IPv4 identification is not 0, it must be equal, as a sender counts
//     it up (RFC 6864 section 4.1 allows other values only for packets that
//     cannot be fragmented). On the same path the TTL must be equal too, or
//     every hop of a traceroute would be a copy of the one before.
//   - Otherwise (identification 0, IPv6) the copy must have come on another
//     path: other Ethernet addresses, VLAN or tunnel. Copies on the same path
//     cannot be told from repeated acknowledgements and datagrams; TCP segments
//     among them still are retransmissions.
//   - After Config.MaxCopies copies everything alike is traffic: a flood of
//     packets that are equal to the last bit is no matter of mirror ports.
//
// The table is a fixed array; a packet may push an older one out of it, which
// at worst lets a copy through.
type copies struct {
	slots []sighting
	gap   int64
	max   uint8
}

// sighting is a packet seen lately, and on which path.
type sighting struct {
	content, path uint64
	time          int64
	ttl           uint8
	copies        uint8
	used          bool
}

// copySlots is how many packets are remembered; a power of two.
const copySlots = 8192

func newCopies(c Config) copies {
	return copies{
		slots: make([]sighting, copySlots),
		gap:   int64(c.DuplicateGap),
		max:   uint8(min(max(c.MaxCopies, 0), 255)),
	}
}

// seen tells whether p is a copy of a packet seen just before.
func (c *copies) seen(p *packet.Packet) bool {
	now := sighting{content: hashContent(p), path: hashPath(p), time: p.Time, ttl: p.TTL, used: true}
	s := &c.slots[now.content%copySlots]
	d := now.time - s.time
	if !s.used || s.content != now.content || d > c.gap || d < -c.gap {
		*s = now
		return false
	}
	identified := p.Version == 4 && p.FragID != 0
	samePath := s.path == now.path
	if samePath && (!identified || s.ttl != now.ttl) {
		*s = now
		return false
	}
	s.time = now.time
	if s.copies >= c.max {
		return false
	}
	s.copies++
	return true
}

// hash is a running 64-bit mix, not a cryptographic one: who crafts packets
// that collide can hide at most Config.MaxCopies of them.
type hash uint64

func (h *hash) add(v uint64) {
	x := (uint64(*h) ^ v) * 0x9e3779b97f4a7c15
	*h = hash(x ^ x>>29)
}

func (h *hash) addBytes(b []byte) {
	for len(b) >= 8 {
		h.add(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var rest uint64
	for _, v := range b {
		rest = rest<<8 | uint64(v)
	}
	h.add(rest)
}

// hashContent covers what stays the same on every path of a packet.
func hashContent(p *packet.Packet) uint64 {
	var h hash = 0x243f6a8885a308d3
	h.addBytes(p.Src[:])
	h.addBytes(p.Dst[:])
	h.add(uint64(p.Proto)<<32 | uint64(p.SrcPort)<<16 | uint64(p.DstPort))
	h.add(uint64(p.FragID)<<32 | uint64(p.FragOffset))
	h.add(uint64(p.Seq)<<32 | uint64(p.Ack))
	h.add(uint64(p.TCPFlags)<<48 | uint64(p.Window)<<32 | uint64(p.PayloadLength))
	h.add(uint64(p.ICMPType)<<40 | uint64(p.ICMPCode)<<32 | uint64(p.ICMPID)<<16 | uint64(p.ICMPSeq))
	h.addBytes(p.Payload[:min(len(p.Payload), 64)])
	return uint64(h)
}

// hashPath covers what tells where on its way a packet was captured.
func hashPath(p *packet.Packet) uint64 {
	var h hash = 0x13198a2e03707344
	h.addBytes(p.SrcMAC[:])
	h.addBytes(p.DstMAC[:])
	h.add(uint64(p.VLAN)<<32 | uint64(p.Tunnel)<<16 | uint64(p.LinkType))
	return uint64(h)
}
