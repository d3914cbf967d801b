package packet

import "encoding/binary"

// Registered UDP ports of tunnels.
const (
	portL2TP   = 1701
	portGTPU   = 2152
	portTeredo = 3544
	portVXLAN  = 4789
	portVXGPE  = 4790
	portGeneve = 6081
	portLinux  = 8472 // Linux' VXLAN before a port was assigned
)

// udpTunnel looks into a datagram with payload s if one of its ports is that
// of a tunnel, and tells whether it was one: a header of the tunnel without a
// flaw, and a packet in it.
func (d *Decoder) udpTunnel(s span) bool {
	return d.tunnelOn(d.p.DstPort, s) || d.tunnelOn(d.p.SrcPort, s)
}

// tunnelOn is udpTunnel for one port.
func (d *Decoder) tunnelOn(port uint16, s span) bool {
	switch port {
	case portVXLAN, portLinux:
		return d.vxlan(s)
	case portVXGPE:
		return d.vxlanGPE(s)
	case portGeneve:
		return d.geneve(s)
	case portGTPU:
		return d.gtpu(s)
	case portTeredo:
		return d.teredo(s)
	case portL2TP:
		return d.l2tp(s)
	}
	return false
}

// enterUDP is enter for tunnels on UDP.
func (d *Decoder) enterUDP(t Tunnel, domain uint32) bool {
	if !d.enter(t, domain) {
		return false
	}
	if d.p.OuterProto == 0 {
		outer := &d.outer[d.depth-1]
		d.p.OuterSrc, d.p.OuterDst = outer.Src, outer.Dst
		d.p.OuterSrcPort, d.p.OuterDstPort = outer.SrcPort, outer.DstPort
		d.p.OuterProto = outer.Proto
	}
	return true
}

// vni reads a virtual network identifier and returns it as a Domain.
func vni(b []byte) uint32 { return binary.BigEndian.Uint32(b)>>8 + 1 }

// vxlan decodes VXLAN (RFC 7348).
func (d *Decoder) vxlan(s span) bool {
	const valid = 0x08
	if len(s.data) < 8 || s.data[0]&valid == 0 || s.data[7] != 0 {
		return false
	}
	return d.enterUDP(TunnelVXLAN, vni(s.data[4:])) && d.leave(d.ethernet(s.skip(8)))
}

// vxlanGPE decodes VXLAN with the protocol of what it carries
// (draft-ietf-nvo3-vxlan-gpe).
func (d *Decoder) vxlanGPE(s span) bool {
	const version, valid, protocol = 0x30, 0x08, 0x04
	if len(s.data) < 8 || s.data[0]&(version|valid|protocol) != valid|protocol || s.data[7] != 0 {
		return false
	}
	if !d.enterUDP(TunnelVXLAN, vni(s.data[4:])) {
		return false
	}
	ok := false
	switch s.data[3] {
	case 1:
		ok = d.ipv4(s.skip(8))
	case 2:
		ok = d.ipv6(s.skip(8))
	case 3:
		ok = d.ethernet(s.skip(8))
	}
	return d.leave(ok)
}

// geneve decodes Geneve (RFC 8926). gopacket's layer gathers the options of
// all packets.
func (d *Decoder) geneve(s span) bool {
	const version, reserved = 0xc0, 0x3f
	if len(s.data) < 8 || s.data[0]&version != 0 || s.data[1]&reserved != 0 || s.data[7] != 0 {
		return false
	}
	n := 8 + int(s.data[0])*4
	if len(s.data) < n {
		return false
	}
	protocol := binary.BigEndian.Uint16(s.data[2:])
	return d.enterUDP(TunnelGeneve, vni(s.data[4:])) && d.leave(d.etherType(protocol, s.skip(n)))
}

// gtpu decodes user data of GTP version 1 (3GPP TS 29.281). gopacket's layer
// needs the whole packet and gathers extension headers.
func (d *Decoder) gtpu(s span) bool {
	const versionAndType, version1, optional, extension = 0xf8, 0x30, 0x07, 0x04
	if len(s.data) < 8 || s.data[0]&versionAndType != version1 || s.data[1] != 0xff {
		return false
	}
	flags := s.data[0]
	length := uint32(binary.BigEndian.Uint16(s.data[2:]))
	if length > s.wire-8 {
		return false
	}
	s = s.limit(8 + length).skip(8)
	if flags&optional != 0 {
		if len(s.data) < 4 {
			return false
		}
		next := s.data[3]
		s = s.skip(4)
		for flags&extension != 0 && next != 0 {
			if len(s.data) == 0 || s.data[0] == 0 || len(s.data) < int(s.data[0])*4 {
				return false
			}
			n := int(s.data[0]) * 4
			next = s.data[n-1]
			s = s.skip(n)
		}
	}
	return d.enterUDP(TunnelGTP, 0) && d.leave(d.ip(s))
}

// teredo decodes Teredo (RFC 4380 section 5.1.1), which has no header of its
// own: the IPv6 packet must fill the datagram, unless it is a bubble.
func (d *Decoder) teredo(s span) bool {
	if len(s.data) >= 4 && s.data[0] == 0 && s.data[1] == 1 { // authentication
		n := 4 + int(s.data[2]) + int(s.data[3]) + 9
		if len(s.data) < n {
			return false
		}
		s = s.skip(n)
	}
	if len(s.data) >= 8 && s.data[0] == 0 && s.data[1] == 0 { // origin
		s = s.skip(8)
	}
	if len(s.data) < 40 || s.data[0]>>4 != 6 {
		return false
	}
	length := uint32(binary.BigEndian.Uint16(s.data[4:]))
	bubble := length == 0 && s.data[6] == protoNone // may have a trailer (RFC 6081)
	if length != s.wire-40 && !bubble {
		return false
	}
	return d.enterUDP(TunnelTeredo, 0) && d.leave(d.ipv6(s))
}

