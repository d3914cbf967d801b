package flow

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"ampulla/annotator/packet"
)

// communityID returns the Community ID version 1 with seed 0 of the flow that p
// belongs to (https://github.com/corelight/community-id-spec).
func communityID(p *packet.Packet, e ends) string {
	src, dst := address(p, p.Src), address(p, p.Dst)
	sport, dport, ports, oneWay := idPorts(p, e)
	if c := bytes.Compare(src, dst); !oneWay && (c > 0 || c == 0 && sport > dport) {
		src, dst, sport, dport = dst, src, dport, sport
	}
	b := make([]byte, 2, 40) // the seed
	b = append(append(b, src...), dst...)
	b = append(b, p.Proto, 0)
	if ports {
		b = binary.BigEndian.AppendUint16(b, sport)
		b = binary.BigEndian.AppendUint16(b, dport)
	}
	sum := sha1.Sum(b)
	return "1:" + base64.StdEncoding.EncodeToString(sum[:])
}

func address(p *packet.Packet, a packet.Addr) []byte {
	if p.Version == 4 {
		return a[12:]
	}
	return a[:]
}

// idPorts returns what stands in for ports, whether there are any, and whether
// the order of the addresses is fixed because the exchange is one way only.
func idPorts(p *packet.Packet, e ends) (src, dst uint16, ports, oneWay bool) {
	typ := uint16(p.ICMPType)
	switch p.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP:
		return e.src, e.dst, true, false
	case packet.ProtoICMP:
		if other, ok := icmpCounterpart(typ); ok {
			return typ, other, true, false
		}
		return typ, uint16(p.ICMPCode), true, true
	case packet.ProtoICMPv6:
		if other, ok := icmpv6Counterpart(typ); ok {
			return typ, other, true, false
		}
		return typ, uint16(p.ICMPCode), true, true
	}
	return 0, 0, false, false
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
