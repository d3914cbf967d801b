package packet

import (
	"encoding/binary"

	"github.com/google/gopacket"
)

// EtherTypes that are looked into, see the IEEE 802 numbers of IANA.
const (
	typeIPv4       = 0x0800
	typeARP        = 0x0806
	typeTransEther = 0x6558 // an Ethernet frame
	typeRARP       = 0x8035
	typeVLAN       = 0x8100
	typeIPv6       = 0x86dd
	typeSlow       = 0x8809
	typeMPLS       = 0x8847
	typeMPLSMulti  = 0x8848
	typePPPoES     = 0x8864
	typePPP        = 0x880b
	typeQinQ       = 0x88a8
	typePBB        = 0x88e7 // 802.1ah
	typeCiscoMeta  = 0x8909
	typeVNTag      = 0x8926
	typeHSR        = 0x892f
	typeNSH        = 0x894f
	typeFabricPath = 0x8903
	typeQinQ1      = 0x9100
	typeQinQ2      = 0x9200
	typeRTag       = 0xf1c1 // 802.1CB
)

// ethernet decodes an Ethernet II or IEEE 802.3 frame.
func (d *Decoder) ethernet(s span) bool {
	if !d.layer() || !d.need(s, 14) {
		return false
	}
	d.p.DstMAC, d.p.SrcMAC = MAC(s.data), MAC(s.data[6:])
	if isISL(d.p.DstMAC) {
		return d.need(s, 26) && d.ethernet(s.skip(26)) || d.wrapper("isl")
	}
	return d.etherType(binary.BigEndian.Uint16(s.data[12:]), s.skip(14))
}

// isISL tells that the frame is not Ethernet but Cisco's Inter-Switch Link,
// which has 26 bytes before an Ethernet frame.
func isISL(dst MAC) bool {
	return (dst[0] == 1 || dst[0] == 3) && dst[1] == 0 && dst[2] == 0x0c && dst[3] == 0 && dst[4] == 0
}

// etherType decodes what follows an EtherType or the length of 802.3.
func (d *Decoder) etherType(t uint16, s span) bool {
	switch t {
	case typeIPv4:
		return d.ipv4(s)
	case typeIPv6:
		return d.ipv6(s)
	case typeARP, typeRARP:
		return d.addressResolution(s)
	case typeVLAN, typeQinQ, typeQinQ1, typeQinQ2:
		return d.vlan(s)
	case typeVNTag, typeHSR, typeRTag:
		return d.shim(s, 4)
	case typeCiscoMeta:
		return d.shim(s, 6)
	case typeFabricPath:
		return d.need(s, 2) && d.ethernet(s.skip(2))
	case typeNSH:
		return d.nsh(s)
	case typePBB:
		return d.need(s, 4) && d.ethernet(s.skip(4))
	case typeTransEther:
		return d.ethernet(s)
	case typeMPLS, typeMPLSMulti:
		return d.mpls(s)
	case typePPPoES:
		return d.pppoe(s)
	case typePPP:
		return d.ppp(s)
	case typeSlow:
		return d.slow(s)
	}
	if t <= 1500 {
		return d.ieee8023(s.limit(uint32(t)))
	}
	if name := etherTypeName(t); name != "" {
		return d.name(name)
	}
	return false
}

// vlan decodes an 802.1Q or 802.1ad tag.
func (d *Decoder) vlan(s span) bool {
	if !d.layer() || !d.need(s, 4) || d.tag.DecodeFromBytes(s.data, gopacket.NilDecodeFeedback) != nil {
		return false
	}
	if id := d.tag.VLANIdentifier; id != 0 { // 0 gives a priority only
		d.p.VLAN = id
	}
	return d.etherType(uint16(d.tag.Type), s.skip(4))
}

// shim skips n bytes of some other tag; an EtherType follows them.
func (d *Decoder) shim(s span, n int) bool {
	if !d.layer() || !d.need(s, n+2) {
		return false
	}
	return d.etherType(binary.BigEndian.Uint16(s.data[n:]), s.skip(n+2))
}

// nsh skips the Network Service Header (RFC 8300).
func (d *Decoder) nsh(s span) bool {
	const name = "nsh"
	if !d.layer() || !d.need(s, 8) {
		return d.wrapper(name)
	}
	protocol, length := s.data[3], int(s.data[1]&0x3f)*4
	if length < 8 || !d.skipTo(&s, length) {
		return d.wrapper(name)
	}
	ok := false
	switch protocol {
	case 1:
		ok = d.ipv4(s)
	case 2:
		ok = d.ipv6(s)
	case 3:
		ok = d.ethernet(s)
	case 5:
		ok = d.mpls(s)
	}
	return ok || d.wrapper(name)
}

