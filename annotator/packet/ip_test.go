package packet_test

import (
	"testing"

	"ampulla/annotator/packet"
)

// ipRows are IP packets and what they carry.
func ipRows() []row {
	const from4, from6 = "10.0.0.1 > 10.0.0.2 ", "2001:db8::1 > 2001:db8::2 "
	segment := tcp(1000, 80, "616263")
	saysTCP := "10.0.0.1:1000 > 10.0.0.2:80 tcp payload 3/3 616263"
	saysTCP6 := "2001:db8::1:1000 > 2001:db8::2:80 tcp payload 3/3 616263"
	sctp := "0001 0002 00000001 00000000 "
	saysSCTP := "10.0.0.1:1 > 10.0.0.2:2 sctp"
	v4 := func(start, proto, body string) string { // header apart from what the row is about
		return start + " 40 " + proto + " 0000 0a000001 0a000002 " + body
	}
	return []row{
		{"tcp", 101, ipv4(6, segment), saysTCP},
		{"tcp with options", 101, ipv4(6, "03e8 0050 00000064 000000c8 6018 2000 0000 0000 020405b4 616263"), saysTCP},
		{"tcp with a wrong option", 101, ipv4(6, "03e8 0050 00000064 000000c8 6018 2000 0000 0000 0800ffff 616263"), saysTCP},
		{"tcp with too short a header", 101, ipv4(6, "03e8 0050 00000064 000000c8 4018 2000 0000 0000"),
			"10.0.0.1:1000 > 10.0.0.2:80 tcp malformed"},
		{"tcp with too long a header", 101, ipv4(6, "03e8 0050 00000064 000000c8 f018 2000 0000 0000"),
			"10.0.0.1:1000 > 10.0.0.2:80 tcp malformed"},
		{"tcp cut by the sender", 101, ipv4(6, "03e8 0050 0000"), "10.0.0.1:1000 > 10.0.0.2:80 tcp malformed"},
		{"udp", 101, ipv4(17, udp(53, 5000, "00")), "10.0.0.1:53 > 10.0.0.2:5000 udp payload 1/1 00"},
		{"udp with nothing", 101, ipv4(17, udp(53, 5000, "")), "10.0.0.1:53 > 10.0.0.2:5000 udp payload 0/0 "},
		{"udp that claims more", 101, ipv4(17, "0035 1388 0100 0000 01"), "10.0.0.1:53 > 10.0.0.2:5000 udp payload 1/1 01"},
		{"udp that claims less", 101, ipv4(17, "0035 1388 0009 0000 01020304"), "10.0.0.1:53 > 10.0.0.2:5000 udp payload 1/1 01"},
		{"udp that claims nothing", 101, ipv4(17, "0035 1388 0000 0000 0102"), "10.0.0.1:53 > 10.0.0.2:5000 udp payload 2/2 0102"},
		{"udp that claims less than its header", 101, ipv4(17, "0035 1388 0007 0000 01"), "10.0.0.1:53 > 10.0.0.2:5000 udp malformed"},
		{"sctp data", 101, ipv4(132, sctp+"00 03 0013 00000001 0000 0000 00000000 616263 00"), saysSCTP + " chunk 0 payload 3/3 616263"},
		{"sctp data behind an acknowledgment", 101,
			ipv4(132, sctp+"03 00 0010 00000001 00000001 0000 0000 00 03 0011 00000001 0000 0000 00000000 61 000000"),
			saysSCTP + " chunk 3 payload 1/1 61"},
		{"sctp i-data", 101, ipv4(132, sctp+"40 03 0015 00000001 0000 0000 00000000 00000000 61 000000"), saysSCTP + " chunk 64 payload 1/1 61"},
		{"sctp without data", 101, ipv4(132, sctp+"04 00 0004"), saysSCTP + " chunk 4"},
		{"sctp with an empty chunk", 101, ipv4(132, sctp+"04 00 0000"), saysSCTP + " chunk 4 malformed"},
		{"echo", 101, ipv4(1, "0800 0000 0007 0009 6162"), "icmp " + from4 + "proto 1 type 8 code 0 id 7 seq 9 payload 2/2 6162"},
		{"error quoting a packet", 101, ipv4(1, "0303 0000 00000000"+inner4(17, udp(1, 2, ""))),
			"icmp " + from4 + "proto 1 type 3 code 3 id 0 seq 0 payload 28/28 4500001c567800003f110000c0a80001c0a800020001000200080000"},
		{"icmp cut by the sender", 101, ipv4(1, "0303"), "icmp " + from4 + "proto 1 type 3 code 3 id 0 seq 0 malformed"},
		{"echo reply, version 6", 101, ipv6(58, "8100 0000 0007 0009"), "icmpv6 " + from6 + "proto 58 type 129 code 0 id 7 seq 9 payload 0/0 "},
		{"igmp", 101, ipv4(2, "1600 0000 e0000001"), "igmp " + from4 + "proto 2 payload 8/8 16000000e0000001"},
		{"ospf in ipv6", 101, ipv6(89, "0301"), "ospf " + from6 + "proto 89 payload 2/2 0301"},
		{"unknown protocol", 101, ipv4(253, "01"), from4 + "proto 253 payload 1/1 01"},
		{"options", 101, v4("4600 002f 0000 0000", "06", "01010100"+segment), saysTCP},
		{"wrong options", 101, v4("4600 002f 0000 0000", "06", "44ff0000"+segment), saysTCP},
		{"options cut by the sender", 101, "4f00 0018 0000 0000 40 06 0000 0a000001 0a000002 01010101",
			"10.0.0.1:0 > 10.0.0.2:0 tcp payload 0/0  malformed"},
		{"segmentation offload", 101, v4("4500 0000 0000 0000", "06", segment), saysTCP},
		{"total length beyond the frame", 101, v4("4500 ffff 0000 0000", "06", segment), saysTCP},
		{"total length below the header", 101, v4("4500 0010 0000 0000", "06", segment), "10.0.0.1:0 > 10.0.0.2:0 tcp payload 0/0  malformed"},
		{"header length below its fixed part", 101, v4("4400 0028 0000 0000", "06", segment), "malformed"},
		{"first fragment", 101, v4("4500 0020 0007 2000", "11", "0035 1388 0100 0000 01020304"),
			"10.0.0.1:53 > 10.0.0.2:5000 udp fragment 0 of 0x7 more true payload 4/4 01020304"},
		{"last fragment", 101, v4("4500 0018 0007 0003", "11", "01020304"),
			from4 + "proto 17 fragment 24 of 0x7 more false payload 4/4 01020304"},
		{"last fragment of a ping", 101, v4("4500 0018 0007 0003", "01", "01020304"),
			"icmp " + from4 + "proto 1 type 0 code 0 id 0 seq 0 fragment 24 of 0x7 more false payload 4/4 01020304"},
		{"all extension headers", 101, ipv6(0, "3c 00 0502 0000 0100"+"2b 00 0104 00000000"+"33 00 0004 00000000"+"06 01 0000 00000001 00000001"+segment), saysTCP6},
		{"mobility", 101, ipv6(135, "3b 00 0000 00000000"), "mipv6 " + from6 + "proto 135 payload 8/8 3b00000000000000"},
		{"extension header cut by the sender", 101, ipv6(0, "06 09 0000"), from6 + "proto 0 payload 4/4 06090000 malformed"},
		{"first fragment, version 6", 101, ipv6(44, "11 00 0001 00000007 0035 1388 0100 0000 01"),
			"2001:db8::1:53 > 2001:db8::2:5000 udp fragment 0 of 0x7 more true payload 1/1 01"},
		{"last fragment, version 6", 101, ipv6(44, "11 00 0018 00000007 01020304"),
			from6 + "proto 17 fragment 24 of 0x7 more false payload 4/4 01020304"},
		{"the only fragment, version 6", 101, ipv6(44, "06 00 0000 00000007"+segment), saysTCP6},
		{"nothing but padding, version 6", 101, ipv6(59, "") + "000000", from6 + "proto 59 payload 0/0 "},
		{"jumbogram", 101, "60000000 0000 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002" +
			"06 00 c204 00010000" + segment, saysTCP6},
	}
}

