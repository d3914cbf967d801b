package packet

import "encoding/binary"

// EtherTypes, see the IEEE 802 numbers of IANA.
const (
	typeIPv4  = 0x0800
	typeARP   = 0x0806
	typeRARP  = 0x8035
	typeVLAN  = 0x8100
	typeIPv6  = 0x86dd
	typeQinQ  = 0x88a8
	typeQinQ1 = 0x9100
	typeQinQ2 = 0x9200
)

// etherType decodes what follows an EtherType.
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
	}
	return false
}

// vlan decodes an 802.1Q or 802.1ad tag.
func (d *Decoder) vlan(s span) bool {
	if !d.layer() || !d.need(s, 4) || d.tag.DecodeFromBytes(s.data, d) != nil {
		return false
	}
	d.p.VLAN = d.tag.VLANIdentifier
	return d.etherType(uint16(d.tag.Type), s.skip(4))
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
	if !d.need(s, 28) || d.arp.DecodeFromBytes(s.data, d) != nil {
		return true
	}
	copy(p.ARPSenderMAC[:], d.arp.SourceHwAddress)
	copy(p.ARPTargetMAC[:], d.arp.DstHwAddress)
	p.ARPSender = addr4(d.arp.SourceProtAddress)
	p.ARPTarget = addr4(d.arp.DstProtAddress)
	return true
}