// slow tells the slow protocols apart by their subtype (IEEE 802.3 annex 57A).
func (d *Decoder) slow(s span) bool {
	if d.need(s, 1) {
		switch s.data[0] {
		case 1:
			return d.name("lacp")
		case 2:
			return d.name("marker")
		case 3:
			return d.name("oampdu")
		case 10:
			return d.name("ossp")
		}
	}
	return d.name("slow")
}

// addressResolution decodes ARP and RARP (RFC 826, RFC 903). Addresses other
// than of Ethernet and IPv4 are left out.
func (d *Decoder) addressResolution(s span) bool {
	p := d.p
	p.Name = "arp"
	if !d.need(s, 8) {
		return true
	}
	p.ARPOp = binary.BigEndian.Uint16(s.data[6:])
	if s.data[4] != 6 || s.data[5] != 4 {
		return true
	}
	if !d.need(s, 28) || d.arp.DecodeFromBytes(s.data, gopacket.NilDecodeFeedback) != nil {
		return true
	}
	copy(p.ARPSenderMAC[:], d.arp.SourceHwAddress)
	copy(p.ARPTargetMAC[:], d.arp.DstHwAddress)
	p.ARPSender.set4(d.arp.SourceProtAddress)
	p.ARPTarget.set4(d.arp.DstProtAddress)
	return true
}

// ieee8023 decodes what follows the length of an 802.3 frame: 802.2, or IPX
// without it, as Novell's first networks had it.
func (d *Decoder) ieee8023(s span) bool {
	if len(s.data) >= 2 && s.data[0] == 0xff && s.data[1] == 0xff {
		return d.name("ipx")
	}
	return d.logicalLink(s)
}

// logicalLink decodes IEEE 802.2 and SNAP.
func (d *Decoder) logicalLink(s span) bool {
	if !d.layer() || !d.need(s, 3) || d.llc.DecodeFromBytes(s.data, gopacket.NilDecodeFeedback) != nil {
		return false
	}
	sap := d.llc.DSAP
	if d.llc.Control != 3 { // not unnumbered information
		return d.service(sap)
	}
	s = s.skip(3)
	switch sap {
	case 0x06:
		return d.ipv4(s)
	case 0xaa:
		return d.subnetwork(s)
	case 0x14, 0x20, 0x34, 0x54, 0xfe:
		return d.osi(s)
	case 0x42:
		return d.name(bridgeName(d.p.DstMAC))
	}
	return d.service(sap)
}

// service names a packet by its 802.2 service access point.
func (d *Decoder) service(sap uint8) bool {
	if name := llcName(sap); name != "" {
		return d.name(name)
	}
	return d.wrapper("llc")
}

// bridgeName tells what bridges say to each other apart by the address they
// say it to (IEEE 802.1D-2004 table 12-1).
func bridgeName(dst MAC) string {
	switch dst {
	case MAC{0x01, 0x80, 0xc2, 0, 0, 0x20}:
		return "gmrp"
	case MAC{0x01, 0x80, 0xc2, 0, 0, 0x21}:
		return "gvrp"
	}
	return "stp"
}

// The organisations whose SNAP protocols are known.
const (
	ouiEthernet  = 0x000000
	ouiCisco     = 0x00000c
	ouiNortel    = 0x000081
	ouiCisco90   = 0x0000f8
	ouiBridged   = 0x0080c2 // IEEE 802.1
	ouiExtreme   = 0x00e02b
	ouiFoundry   = 0x00e052
	ouiAppleTalk = 0x080007
)

// subnetwork decodes SNAP (IEEE 802, clause 9.5).
func (d *Decoder) subnetwork(s span) bool {
	if !d.need(s, 5) || d.snap.DecodeFromBytes(s.data, gopacket.NilDecodeFeedback) != nil {
		return d.wrapper("llc")
	}
	oui := uint32(s.data[0])<<16 | uint32(s.data[1])<<8 | uint32(s.data[2])
	id := uint16(d.snap.Type)
	s = s.skip(5)
	switch oui {
	case ouiEthernet, ouiCisco90, ouiAppleTalk:
		if id > 1500 && d.etherType(id, s) {
			return true
		}
	case ouiBridged:
		switch id {
		case 1, 7: // padding, 802.3 with and without FCS (RFC 2684 section 5.2)
			if d.skipTo(&s, 2) && d.ethernet(s) {
				return true
			}
		case 14:
			return d.name("stp")
		}
	default:
		if name := snapName(oui, id); name != "" {
			return d.name(name)
		}
	}
	return d.wrapper("llc")
}

// osi tells the OSI network layer protocols apart by their identifier
// (ISO/IEC TR 9577).
func (d *Decoder) osi(s span) bool {
	if !d.need(s, 1) {
		return false
	}
	switch s.data[0] {
	case 0x81:
		return d.name("clnp")
	case 0x82:
		return d.name("esis")
	case 0x83:
		return d.name("isis")
	case 0xcc:
		return d.ipv4(s.skip(1))
	case 0x8e:
		return d.ipv6(s.skip(1))
	}
	return d.wrapper("osi")
}
