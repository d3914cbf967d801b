package packet_test

import (
	"strings"
	"testing"
)

const (
	overGRE   = "10.0.0.1 > 10.0.0.2 proto 47"
	overVXLAN = " outer 10.0.0.1:49152 > 10.0.0.2:4789"
)

// tunnelRows are frames with a packet inside a packet.
func tunnelRows() []row {
	inner := inner4(17, dns)
	intel := "001b2100000b 001b2100000a 0800" + inner // a maker that Wireshark knows
	ether := innerMACs + "0800" + inner
	onUDP := func(port int, body string) string { return ipv4(17, udp(49152, port, body)) }
	return []row{
		{"gre", 101, ipv4(47, "0000 0800"+inner), saysDNS + " in GRE"},
		{"gre with checksum, key and sequence number", 101,
			ipv4(47, "b000 0800 00000000 0000002a 00000001"+inner), saysDNS + " in GRE"},
		{"gre with a source route", 101,
			ipv4(47, "4000 0800 00000000 0800 00 04 0a000001 00000000"+inner), saysDNS + " in GRE"},
		{"gre bridging", 101, ipv4(47, "0000 6558"+ether), saysDNS + " in GRE"},
		{"gre in ipv6", 101, ipv6(47, "0000 0800"+inner), saysDNS + " in GRE"},
		{"erspan I", 101, ipv4(47, "0000 88be"+ether), saysDNS + " in GRE"},
		{"erspan II", 101, ipv4(47, "1000 88be 00000001 1001000100000000"+ether), saysDNS + " in GRE"},
		{"erspan III", 101, ipv4(47, "1000 22eb 00000001 200100010000000000000000"+ether), saysDNS + " in GRE"},
		{"erspan III with subheader", 101,
			ipv4(47, "1000 22eb 00000001 200100010000000000000001 0000000000000000"+ether), saysDNS + " in GRE"},
		{"gre of pptp", 101, ipv4(47, "3081 880b 0020 0007 00000001 00000002 ff03 0021"+inner), saysDNS + " in GRE"},
		{"gre of pptp without data", 101, ipv4(47, "2081 880b 0000 0007 00000002"),
			"gre " + overGRE + " payload 12/12 2081880b0000000700000002"},
		{"gre of pptp with lcp", 101, ipv4(47, "3001 880b 0008 0007 00000001 ff03 c021 0101 0004"),
			"gre " + overGRE + " payload 20/20 3001880b0008000700000001ff03c02101010004"},
		{"gre of wccp 2", 101, ipv4(47, "0000 883e 00000000"+inner), saysDNS + " in GRE"},
		{"gre of wccp 1", 101, ipv4(47, "0000 883e"+inner), saysDNS + " in GRE"},
		{"gre of something unknown", 101, ipv4(47, "0000 1234 0102"),
			"gre " + overGRE + " payload 6/6 000012340102"},
		{"gre cut short", 101, ipv4(47, "b000 08"), "gre " + overGRE + " payload 3/3 b00008 malformed"},
		{"vxlan", 101, onUDP(4789, "08000000 00002a00"+ether), saysDNS + " in VXLAN domain 43" + overVXLAN},
		{"vxlan of network 0", 101, onUDP(4789, "08000000 00000000"+ether), saysDNS + " in VXLAN domain 1" + overVXLAN},
		{"vxlan with a group policy", 101, onUDP(4789, "88000010 00002a00"+ether), saysDNS + " in VXLAN domain 43" + overVXLAN},
		{"vxlan on the port of Linux", 101, onUDP(8472, "08000000 00002a00"+ether),
			saysDNS + " in VXLAN domain 43 outer 10.0.0.1:49152 > 10.0.0.2:8472"},
		{"vxlan of arp", 101,
			onUDP(4789, "08000000 00002a00"+innerMACs+"0806 0001 0800 06 04 0001 06000000000a c0a80001 000000000000 c0a80002"),
			"arp op 1 06:00:00:00:00:0a 192.168.0.1 > 00:00:00:00:00:00 192.168.0.2 in VXLAN domain 43" + overVXLAN},
		{"vxlan without a valid network", 101, onUDP(4789, "00000000 00002a00 01020304"),
			"10.0.0.1:49152 > 10.0.0.2:4789 udp payload 12/12 0000000000002a0001020304"},
		{"vxlan of nothing known", 101, onUDP(4789, "08000000 00002a00"+innerMACs+"1234 01020304"),
			"10.0.0.1:49152 > 10.0.0.2:4789 udp payload 26/26 0800000000002a0006000000000b06000000000a123401020304"},
		{"answer to port 4789", 101, ipv4(17, udp(4789, 53, "0102")),
			"10.0.0.1:4789 > 10.0.0.2:53 udp payload 2/2 0102"},
		{"vxlan-gpe of ipv4", 101, onUDP(4790, "0c000001 00002a00"+inner),
			saysDNS + " in VXLAN domain 43 outer 10.0.0.1:49152 > 10.0.0.2:4790"},
		{"vxlan-gpe of ethernet", 101, onUDP(4790, "0c000003 00002a00"+ether),
			saysDNS + " in VXLAN domain 43 outer 10.0.0.1:49152 > 10.0.0.2:4790"},
		{"geneve", 101, onUDP(6081, "0000 6558 00002a00"+ether),
			saysDNS + " in Geneve domain 43 outer 10.0.0.1:49152 > 10.0.0.2:6081"},
		{"geneve answering", 101, ipv4(17, udp(6081, 49152, "0000 6558 00002a00"+ether)),
			saysDNS + " in Geneve domain 43 outer 10.0.0.1:6081 > 10.0.0.2:49152"},
		{"geneve with an option", 101, onUDP(6081, "0200 6558 00002a00 0102 80 01 01020304"+ether),
			saysDNS + " in Geneve domain 43 outer 10.0.0.1:49152 > 10.0.0.2:6081"},
		{"geneve of ipv4", 101, onUDP(6081, "0000 0800 00002a00"+inner),
			saysDNS + " in Geneve domain 43 outer 10.0.0.1:49152 > 10.0.0.2:6081"},
		{"geneve with a reserved bit", 101, onUDP(6081, "0001 6558 00002a00"),
			"10.0.0.1:49152 > 10.0.0.2:6081 udp payload 8/8 0001655800002a00"},
		{"gtp-u", 101, onUDP(2152, "30 ff 001e 00000001"+inner),
			saysDNS + " in GTP-U outer 10.0.0.1:49152 > 10.0.0.2:2152"},
		{"gtp-u with sequence number and extension", 101,
			onUDP(2152, "36 ff 0026 00000001 0001 00 85 01 1000 00"+inner),
			saysDNS + " in GTP-U outer 10.0.0.1:49152 > 10.0.0.2:2152"},
		{"gtp-u echo", 101, onUDP(2152, "32 01 0004 00000000 0001 0000"),
			"10.0.0.1:49152 > 10.0.0.2:2152 udp payload 12/12 320100040000000000010000"},
		{"teredo", 101, onUDP(3544, strings.Replace(ipv6(17, dns), " 40 ", " 3f ", 1)),
			"2001:db8::1:5000 > 2001:db8::2:53 udp payload 2/2 abcd in Teredo outer 10.0.0.1:49152 > 10.0.0.2:3544"},
		{"teredo with authentication and origin", 101,
			onUDP(3544, "0001 00 00 0000000000000001 00 0000 1234 01020304"+ipv6(17, dns)),
			"2001:db8::1:5000 > 2001:db8::2:53 udp payload 2/2 abcd in Teredo outer 10.0.0.1:49152 > 10.0.0.2:3544"},
		{"teredo bubble with a trailer", 101, onUDP(3544, ipv6(59, "")+"0104 01020304"),
			"2001:db8::1 > 2001:db8::2 proto 59 payload 0/0  in Teredo outer 10.0.0.1:49152 > 10.0.0.2:3544"},
		{"teredo of too short a packet", 101, onUDP(3544, ipv6(17, dns)+"00"),
			"10.0.0.1:49152 > 10.0.0.2:3544 udp payload 51/51 " +
				"60000000000a114020010db800000000000000000000000120010db80000000000000000000000021388003500" + "0a0000abcd00"},
		{"l2tp", 101, onUDP(1701, "4002 0028 0001 0001 0021"+inner),
			saysDNS + " in L2TP outer 10.0.0.1:49152 > 10.0.0.2:1701"},
		{"l2tp with sequence numbers and offset", 101, onUDP(1701, "0a02 0001 0001 0000 0000 0002 ffff ff03 0021"+inner),
			saysDNS + " in L2TP outer 10.0.0.1:49152 > 10.0.0.2:1701"},
		{"l2tp control", 101, onUDP(1701, "c802 000c 0001 0000 0000 0000"),
			"10.0.0.1:49152 > 10.0.0.2:1701 udp payload 12/12 c802000c0001000000000000"},
		{"ip in ip", 101, ipv4(4, inner), saysDNS + " in IP in IP"},
		{"6in4", 101, ipv4(41, ipv6(17, dns)), "2001:db8::1:5000 > 2001:db8::2:53 udp payload 2/2 abcd in IP in IP"},
		{"4in6 behind destination options", 101, ipv6(60, "04 00 0104 00000000"+inner), saysDNS + " in IP in IP"},
		{"ip in ip with nothing inside", 101, ipv4(4, ""), "10.0.0.1 > 10.0.0.2 proto 4 payload 0/0 "},
		{"etherip", 101, ipv4(97, "3000"+ether), saysDNS + " in EtherIP"},
		{"ethernet in ipv6", 101, ipv6(143, ether), saysDNS + " in EtherIP"},
		{"mpls in ip", 101, ipv4(137, "00010140"+inner), saysDNS + " in MPLS"},
		{"mpls in ip of nothing known", 101, ipv4(137, "00010140"), "mpls 10.0.0.1 > 10.0.0.2 proto 137 payload 4/4 00010140"},
		{"mpls", 1, ethernetMACs + "8847 00010040 00020140" + inner, saysDNS + " in MPLS"},
		{"mpls of ethernet with control word", 1, ethernetMACs + "8847 00010140 00000000" + intel, saysDNS + " in MPLS"},
		{"mpls of ethernet", 1, ethernetMACs + "8847 00010140" + intel, saysDNS + " in MPLS"},
		{"mpls of ethernet that begins like ipv4", 1,
			ethernetMACs + "8847 00010140 40000000000b 06000000000a 0800" + inner, saysDNS + " in MPLS"},
		{"mpls associated channel", 1, ethernetMACs + "8847 00010140 10000021", "pwach"},
		{"mpls of nothing known", 1, ethernetMACs + "8847 00010140 ffff", "mpls"},
		{"pppoe", 1, ethernetMACs + "8864 11 00 0001 0020 0021" + inner + "0000", saysDNS + " in PPPoE"},
		{"pppoe of lcp", 1, ethernetMACs + "8864 11 00 0001 0006 c021 01010004", "lcp in PPPoE"},
		{"pppoe of nothing known", 1, ethernetMACs + "8864 11 00 0001 0004 4001 0000", "pppoes"},
		{"pppoe discovery", 1, ethernetMACs + "8863 11 09 0000 0004 01010000", "pppoed"},
		{"vxlan in vxlan", 101,
			onUDP(4789, "08000000 00002a00"+innerMACs+"0800"+ipv4(17, udp(1, 4789, "08000000 00000700"+ether))),
			saysDNS + " in VXLAN domain 8" + overVXLAN},
		{"vxlan in gre", 101, ipv4(47, "0000 0800"+onUDP(4789, "08000000 00002a00"+ether)),
			saysDNS + " in VXLAN domain 43" + overVXLAN},
		{"fragment of ip in ip", 101, strings.Replace(ipv4(4, inner), "0000 40", "2000 40", 1), saysDNS + " in IP in IP"},
		{"later fragment of ip in ip", 101, strings.Replace(ipv4(4, "0102"), "0000 40", "0001 40", 1),
			"10.0.0.1 > 10.0.0.2 proto 4 fragment 8 of 0x1234 more false payload 2/2 0102"},
		{"ah around tcp", 101, ipv4(51, "06 04 0000 00000001 00000001 000000000000000000000000"+tcp(1, 2, "")),
			"10.0.0.1:1 > 10.0.0.2:2 tcp payload 0/0 "},
		{"esp in udp stays", 101, onUDP(4500, "00000001 00000001 0102"),
			"10.0.0.1:49152 > 10.0.0.2:4500 udp payload 10/10 00000001000000010102"},
	}
}

func TestTunnels(t *testing.T) { check(t, tunnelRows()) }

// TestNesting puts packets into packets: eight are opened, the ninth stays
// closed, and no depth does harm.
func TestNesting(t *testing.T) {
	nest := func(depth int) string {
		body := inner4(17, dns)
		for range depth {
			body = ipv4(4, body)
		}
		return body
	}
	for depth, want := range map[int]string{
		8: saysDNS + " in IP in IP",
		9: "10.0.0.1 > 10.0.0.2 proto 4 payload 30/30",
	} {
		p := decode(t, 101, nest(depth))
		if got := say(&p); !strings.HasPrefix(got, want) {
			t.Errorf("%d packets around a packet: got %s, want %s", depth, got, want)
		}
	}
	p := decode(t, 1, ethernetMACs+strings.Repeat("81000001", 100)+"0800"+inner4(17, dns))
	if got := say(&p); got != "vlan 1 malformed" {
		t.Errorf("100 tags: %s", got)
	}
}