func TestIP(t *testing.T) { check(t, ipRows()) }

// TestHeaderFields looks at what say leaves out.
func TestHeaderFields(t *testing.T) {
	p := decode(t, 1, ethernetMACs+"0800"+"4500 0028 abcd 4000 39 06 0000 0a000001 0a000002"+
		"03e8 0050 01020304 05060708 51ab 1234 0000 0000")
	type fields struct {
		Version, TTL, Proto uint8
		FragID              uint32
		Fragment            bool
		TCPFlags, Window    uint16
		Seq, Ack            uint32
		LinkType            uint16
		Length              uint32
	}
	got := fields{p.Version, p.TTL, p.Proto, p.FragID, p.Fragment, p.TCPFlags, p.Window, p.Seq, p.Ack, p.LinkType, p.Length}
	want := fields{4, 57, 6, 0xabcd, false,
		packet.NS | packet.CWR | packet.URG | packet.PSH | packet.SYN | packet.FIN, 0x1234, 0x01020304, 0x05060708, 1, 54}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestSegmentCut cuts a segment behind every byte: what is left of its header
// is told, and the length of its payload as soon as that is known.
func TestSegmentCut(t *testing.T) {
	whole := unhex(t, ipv4(6, "03e8 0050 01020304 05060708 6018 1234 0000 0000 020405b4"+"6162636465"))
	var d packet.Decoder
	for n := range len(whole) + 1 {
		var p packet.Packet
		d.Decode(packet.Frame{LinkType: 101, Length: uint32(len(whole)), Data: whole[:n]}, &p)
		if p.Malformed {
			t.Errorf("cut to %d bytes: malformed", n)
		}
		has := func(byte int) bool { return n >= 20+byte }
		for _, f := range []struct {
			name      string
			got, want uint32
			known     bool
		}{
			{"version", uint32(p.Version), 4, n >= 20},
			{"source port", uint32(p.SrcPort), 1000, has(4)},
			{"sequence number", p.Seq, 0x01020304, has(8)},
			{"acknowledgment number", p.Ack, 0x05060708, has(12)},
			{"flags", uint32(p.TCPFlags), packet.PSH | packet.ACK, has(14)},
			{"window", uint32(p.Window), 0x1234, has(16)},
			{"payload length", p.PayloadLength, 5, has(20)},
			{"captured payload", uint32(len(p.Payload)), uint32(max(n-44, 0)), true},
		} {
			want := f.want
			if !f.known {
				want = 0
			}
			if f.got != want {
				t.Errorf("cut to %d bytes: %s is %d, want %d", n, f.name, f.got, want)
			}
		}
	}
}
