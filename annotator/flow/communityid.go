package flow

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"ampulla/annotator/packet"
)

// communityID returns the Community ID version 1 with seed 0 of the flow that p
// opens (https://github.com/corelight/community-id-spec). The fragments of a
// datagram have that of their flow, although the specification leaves the ports
// out for them.
func communityID(p *packet.Packet, e ends) string {
	src, dst := address(p, p.Src), address(p, p.Dst)
	if c := bytes.Compare(src, dst); !e.oneWay && (c > 0 || c == 0 && e.src > e.dst) {
		src, dst = dst, src
		e.src, e.dst = e.dst, e.src
	}
	b := make([]byte, 2, 40) // the seed
	b = append(append(b, src...), dst...)
	b = append(b, p.Proto, 0)
	if e.known {
		b = binary.BigEndian.AppendUint16(b, e.src)
		b = binary.BigEndian.AppendUint16(b, e.dst)
	}
	sum := sha1.Sum(b)
	id := [30]byte{'1', ':'}
	base64.StdEncoding.Encode(id[2:], sum[:])
	return string(id[:])
}

func address(p *packet.Packet, a packet.Addr) []byte {
	if p.Version == 4 {
		return a[12:]
	}
	return a[:]
}

// ends are the two ports of a packet, or what the Community ID puts in their
// place: for ICMP the type of the message and that of its answer, or the code
// for messages that have none.
type ends struct {
	src, dst uint16
	known    bool
	oneWay   bool // such a message; what goes the other way is no answer
}

// endsOf returns the ends of a packet that is not a later fragment.
func endsOf(p *packet.Packet) ends {
	typ := uint16(p.ICMPType)
	var other uint16
	var paired bool
	switch p.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP:
		return ends{src: p.SrcPort, dst: p.DstPort, known: true}
	case packet.ProtoICMP:
		other, paired = icmpCounterpart(typ)
	case packet.ProtoICMPv6:
		other, paired = icmpv6Counterpart(typ)
	default:
		return ends{}
	}
	if paired {
		return ends{src: typ, dst: other, known: true}
	}
	return ends{src: typ, dst: uint16(p.ICMPCode), known: true, oneWay: true}
}

// icmpCounterpart returns the ICMP type of the other direction, if there is
// one (RFC 792, 950, 1256).
func icmpCounterpart(t uint16) (uint16, bool) {
	switch t {
	case 0:
		return 8, true
	case 8:
		return 0, true
	case 9:
		return 10, true
	case 10:
		return 9, true
	case 13, 15, 17:
		return t + 1, true
	case 14, 16, 18:
		return t - 1, true
	}
	return 0, false
}

// icmpv6Counterpart is icmpCounterpart for ICMPv6 (RFC 4443, 2710, 4861, 4620,
// 4068).
func icmpv6Counterpart(t uint16) (uint16, bool) {
	switch t {
	case 128, 133, 135, 139, 144:
		return t + 1, true
	case 129, 134, 136, 140, 145:
		return t - 1, true
	case 130:
		return 131, true
	case 131:
		return 130, true
	}
	return 0, false
}
