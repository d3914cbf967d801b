package packet

import (
	"encoding/binary"

	"github.com/google/gopacket"
)

// IP protocol numbers beside those that the engine names.
const (
	protoHopByHop    = 0
	protoIPv4        = 4
	protoDCCP        = 33
	protoIPv6        = 41
	protoRouting     = 43
	protoFragment    = 44
	protoGRE         = 47
	protoAH          = 51
	protoNone        = 59
	protoDestination = 60
	protoEtherIP     = 97
	protoMobility    = 135
	protoUDPLite     = 136
	protoMPLS        = 137
	protoHIP         = 139
	protoShim6       = 140
	protoEthernet    = 143
)

// transport decodes what follows the IP headers.
func (d *Decoder) transport(s span) bool {
	d.p.Name = protoName(d.p.Proto)
	switch d.p.Proto {
	case ProtoTCP:
		d.tcpHeader(s)
	case ProtoUDP:
		d.udpHeader(s)
	case ProtoSCTP:
		d.sctpHeader(s)
	case ProtoICMP:
		d.icmpHeader(s, 8, 0)
	case ProtoICMPv6:
		d.icmpHeader(s, 128, 129)
	default:
		d.payload(s)
		d.ipTunnel(s)
	}
	return true
}

// ports reads the first four bytes of TCP, UDP and SCTP.
func (d *Decoder) ports(s span) {
	if d.need(s, 4) {
		d.p.SrcPort = binary.BigEndian.Uint16(s.data)
		d.p.DstPort = binary.BigEndian.Uint16(s.data[2:])
	}
}

// tcpHeader decodes TCP (RFC 9293).
func (d *Decoder) tcpHeader(s span) {
	p := d.p
	d.ports(s)
	d.tcpFields(s.data)
	if !d.need(s, 20) {
		return
	}
	header := uint32(s.data[12]>>4) * 4
	if header < 20 || header > s.wire {
		p.Malformed = true
		return
	}
	d.payload(s.cut(header))
}

// tcpFields reads what is behind the ports in a TCP header, which may be cut.
func (d *Decoder) tcpFields(b []byte) {
	if len(b) >= 8 {
		d.p.Seq = binary.BigEndian.Uint32(b[4:])
	}
	if len(b) >= 12 {
		d.p.Ack = binary.BigEndian.Uint32(b[8:])
	}
	if len(b) >= 14 {
		d.p.TCPFlags = binary.BigEndian.Uint16(b[12:]) & 0x1ff
	}
	if len(b) >= 16 {
		d.p.Window = binary.BigEndian.Uint16(b[14:])
	}
}

// udpHeader decodes UDP (RFC 768).
func (d *Decoder) udpHeader(s span) {
	d.ports(s)
	if !d.need(s, 8) {
		return
	}
	switch length := uint32(binary.BigEndian.Uint16(s.data[4:])); {
	case length >= 8:
		s = s.limit(length)
	case length != 0: // 0 is a jumbogram (RFC 2675)
		d.p.Malformed = true
		return
	}
	s = s.skip(8)
	d.payload(s)
	d.udpTunnel(s)
}

// noChunk is a type that IETF keeps for extensions (RFC 9260 section 3.2).
const noChunk = 255

// sctpHeader decodes SCTP (RFC 9260) up to the first DATA chunk.
func (d *Decoder) sctpHeader(s span) {
	d.p.SCTPChunk = noChunk
	d.ports(s)
	if !d.need(s, 12) {
		return
	}
	s = s.skip(12)
	if len(s.data) > 0 {
		d.p.SCTPChunk = s.data[0]
	}
	for s.wire > 0 && d.need(s, 4) {
		length := uint32(binary.BigEndian.Uint16(s.data[2:]))
		if length < 4 {
			d.p.Malformed = true
			return
		}
		switch s.data[0] {
		case 0: // DATA
			d.payload(s.limit(length).cut(16))
			return
		case 64: // I-DATA (RFC 8260)
			d.payload(s.limit(length).cut(20))
			return
		}
		s = s.cut((length + 3) &^ 3)
	}
}

// icmpHeader decodes ICMP (RFC 792) or ICMPv6 (RFC 4443), whose echo request
// and reply have the types given.
func (d *Decoder) icmpHeader(s span, request, reply uint8) {
	if len(s.data) >= 1 {
		d.p.ICMPType = s.data[0]
	}
	if len(s.data) >= 2 {
		d.p.ICMPCode = s.data[1]
	}
	if !d.need(s, 8) || d.icmp.DecodeFromBytes(s.data, gopacket.NilDecodeFeedback) != nil {
		return
	}
	if d.p.ICMPType == request || d.p.ICMPType == reply {
		d.p.ICMPID, d.p.ICMPSeq = d.icmp.Id, d.icmp.Seq
	}
	d.payload(s.skip(8))
}
