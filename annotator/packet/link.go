package packet

import "encoding/binary"

// The LINKTYPE_ values whose frames are decoded, see
// https://www.tcpdump.org/linktypes.html.
const (
	linkNull      = 0
	linkEthernet  = 1
	linkTokenRing = 6
	linkPPP       = 9
	linkFDDI      = 10
	linkRaw12     = 12
	linkRaw14     = 14
	linkPPPHDLC   = 50
	linkPPPoE     = 51
	linkATM1483   = 100
	linkRaw       = 101
	linkCHDLC     = 104
	linkWLAN      = 105
	linkFRelay    = 107
	linkLoop      = 108
	linkENC       = 109
	linkSLL       = 113
	linkPFLog     = 117
	linkPrism     = 119
	linkIPOverFC  = 122
	linkRadiotap  = 127
	linkFirewire  = 138
	linkAVS       = 163
	linkPPPD      = 166
	linkPPI       = 192
	linkPPPDir    = 204
	linkCHDLCDir  = 205
	linkFRelayDir = 206
	linkIPv4      = 228
	linkIPv6      = 229
	linkNFLog     = 239
	linkSLL2      = 276
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
	case linkPPP, linkPPPD:
		return d.pppHDLC(s)
	case linkPPPHDLC:
		return d.pppSerial(s)
	case linkPPPoE:
		return d.pppoe(s)
	case linkCHDLC:
		return d.chdlc(s)
	case linkFRelay:
		return d.frameRelay(s)
	case linkPPPDir:
		return d.need(s, 1) && d.pppHDLC(s.skip(1))
	case linkCHDLCDir:
		return d.need(s, 1) && d.chdlc(s.skip(1))
	case linkFRelayDir:
		return d.need(s, 1) && d.frameRelay(s.skip(1))
	case linkWLAN:
		return d.wlan(s, false)
	case linkRadiotap:
		return d.radiotap(s)
	case linkPrism, linkAVS:
		return d.prism(s)
	case linkPPI:
		return d.ppi(s)
	}
	return d.rareLink(linkType, s)
}

// rareLink decodes the link types that are seldom met.
func (d *Decoder) rareLink(linkType uint16, s span) bool {
	switch linkType {
	case linkTokenRing:
		return d.tokenRing(s)
	case linkFDDI: // frame control, then addresses (ISO 9314-2)
		return d.need(s, 13) && d.macs(s.data[1:13]) && d.logicalLink(s.skip(13))
	case linkATM1483:
		return d.logicalLink(s)
	case linkIPOverFC: // addresses of eight bytes (RFC 2625)
		return d.need(s, 16) && d.logicalLink(s.skip(16))
	case linkFirewire: // addresses of eight bytes, EtherType (RFC 2734)
		return d.need(s, 18) && d.etherType(binary.BigEndian.Uint16(s.data[16:]), s.skip(18))
	case linkENC: // address family, SPI, flags in host byte order
		return d.need(s, 12) && d.ip(s.skip(12))
	case linkPFLog: // length of the header, padded to four bytes
		return d.need(s, 4) && d.skipTo(&s, (int(s.data[0])+3)&^3) && d.ip(s)
	case linkNFLog:
		return d.nflog(s)
	}
	if name := linkName(linkType); name != "" {
		return d.name(name)
	}
	return false
}

// skipTo drops the first n bytes of s and tells whether they were captured.
func (d *Decoder) skipTo(s *span, n int) bool {
	if !d.need(*s, n) {
		return false
	}
	*s = s.skip(n)
	return true
}

// macs copies destination and source address from the 12 bytes of b.
func (d *Decoder) macs(b []byte) bool {
	copy(d.p.DstMAC[:], b[:6])
	copy(d.p.SrcMAC[:], b[6:12])
	return true
}

// loopback decodes the BSD loopback header, an address family in the byte
// order of the capturing machine (LINKTYPE_NULL) or big endian
// (LINKTYPE_LOOP). gopacket's layer refuses what some tools write there.
func (d *Decoder) loopback(s span) bool {
	if !d.need(s, 4) {
		return false
	}
	family := binary.LittleEndian.Uint32(s.data)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(s.data)
	}
	s = s.skip(4)
	switch family {
	case 2: // AF_INET everywhere
		return d.ipv4(s)
	case 10, 23, 24, 28, 30: // AF_INET6 of Linux, Windows and the BSDs
		return d.ipv6(s)
	case 7:
		return d.osi(s)
	}
	if family >= 0x600 { // an EtherType, as Wireshark's dissector accepts
		return d.etherType(uint16(family), s)
	}
	return false
}

// ARPHRD_ values of Linux devices whose cooked frames need care.
const (
	deviceWLAN     = 801
	devicePrism    = 802
	deviceRadiotap = 803
	deviceNetlink  = 824
)

// sll decodes the Linux cooked header, LINKTYPE_LINUX_SLL. gopacket's layer
// takes the length of the address on trust.
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
	switch device {
	case deviceWLAN:
		return d.wlan(s, false)
	case devicePrism:
		return d.prism(s)
	case deviceRadiotap:
		return d.radiotap(s)
	case deviceNetlink:
		return d.name("netlink")
	}
	switch protocol {
	case 0x0001: // Novell's raw 802.3
		return d.name("ipx")
	case 0x0004: // 802.2
		return d.logicalLink(s)
	case 0x000c, 0x000d, 0x000e: // CAN, CAN FD, CAN XL
		return d.name("can")
	}
	return d.etherType(protocol, s)
}

// tokenRing decodes access control, frame control, addresses and the source
// route if the source address announces one (IEEE 802.5).
func (d *Decoder) tokenRing(s span) bool {
	if !d.need(s, 14) {
		return false
	}
	d.macs(s.data[2:14])
	if s.data[1]&0xc0 != 0x40 { // not LLC
		return d.name("trmac")
	}
	routed := d.p.SrcMAC[0]&0x80 != 0
	d.p.SrcMAC[0] &= 0x7f
	s = s.skip(14)
	if routed && (!d.need(s, 2) || !d.skipTo(&s, int(s.data[0]&0x1f))) {
		return false
	}
	return d.logicalLink(s)
}

// nflog decodes LINKTYPE_NFLOG: address family, version, resource, then
// values of which number 9 is the packet.
func (d *Decoder) nflog(s span) bool {
	for ok := d.skipTo(&s, 4); ok && d.need(s, 4); {
		length := int(binary.LittleEndian.Uint16(s.data))
		kind := binary.LittleEndian.Uint16(s.data[2:]) &^ 0xc000
		switch {
		case length < 4:
			return d.malformed()
		case kind == 9:
			return d.ip(s.limit(uint32(length)).skip(4))
		}
		ok = d.skipTo(&s, (length+3)&^3)
	}
	return false
}
