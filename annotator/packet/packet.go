// Package packet decodes one captured frame into a flat [Packet]: who talked
// to whom, with which protocol, and where the payload begins.
//
// It looks into tunnels, so the addresses and ports are those of the innermost
// packet it could reach; [Packet.Tunnel] tells that there was one. Decoding
// never fails: a frame that cannot be decoded keeps what was understood up to
// that point and has Malformed set. gopacket's layers read headers where they
// neither allocate nor trust what lengths say. The few that nearly all packets
// have, and others, decoders of our own read; panics are survived.
package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// SnapLen is how many of a frame's first bytes anything in the engine may look
// at, in bytes. Cutting every frame to it first makes verdicts independent of
// how much of the frame a capture or a client kept beyond it.
const SnapLen = 512

// LinkTypeNone marks a record that Wireshark numbers as a frame although it
// holds no packet, such as a systemd journal entry.
const LinkTypeNone = 0xffff

// Frame is one captured frame as the engine receives it.
type Frame struct {
	Time     int64  // nanoseconds since 1970-01-01 UTC
	LinkType uint16 // LINKTYPE_ value, see https://www.tcpdump.org/linktypes.html
	Length   uint32 // original length on the wire, bytes
	Data     []byte // captured bytes; only the first SnapLen are looked at
}

// Addr is an IP address, IPv4 ones mapped into IPv6 (RFC 4291 section
// 2.5.5.2). It is an array so that it can be part of a pointer-free map key.
type Addr [16]byte

// IsZero tells that no address is set.
func (a Addr) IsZero() bool { return a == Addr{} }

// Netip returns a as a netip.Addr, IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// String returns a in its usual text form.
func (a Addr) String() string { return a.Netip().String() }

// MAC is an Ethernet address.
type MAC [6]byte

// String returns m as six hexadecimal bytes with colons.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// Number returns m as a number of 48 bits.
func (m MAC) Number() uint64 {
	return uint64(binary.BigEndian.Uint32(m[:4]))<<16 | uint64(binary.BigEndian.Uint16(m[4:]))
}

// Tunnel says through which encapsulation the innermost packet was reached.
type Tunnel uint8

// The encapsulations that are looked into.
const (
	TunnelNone Tunnel = iota
	TunnelGRE
	TunnelVXLAN
	TunnelGeneve
	TunnelGTP
	TunnelIPIP
	TunnelMPLS
	TunnelPPPoE
	TunnelTeredo
	TunnelL2TP
	TunnelEtherIP
)

// String returns t's usual name, "" for TunnelNone.
func (t Tunnel) String() string {
	switch t {
	case TunnelNone:
		return ""
	case TunnelGRE:
		return "GRE"
	case TunnelVXLAN:
		return "VXLAN"
	case TunnelGeneve:
		return "Geneve"
	case TunnelGTP:
		return "GTP-U"
	case TunnelIPIP:
		return "IP in IP"
	case TunnelMPLS:
		return "MPLS"
	case TunnelPPPoE:
		return "PPPoE"
	case TunnelTeredo:
		return "Teredo"
	case TunnelL2TP:
		return "L2TP"
	case TunnelEtherIP:
		return "EtherIP"
	}
	return fmt.Sprintf("Tunnel(%d)", uint8(t))
}

// TCP flag bits as in byte 13 of the header, NS in bit 8.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	NS
)

// IP protocol numbers that the engine names.
const (
	ProtoICMP   = 1
	ProtoIGMP   = 2
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Packet is what the engine knows of one frame. The zero value is a frame of
// which nothing is known. A Packet is plain data apart from Payload, which
// points into the Frame it was decoded from and is valid as long as that.
type Packet struct {
	Time     int64  // of the Frame
	Length   uint32 // of the Frame, bytes on the wire
	LinkType uint16 // of the Frame

	// Name is the class of packets that their headers name without any doubt
	// (arp, icmp, igmp, stp, lldp, ospf, esp, ...), a Wireshark display filter
	// name. It is empty for TCP, UDP and SCTP and for what is unknown.
	Name string

	Malformed bool // decoding stopped early for another reason than SnapLen

	SrcMAC, DstMAC MAC    // innermost Ethernet; zero if there is none
	VLAN           uint16 // innermost 802.1Q VLAN id but 0; 0 if untagged
	Tunnel         Tunnel // innermost encapsulation
	// Domain separates equal addresses of different virtual networks: the VNI
	// of VXLAN and Geneve plus one, otherwise 0.
	Domain uint32
	// Outer are the endpoints of the outermost UDP or TCP header of a tunnel,
	// valid iff Tunnel is not TunnelNone and OuterProto is not 0.
	OuterSrc, OuterDst         Addr
	OuterSrcPort, OuterDstPort uint16
	OuterProto                 uint8

	Version  uint8 // IP version, 4 or 6; 0 if the frame carries no IP
	Proto    uint8 // IP protocol behind all extension headers; valid iff Version != 0
	Src, Dst Addr  // valid iff Version != 0
	TTL      uint8 // TTL or hop limit; valid iff Version != 0

	Fragment     bool   // part of a fragmented datagram
	FragOffset   uint32 // bytes; ports and payload are valid only at 0
	FragID       uint32 // IPv4 identification (also of unfragmented ones) or IPv6 fragment id
	MoreFragment bool

	SrcPort, DstPort uint16 // valid iff Proto is TCP, UDP or SCTP, at FragOffset 0

	TCPFlags uint16 // valid iff Proto is TCP, as are the next three
	Seq, Ack uint32
	Window   uint16

	SCTPChunk uint8 // type of the first chunk (RFC 9260 section 3.2); valid iff Proto is SCTP, 255 if there is none

	ICMPType, ICMPCode uint8  // valid iff Proto is ICMP or ICMPv6
	ICMPID, ICMPSeq    uint16 // valid iff an echo request or reply

	// ARP, valid iff ARPOp is not 0: 1 request, 2 reply (RFC 826).
	ARPOp                      uint16
	ARPSenderMAC, ARPTargetMAC MAC
	ARPSender, ARPTarget       Addr

	// Payload is what was captured of the payload behind the transport header
	// (ICMP: behind its 8-byte header; SCTP: of the first DATA chunk),
	// PayloadLength what the headers say it measured on the wire, in bytes, but
	// no more than the frame had room for.
	Payload       []byte
	PayloadLength uint32
}

// HasPorts tells whether SrcPort and DstPort are meaningful.
func (p *Packet) HasPorts() bool {
	return p.Version != 0 && p.FragOffset == 0 &&
		(p.Proto == ProtoTCP || p.Proto == ProtoUDP || p.Proto == ProtoSCTP)
}
