package packet

import "encoding/binary"

// set4 maps the IPv4 address at the start of b into a.
func (a *Addr) set4(b []byte) {
	clear(a[:8])
	binary.BigEndian.PutUint64(a[8:], 0xffff<<32|uint64(binary.BigEndian.Uint32(b)))
}

// ip decodes an IP packet of the version that its first byte gives.
func (d *Decoder) ip(s span) bool {
	if !d.need(s, 1) {
		return false
	}
	switch s.data[0] >> 4 {
	case 4:
		return d.ipv4(s)
	case 6:
		return d.ipv6(s)
	}
	return d.malformed()
}

// ipv4 decodes an IPv4 header (RFC 791) and what follows.
func (d *Decoder) ipv4(s span) bool {
	if !d.layer() || !d.need(s, 20) {
		return false
	}
	header := int(s.data[0]&15) * 4
	if s.data[0]>>4 != 4 || header < 20 {
		return d.malformed()
	}
	p := d.p
	p.Version, p.TTL, p.Proto = 4, s.data[8], s.data[9]
	p.Src.set4(s.data[12:])
	p.Dst.set4(s.data[16:])
	const moreFragments, offset = 1 << 13, 1<<13 - 1
	fragment := binary.BigEndian.Uint16(s.data[6:])
	p.FragID = uint32(binary.BigEndian.Uint16(s.data[4:]))
	p.FragOffset = uint32(fragment&offset) * 8
	p.MoreFragment = fragment&moreFragments != 0
	p.Fragment = p.MoreFragment || p.FragOffset != 0
	// A total length of 0 is left by segmentation offload.
	if total := uint32(binary.BigEndian.Uint16(s.data[2:])); total != 0 {
		s = s.limit(total)
	}
	if !d.need(s, header) {
		d.payload(s.cut(uint32(header)))
		return true
	}
	return d.ipPayload(s.skip(header))
}

// ipv6 decodes an IPv6 header (RFC 8200) and what follows.
func (d *Decoder) ipv6(s span) bool {
	if !d.layer() || !d.need(s, 40) {
		return false
	}
	if s.data[0]>>4 != 6 {
		return d.malformed()
	}
	p := d.p
	p.Version, p.Proto, p.TTL = 6, s.data[6], s.data[7]
	copy(p.Src[:], s.data[8:])
	copy(p.Dst[:], s.data[24:])
	// A payload length of 0 announces a jumbogram (RFC 2675) or is left by
	// segmentation offload.
	length := uint32(binary.BigEndian.Uint16(s.data[4:]))
	s = s.skip(40)
	if length != 0 || p.Proto == protoNone {
		s = s.limit(length)
	}
	return d.ipPayload(s)
}

// ipPayload skips extension headers and decodes the protocol behind them.
// Later fragments have none of its header.
func (d *Decoder) ipPayload(s span) bool {
	p := d.p
	for p.FragOffset == 0 {
		n := d.extension(s)
		if n == 0 || !d.layer() || !d.need(s, n) {
			return d.transport(s)
		}
		p.Proto = s.data[0]
		s = s.skip(n)
	}
	p.Name = protoName(p.Proto)
	return d.payload(s)
}

// extension returns the length of the extension header at the start of s, 0 if
// there is none, and takes note of a fragment header (RFC 8200 section 4,
// RFC 4302).
func (d *Decoder) extension(s span) int {
	p := d.p
	if p.Proto == protoAH && d.need(s, 2) {
		return int(s.data[1])*4 + 8
	}
	if p.Version != 6 {
		return 0
	}
	switch p.Proto {
	case protoHopByHop, protoRouting, protoDestination:
		if d.need(s, 2) {
			return int(s.data[1])*8 + 8
		}
	case protoMobility, protoHIP, protoShim6: // usually the packet itself
		if d.need(s, 2) && s.data[0] != protoNone {
			return int(s.data[1])*8 + 8
		}
	case protoFragment:
		if d.need(s, 8) {
			field := binary.BigEndian.Uint16(s.data[2:])
			p.FragOffset = uint32(field &^ 7)
			p.MoreFragment = field&1 != 0
			p.Fragment = p.MoreFragment || p.FragOffset != 0
			p.FragID = binary.BigEndian.Uint32(s.data[4:])
			return 8
		}
	}
	return 0
}
