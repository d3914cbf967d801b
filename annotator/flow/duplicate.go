package flow

import (
	"encoding/binary"
	"math/bits"

	"ampulla/annotator/lru"
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
	content ContentHash
	path    uint64
	time    int64
	ttl     uint8
	copies  uint8
	used    bool
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

// await has the processor fetch what seen will look at.
func (c *copies) await(h ContentHash) { lru.Prefetch(&c.slots[h%copySlots]) }

// seen tells whether p, which has the hash h, is a copy of a packet seen just before.
func (c *copies) seen(p *packet.Packet, h ContentHash) bool {
	path := hashPath(p)
	s := &c.slots[h%copySlots]
	d := p.Time - s.time
	if !s.used || s.content != h || d > c.gap || d < -c.gap {
		s.set(p, h, path)
		return false
	}
	identified := p.Version == 4 && p.FragID != 0
	if s.path == path && (!identified || s.ttl != p.TTL) {
		s.set(p, h, path)
		return false
	}
	s.time = p.Time
	if s.copies >= c.max {
		return false
	}
	s.copies++
	return true
}

// set makes s the sighting of another packet.
func (s *sighting) set(p *packet.Packet, h ContentHash, path uint64) {
	s.content, s.path, s.time = h, path, p.Time
	s.ttl, s.copies, s.used = p.TTL, 0, true
}

// ContentHash covers what stays the same on every path of a packet. (It is no
// cryptographic one, and the same in every process: who crafts packets that
// collide can hide at most Config.MaxCopies of them.)
type ContentHash uint64

// HashContent returns the hash of a packet's content, best while its payload is
// still at hand; 0 without IP addresses, as there are no flows of such packets.
func HashContent(p *packet.Packet) ContentHash {
	if p.Version == 0 {
		return 0
	}
	src := mixed(word(p.Src[:8])^odd[0], word(p.Src[8:])^odd[1])
	dst := mixed(word(p.Dst[:8])^odd[2], word(p.Dst[8:])^odd[3])
	ends := mixed(src^uint64(p.Proto)<<32^uint64(p.SrcPort)<<16^uint64(p.DstPort), dst^uint64(p.FragID)<<32^uint64(p.FragOffset))
	tcp := mixed(odd[0]^uint64(p.Seq)<<32^uint64(p.Ack), odd[1]^uint64(p.TCPFlags)<<48^uint64(p.Window)<<32^uint64(p.PayloadLength))
	icmp := uint64(p.ICMPType)<<40 | uint64(p.ICMPCode)<<32 | uint64(p.ICMPID)<<16 | uint64(p.ICMPSeq)
	return ContentHash(mixed(ends^icmp, tcp^hashBytes(p.Payload[:min(len(p.Payload), 64)])))
}

// hashPath covers what tells where on its way a packet was captured.
func hashPath(p *packet.Packet) uint64 {
	from := p.SrcMAC.Number() | uint64(p.VLAN)<<48
	to := p.DstMAC.Number() | uint64(p.LinkType)<<48
	return mixed(from^odd[0], to^odd[1]) + uint64(p.Tunnel)*odd[2]
}

// odd are the first binary digits of pi behind the point, made odd.
var odd = [...]uint64{0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1, 0x082efa98ec4e6c89}

// mixed makes one number of two (the multiplication of wyhash).
func mixed(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// hashBytes takes 16 bytes at a time, and zeros behind the last. (What it makes of
// them decides which packets push others out of the table, and so, if rarely, what
// models are trained on: another hash means to train again.)
func hashBytes(b []byte) uint64 {
	h := odd[2] ^ uint64(len(b))
	for ; len(b) >= 16; b = b[16:] {
		h = mixed(h^word(b), odd[3]^word(b[8:16]))
	}
	if len(b) == 0 { // as mostly
		return mixed(h, odd[3])
	}
	var rest [16]byte
	copy(rest[:], b)
	return mixed(h^word(rest[:]), odd[3]^word(rest[8:]))
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
