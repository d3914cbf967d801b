package packet_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"ampulla/annotator/packet"
)

// Frames are written as hexadecimal strings, blanks and line breaks free. The
// functions below return headers with lengths that fit their bodies.

const (
	ethernetMACs = "020000000002 020000000001 "
	innerMACs    = "06000000000b 06000000000a "
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

func zeros(n int) string { return strings.Repeat("00", n) }

// size is how many bytes the strings stand for.
func size(parts ...string) (n int) {
	for _, p := range parts {
		n += len(strings.Join(strings.Fields(p), "")) / 2
	}
	return n
}

// ipv4 returns a packet from 10.0.0.1 to 10.0.0.2.
func ipv4(proto byte, body string) string {
	return fmt.Sprintf("4500 %04x 1234 0000 40 %02x 0000 0a000001 0a000002 %s", 20+size(body), proto, body)
}

// inner4 returns a packet from 192.168.0.1 to 192.168.0.2.
func inner4(proto byte, body string) string {
	return fmt.Sprintf("4500 %04x 5678 0000 3f %02x 0000 c0a80001 c0a80002 %s", 20+size(body), proto, body)
}

// ipv6 returns a packet from 2001:db8::1 to 2001:db8::2.
func ipv6(next byte, body string) string {
	return fmt.Sprintf("60000000 %04x %02x 40 20010db8000000000000000000000001 20010db8000000000000000000000002 %s",
		size(body), next, body)
}

func udp(src, dst int, body string) string {
	return fmt.Sprintf("%04x %04x %04x 0000 %s", src, dst, 8+size(body), body)
}

// tcp returns a segment with PSH and ACK set.
func tcp(src, dst int, body string) string {
	return fmt.Sprintf("%04x %04x 00000064 000000c8 5018 2000 0000 0000 %s", src, dst, body)
}

// dns is a small datagram as it occurs inside other headers, and what it is
// said to be.
var (
	dns     = udp(5000, 53, "abcd")
	saysDNS = "192.168.0.1:5000 > 192.168.0.2:53 udp payload 2/2 abcd"
)

// say puts a packet into words, leaving out what is not set.
func say(p *packet.Packet) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if p.Name != "" {
		add("%s", p.Name)
	}
	switch {
	case p.HasPorts():
		add("%s:%d > %s:%d %s", p.Src, p.SrcPort, p.Dst, p.DstPort,
			map[uint8]string{packet.ProtoTCP: "tcp", packet.ProtoUDP: "udp", packet.ProtoSCTP: "sctp"}[p.Proto])
	case p.Version != 0:
		add("%s > %s proto %d", p.Src, p.Dst, p.Proto)
	}
	if p.Version != 0 && (p.Proto == packet.ProtoICMP || p.Proto == packet.ProtoICMPv6) {
		add("type %d code %d id %d seq %d", p.ICMPType, p.ICMPCode, p.ICMPID, p.ICMPSeq)
	}
	if p.HasPorts() && p.Proto == packet.ProtoSCTP {
		add("chunk %d", p.SCTPChunk)
	}
	if p.Fragment {
		add("fragment %d of %#x more %v", p.FragOffset, p.FragID, p.MoreFragment)
	}
	if p.ARPOp != 0 {
		add("op %d %s %s > %s %s", p.ARPOp, p.ARPSenderMAC, p.ARPSender, p.ARPTargetMAC, p.ARPTarget)
	}
	if p.PayloadLength != 0 || p.Payload != nil {
		add("payload %d/%d %x", len(p.Payload), p.PayloadLength, p.Payload)
	}
	if p.VLAN != 0 {
		add("vlan %d", p.VLAN)
	}
	if p.Tunnel != packet.TunnelNone {
		add("in %s", p.Tunnel)
	}
	if p.Domain != 0 {
		add("domain %d", p.Domain)
	}
	if p.OuterProto != 0 {
		add("outer %s:%d > %s:%d", p.OuterSrc, p.OuterSrcPort, p.OuterDst, p.OuterDstPort)
	}
	if p.Malformed {
		add("malformed")
	}
	return strings.Join(w, " ")
}

// decode decodes a frame that was captured whole.
func decode(t testing.TB, link uint16, frame string) packet.Packet {
	t.Helper()
	data := unhex(t, frame)
	var d packet.Decoder
	var p packet.Packet
	d.Decode(packet.Frame{LinkType: link, Length: uint32(len(data)), Data: data}, &p)
	return p
}

// row is a frame and what it is said to be.
type row struct {
	name  string
	link  uint16
	frame string
	want  string
}

func check(t *testing.T, rows []row) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			p := decode(t, r.link, r.frame)
			if got := say(&p); got != r.want {
				t.Errorf("got  %s\nwant %s", got, r.want)
			}
		})
	}
}
