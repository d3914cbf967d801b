package packet

import "encoding/binary"

// The LINKTYPE_ values that are decoded, see
// https://www.tcpdump.org/linktypes.html.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw12    = 12
	linkRaw14    = 14
	linkRaw      = 101
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

// link decodes a frame from its first byte.
func (d *Decoder) link(linkType uint16, s span) bool {
	switch linkType {
	case linkEthernet:
		return d.ethernet(s)
	case linkNull, linkLoop:
		return d.loopback(s)
	case linkRaw12, linkRaw14, linkRaw, linkIPv4, linkIPv6:
		return d.ip(s)
	case linkSLL:
		return d.sll(s)
	case linkSLL2:
		return d.sll2(s)
	}
	return false
}

// ethernet decodes an Ethernet II or IEEE 802.3 frame.
func (d *Decoder) ethernet(s span) bool {
	if !d.layer() || !d.need(s, 14) || d.eth.DecodeFromBytes(s.data, d) != nil {
		return false
	}
	copy(d.p.DstMAC[:], d.eth.DstMAC)
	copy(d.p.SrcMAC[:], d.eth.SrcMAC)
	return d.etherType(binary.BigEndian.Uint16(s.data[12:]), s.skip(14))
}

// loopback decodes the BSD loopback header, an address family in the byte
// order of the capturing machine (LINKTYPE_NULL) or big endian
// (LINKTYPE_LOOP).
func (d *Decoder) loopback(s span) bool {
	if !d.need(s, 4) {
		return false
	}
	family := binary.LittleEndian.Uint32(s.data)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(s.data)
	}
	switch family {
	case 2:
		return d.ipv4(s.skip(4))
	case 24, 28, 30, 10, 23:
		return d.ipv6(s.skip(4))
	}
	return false
}

// sll decodes the Linux cooked header, LINKTYPE_LINUX_SLL.
func (d *Decoder) sll(s span) bool {
	if !d.need(s, 16) {
		return false
	}
	if binary.BigEndian.Uint16(s.data[4:]) == 6 {
		copy(d.p.SrcMAC[:], s.data[6:12])
	}
	return d.cooked(binary.BigEndian.Uint16(s.data[2:]), binary.BigEndian.Uint16(s.data[14:]), s.skip(16))
}

// sll2 decodes the Linux cooked header, LINKTYPE_LINUX_SLL2.
func (d *Decoder) sll2(s span) bool {
	if !d.need(s, 20) {
		return false
	}
	if s.data[11] == 6 {
		copy(d.p.SrcMAC[:], s.data[12:18])
	}
	return d.cooked(binary.BigEndian.Uint16(s.data[8:]), binary.BigEndian.Uint16(s.data), s.skip(20))
}

// cooked decodes what follows a Linux cooked header that gives the ARPHRD_
// type of the device and the protocol.
func (d *Decoder) cooked(device, protocol uint16, s span) bool {
	return d.etherType(protocol, s)
}