// l2tp decodes the data messages of L2TP version 2 (RFC 2661 section 3.1).
func (d *Decoder) l2tp(s span) bool {
	if len(s.data) < 8 {
		return false
	}
	const control, hasLength, hasSequence, hasOffset = 0x8000, 0x4000, 0x0800, 0x0200
	const reserved, version, version2 = 0x34f0, 0x000f, 0x0002
	flags := binary.BigEndian.Uint16(s.data)
	if flags&(control|reserved|version) != version2 {
		return false
	}
	n := 6
	if flags&hasLength != 0 {
		if uint32(binary.BigEndian.Uint16(s.data[2:])) != s.wire {
			return false
		}
		n += 2
	}
	if flags&hasSequence != 0 {
		n += 4
	}
	if flags&hasOffset != 0 {
		if len(s.data) < n+2 {
			return false
		}
		n += 2 + int(binary.BigEndian.Uint16(s.data[n:]))
	}
	if len(s.data) < n {
		return false
	}
	return d.enterUDP(TunnelL2TP, 0) && d.leave(d.ppp(s.skip(n)))
}

// gre decodes GRE (RFC 2784, RFC 2890, RFC 1701) and the enhanced GRE of PPTP
// (RFC 2637). gopacket's layer panics on short headers and allocates routes.
func (d *Decoder) gre(s span) bool {
	const checksum, routing, key, sequence = 0x8000, 0x4000, 0x2000, 0x1000
	const acknowledgment, version = 0x0080, 0x0007
	if !d.need(s, 4) {
		return false
	}
	flags, protocol := binary.BigEndian.Uint16(s.data), binary.BigEndian.Uint16(s.data[2:])
	n := 4
	if flags&(checksum|routing) != 0 {
		n += 4
	}
	if flags&key != 0 {
		n += 4
	}
	if flags&sequence != 0 {
		n += 4
	}
	if flags&version == 1 && flags&acknowledgment != 0 {
		n += 4
	}
	if flags&version > 1 || !d.skipTo(&s, n) {
		return false
	}
	for flags&routing != 0 { // source routes, the last one empty
		if !d.need(s, 4) {
			return false
		}
		length := int(s.data[3])
		if !d.skipTo(&s, 4+length) {
			return false
		}
		if length == 0 {
			break
		}
	}
	return d.enter(TunnelGRE, 0) && d.leave(d.greInside(protocol, flags&sequence != 0, s))
}

// greInside decodes what GRE carries.
func (d *Decoder) greInside(protocol uint16, sequence bool, s span) bool {
	switch protocol {
	case 0x88be: // ERSPAN type I has no header, type II one of 8 bytes
		if !sequence {
			return d.ethernet(s)
		}
		return d.skipTo(&s, 8) && d.ethernet(s)
	case 0x22eb: // ERSPAN type III (draft-foschiano-erspan)
		const subheader = 1
		n := 12
		if len(s.data) > 11 && s.data[11]&subheader != 0 {
			n = 20
		}
		return d.skipTo(&s, n) && d.ethernet(s)
	case 0x883e: // WCCP, from version 2 on with a header of its own
		if len(s.data) > 0 && s.data[0]>>4 != 4 && !d.skipTo(&s, 4) {
			return false
		}
		return d.ipv4(s)
	case 0x00fe:
		return d.osi(s)
	}
	return protocol > 1500 && d.etherType(protocol, s)
}

// mpls decodes an MPLS label stack (RFC 3032). What follows it is not
// announced, so it is an IP packet or a pseudowire by its looks.
func (d *Decoder) mpls(s span) bool {
	const name, bottom = "mpls", 1
	for last := false; !last; {
		if !d.layer() || !d.need(s, 4) {
			return d.wrapper(name)
		}
		last = s.data[2]&bottom != 0
		s = s.skip(4)
	}
	if len(s.data) > 0 {
		switch nibble := s.data[0] >> 4; {
		case nibble == 4 || nibble == 6:
			if d.enter(TunnelMPLS, 0) && d.leave(d.ip(s)) {
				return true
			}
		case nibble == 0 && len(s.data) >= 4: // control word (RFC 4385)
			if d.enter(TunnelMPLS, 0) && d.leave(d.ethernet(s.skip(4))) {
				return true
			}
		case nibble == 1:
			return d.name("pwach")
		}
		if d.enter(TunnelMPLS, 0) && d.leave(d.ethernet(s)) {
			return true
		}
	}
	return d.wrapper(name)
}

// ipTunnel looks into the IP protocols that carry packets, and tells whether
// there was one.
func (d *Decoder) ipTunnel(s span) bool {
	switch d.p.Proto {
	case protoIPv4:
		return d.enter(TunnelIPIP, 0) && d.leave(d.ipv4(s))
	case protoIPv6:
		return d.enter(TunnelIPIP, 0) && d.leave(d.ipv6(s))
	case protoGRE:
		return d.gre(s)
	case protoEtherIP: // RFC 3378
		return len(s.data) >= 2 && s.data[0]>>4 == 3 &&
			d.enter(TunnelEtherIP, 0) && d.leave(d.ethernet(s.skip(2)))
	case protoMPLS: // RFC 4023
		return d.enter(TunnelMPLS, 0) && d.leave(d.mpls(s))
	case protoEthernet: // RFC 8986
		return d.enter(TunnelEtherIP, 0) && d.leave(d.ethernet(s))
	}
	return false
}
