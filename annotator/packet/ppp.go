package packet

import "encoding/binary"

// pppHDLC decodes PPP behind the address and control bytes of HDLC, which may
// be missing (RFC 1662), and behind LINKTYPE_PPP_PPPD, which has a direction
// in place of the address.
func (d *Decoder) pppHDLC(s span) bool {
	if !d.need(s, 2) {
		return false
	}
	if s.data[1] == 3 && (s.data[0] == 0xff || s.data[0] <= 1) {
		s = s.skip(2)
	}
	return d.ppp(s)
}

// pppSerial decodes LINKTYPE_PPP_HDLC, which holds Cisco HDLC as well, told
// by its address.
func (d *Decoder) pppSerial(s span) bool {
	if len(s.data) > 0 && (s.data[0] == 0x0f || s.data[0] == 0x8f) {
		return d.chdlc(s)
	}
	return d.pppHDLC(s)
}

// ppp decodes from PPP's protocol field on (RFC 1661), one byte of which may
// be compressed away, and the address and control bytes before it, which some
// tunnels keep.
func (d *Decoder) ppp(s span) bool {
	if !d.layer() || !d.need(s, 1) {
		return false
	}
	if s.data[0] == 0xff && (!d.skipTo(&s, 2) || !d.need(s, 1)) {
		return false
	}
	protocol, n := uint16(s.data[0]), 1
	if protocol&1 == 0 {
		if !d.need(s, 2) {
			return false
		}
		protocol, n = binary.BigEndian.Uint16(s.data), 2
	}
	s = s.skip(n)
	switch protocol {
	case 0x0021:
		return d.ipv4(s)
	case 0x0057:
		return d.ipv6(s)
	case 0x0023:
		return d.osi(s)
	case 0x0281, 0x0283:
		return d.mpls(s)
	case 0x0031:
		return d.bridged(s)
	}
	if d.depth > 0 && d.outer[d.depth-1].Version != 0 {
		return false // the hosts that talk tell more than the protocol's name
	}
	if name := pppName(protocol); name != "" {
		return d.name(name)
	}
	return false
}

// bridged decodes an Ethernet frame in PPP's bridging protocol (RFC 3518
// section 4.2).
func (d *Decoder) bridged(s span) bool {
	if !d.need(s, 2) || s.data[1] != 1 {
		return false
	}
	n := 2
	if s.data[0]&0x40 != 0 { // LAN identifier
		n = 6
	}
	return d.skipTo(&s, n) && d.ethernet(s)
}

// pppoe decodes a PPPoE session (RFC 2516).
func (d *Decoder) pppoe(s span) bool {
	const name = "pppoes"
	if !d.need(s, 6) {
		return d.wrapper(name)
	}
	if s.data[0] != 0x11 || s.data[1] != 0 {
		d.p.Malformed = true
		return d.wrapper(name)
	}
	s = s.limit(6 + uint32(binary.BigEndian.Uint16(s.data[4:]))).skip(6)
	if d.enter(TunnelPPPoE, 0) && d.leave(d.ppp(s)) {
		return true
	}
	return d.wrapper(name)
}

// chdlc decodes Cisco HDLC: address, control, EtherType.
func (d *Decoder) chdlc(s span) bool {
	if !d.need(s, 4) {
		return false
	}
	t := binary.BigEndian.Uint16(s.data[2:])
	s = s.skip(4)
	switch t {
	case 0x8035:
		return d.name("slarp")
	case 0x2000:
		return d.name("cdp")
	case 0xfefe:
		return d.skipTo(&s, 1) && d.osi(s) // a padding byte
	}
	return d.etherType(t, s) || d.wrapper("chdlc")
}

// frameRelay decodes Q.922 addresses of two bytes with multiprotocol
// encapsulation (RFC 2427) or, as Cisco does, an EtherType.
func (d *Decoder) frameRelay(s span) bool {
	const name = "fr"
	if !d.need(s, 4) || s.data[0]&1 != 0 || s.data[1]&1 == 0 {
		return d.wrapper(name)
	}
	s = s.skip(2)
	if s.data[0] != 3 {
		return s.data[0] >= 8 && d.etherType(binary.BigEndian.Uint16(s.data), s.skip(2)) || d.wrapper(name)
	}
	s = s.skip(1)
	if s.data[0] == 0 { // padding
		s = s.skip(1)
	}
	if len(s.data) > 0 && s.data[0] == 0x80 {
		return d.subnetwork(s.skip(1))
	}
	return d.osi(s) || d.wrapper(name)
}
