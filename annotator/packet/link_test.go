package packet_test

import (
	"strings"
	"testing"
)

// linkRows are frames of every link type that is decoded.
func linkRows() []row {
	v4, v6 := inner4(17, dns), ipv6(17, dns)
	says6 := "2001:db8::1:5000 > 2001:db8::2:53 udp payload 2/2 abcd"
	snap := "aaaa03 000000 0800" + v4
	arp := "0001 0800 06 04 0002 02000000000a 0a000001 02000000000b 0a000002"
	saysARP := "arp op 2 02:00:00:00:00:0a 10.0.0.1 > 02:00:00:00:00:0b 10.0.0.2"
	addresses := "06000000000b 06000000000a 06000000000c "
	data := "0802 0000" + addresses + "1000"
	return []row{
		{"ethernet", 1, ethernetMACs + "0800" + v4, saysDNS},
		{"ethernet with padding and FCS", 1, ethernetMACs + "0800" + v4 + "0000000000000000000000000000 12345678", saysDNS},
		{"ethernet of ipv6", 1, ethernetMACs + "86dd" + v6, says6},
		{"ethernet of ipv4 that says ipv6", 1, ethernetMACs + "86dd" + v4, "malformed"},
		{"arp", 1, ethernetMACs + "0806" + arp, saysARP},
		{"rarp", 1, ethernetMACs + "8035 0001 0800 06 04 0003 02000000000a 00000000 02000000000a 00000000",
			"arp op 3 02:00:00:00:00:0a 0.0.0.0 > 02:00:00:00:00:0a 0.0.0.0"},
		{"arp cut short", 1, ethernetMACs + "0806 0001 0800 06 04 0001 0200",
			"arp op 1 00:00:00:00:00:00 :: > 00:00:00:00:00:00 :: malformed"},
		{"arp of infiniband", 1, ethernetMACs + "0806 0020 0800 14 04 0001",
			"arp op 1 00:00:00:00:00:00 :: > 00:00:00:00:00:00 ::"},
		{"802.1Q", 1, ethernetMACs + "8100 6064 0800" + v4, saysDNS + " vlan 100"},
		{"QinQ", 1, ethernetMACs + "88a8 0064 8100 0065 0800" + v4, saysDNS + " vlan 101"},
		{"priority within 802.1Q", 1, ethernetMACs + "8100 0064 8100 e000 0800" + v4, saysDNS + " vlan 100"},
		{"802.1Q of 802.3", 1, ethernetMACs + "8100 0064 0005 424203 0000", "stp vlan 100"},
		{"802.1ah", 1, ethernetMACs + "88e7 00000001" + innerMACs + "0800" + v4, saysDNS},
		{"802.1BR, 802.1CB, HSR", 1, ethernetMACs + "8926 00000000 f1c1 0000 0001 892f 0000 0001 0800" + v4, saysDNS},
		{"cisco metadata", 1, ethernetMACs + "8909 0101 0001 0007 0800" + v4, saysDNS},
		{"isl", 1, "01000c000000 020000000001 0000 aaaa03000000 0000 0000 0000" + innerMACs + "0800" + v4, saysDNS},
		{"fabric path", 1, ethernetMACs + "8903 0001" + innerMACs + "0800" + v4, saysDNS},
		{"nsh", 1, ethernetMACs + "894f 0fc6 02 01 00000001" + "00000000 00000000 00000000 00000000" + v4, saysDNS},
		{"nsh of nothing known", 1, ethernetMACs + "894f 0fc2 02 09 00000001 00", "nsh"},
		{"lacp", 1, ethernetMACs + "8809 01 01", "lacp"},
		{"802.3 snap", 1, ethernetMACs + "0026" + snap + "0000", saysDNS},
		{"802.3 stp", 1, ethernetMACs + "0026 424203 0000 00 00", "stp"},
		{"802.3 gvrp", 1, "0180c2000021 020000000001 0026 424203 0001", "gvrp"},
		{"802.3 cdp", 1, ethernetMACs + "0026 aaaa03 00000c 2000 01", "cdp"},
		{"802.3 isis", 1, ethernetMACs + "0026 fefe03 83", "isis"},
		{"802.3 ipx", 1, ethernetMACs + "0026 ffff 0022", "ipx"},
		{"802.3 exchange of identification", 1, ethernetMACs + "0003 0001af 810100", "llc"},
		{"802.3 of bridged ethernet", 1, ethernetMACs + "003a aaaa03 0080c2 0007 0000" + innerMACs + "0800" + v4, saysDNS},
		{"unknown type", 1, ethernetMACs + "1234 0102", ""},
		{"loopback, little endian", 0, "02000000" + v4, saysDNS},
		{"loopback, big endian", 0, "00000002" + v4, saysDNS},
		{"loopback of macOS, ipv6", 0, "1e000000" + v6, says6},
		{"loopback of OpenBSD, ipv6", 108, "00000018" + v6, says6},
		{"loopback of FreeBSD, ipv6", 0, "0000001c" + v6, says6},
		{"loopback with an EtherType", 0, "00000800" + v4, saysDNS},
		{"raw 12", 12, v4, saysDNS},
		{"raw 14", 14, v6, says6},
		{"raw", 101, v6, says6},
		{"raw of nonsense", 101, "ff00", "malformed"},
		{"ipv4", 228, v4, saysDNS},
		{"ipv6", 229, v6, says6},
		{"cooked", 113, "0000 0001 0006 02000000000a 0000 0800" + v4, saysDNS},
		{"cooked vlan", 113, "0000 0001 0006 02000000000a 0000 8100 0064 0800" + v4, saysDNS + " vlan 100"},
		{"cooked 802.2", 113, "0000 0001 0006 02000000000a 0000 0004 424203" + zeros(35), "stp"},
		{"cooked can", 113, "0001 0118 0000 0000000000000000 000c 00000000", "can"},
		{"cooked netlink", 113, "0004 0338 0000 0000000000000000 0000 00000000", "netlink"},
		{"cooked with a long address", 113, "0000 0020 0014 0102030405060708 0800" + v4, saysDNS},
		{"cooked version 2", 276, "0800 0000 00000002 0001 00 06 02000000000a 0000" + v4, saysDNS},
		{"ppp", 9, "ff03 0021" + v4, saysDNS},
		{"ppp without address", 9, "0057" + v6, says6},
		{"ppp with one byte", 9, "21" + v4, saysDNS},
		{"ppp lcp", 9, "ff03 c021 0101 0004", "lcp"},
		{"ppp of mpls", 9, "ff03 0281 00010140" + v4, saysDNS + " in MPLS"},
		{"ppp of bridged ethernet", 9, "ff03 0031 00 01" + innerMACs + "0800" + v4, saysDNS},
		{"ppp serial", 50, "ff03 0021" + v4, saysDNS},
		{"ppp serial with cisco hdlc", 50, "0f00 0800" + v4, saysDNS},
		{"ppp of pppd", 166, "0003 0021" + v4, saysDNS},
		{"ppp with direction", 204, "01 ff03 0021" + v4, saysDNS},
		{"pppoe", 51, "11 00 0001 0020 0021" + v4, saysDNS + " in PPPoE"},
		{"cisco hdlc", 104, "0f00 0800" + v4, saysDNS},
		{"cisco hdlc keep-alive", 104, "8f00 8035 00000002", "slarp"},
		{"cisco hdlc isis", 104, "8f00 fefe 03 83", "isis"},
		{"cisco hdlc of nothing known", 104, "8f00 1234", "chdlc"},
		{"cisco hdlc with direction", 205, "00 0f00 0800" + v4, saysDNS},
		{"frame relay", 107, "1841 03 cc" + v4, saysDNS},
		{"frame relay snap", 107, "1841 03 00 80 000000 0800" + v4, saysDNS},
		{"frame relay of cisco", 107, "1841 0800" + v4, saysDNS},
		{"frame relay with direction", 206, "01 1841 03 8e" + v6, says6},
		{"atm", 100, snap, saysDNS},
		{"token ring", 6, "1040 02000000000b 82000000000a 0630 0011 0020" + snap, saysDNS},
		{"token ring management", 6, "1000 02000000000b 02000000000a 0004 0002 0000", "trmac"},
		{"fddi", 10, "50 02000000000b 02000000000a" + snap, saysDNS},
		{"ip over fibre channel", 122, "000002000000000b 000002000000000a" + snap, saysDNS},
		{"ip over firewire", 138, "0000000000000002 0000000000000001 0800" + v4, saysDNS},
		{"enc", 109, "02000000 00000001 00000000" + v4, saysDNS},
		{"pflog", 117, "3d020000" + zeros(60) + v4, saysDNS},
		{"nflog", 239, "02000000 0800 0100 08000303 0500 0a00 61000000 2200 0900" + v4, saysDNS},
		{"802.11 data", 105, data + snap, saysDNS},
		{"802.11 data with FCS", 105, data + snap + "12345678", saysDNS},
		{"802.11 qos data", 105, "8801 0000" + addresses + "1000 0000" + snap, saysDNS},
		{"802.11 qos data with ht control", 105, "8881 0000" + addresses + "1000 0000 00000000" + snap, saysDNS},
		{"802.11 aggregate", 105, "8801 0000" + addresses + "1000 8000" + innerMACs + "0026" + snap, saysDNS},
		{"802.11 wds", 105, "0803 0000" + addresses + "1000 06000000000d" + snap, saysDNS},
		{"802.11 encrypted", 105, "0842 0000" + addresses + "1000" + snap, "wlan"},
		{"802.11 fragment", 105, "0802 0000" + addresses + "1100" + snap, "wlan"},
		{"802.11 null", 105, "4801 0000" + addresses + "1000", "wlan"},
		{"802.11 beacon", 105, "8000 0000" + addresses + "1000 0000000000000000", "wlan"},
		{"802.11 acknowledgment", 105, "d400 0000 02000000000b", "wlan"},
		{"802.11 eapol", 105, data + "aaaa03 000000 888e 0103", "eapol"},
		{"radiotap", 127, "0000 0800 00000000" + data + snap, saysDNS},
		{"radiotap with padded 802.11", 127,
			"0000 1c00 03000080 00000000 00000000 0000000000000000 20 000000" + "8801 0000" + addresses + "1000 0000 0000" + snap, saysDNS},
		{"radiotap of nonsense", 127, "0100 0800 00000000" + data + snap, "wlan malformed"},
		{"prism", 119, "44000000 90000000" + zeros(136) + data + snap, saysDNS},
		{"prism, big endian", 119, "00000044 00000090" + zeros(136) + data + snap, saysDNS},
		{"avs", 163, "80211001 00000040" + zeros(56) + data + snap, saysDNS},
		{"avs under prism's link type", 119, "80211001 00000040" + zeros(56) + data + snap, saysDNS},
		{"prism left out", 119, data + snap, saysDNS},
		{"ppi", 192, "00 00 0800 69000000" + data + snap, saysDNS},
		{"ppi of ethernet", 192, "00 00 0800 01000000" + ethernetMACs + "0800" + v4, saysDNS},
		{"ppi in itself", 192, strings.Repeat("00 00 0800 c0000000", 60), "malformed"},
		{"usb", 220, zeros(64), "usb"},
		{"bluetooth", 201, zeros(8), "bluetooth"},
		{"user 0", 147, v4, ""},
		{"no packet", 0xffff, v4, ""},
	}
}

func TestLinks(t *testing.T) { check(t, linkRows()) }

// TestMACs tells that the addresses are those of source and destination, not
// of the access points between them.
func TestMACs(t *testing.T) {
	body := "aaaa03 000000 0800" + inner4(17, dns)
	const a, b, c, e = "020000000001 ", "020000000002 ", "020000000003 ", "020000000004 "
	tests := []struct {
		name     string
		link     uint16
		frame    string
		src, dst string
	}{
		{"ethernet", 1, a + b + "0800" + inner4(17, dns), b, a},
		{"tunnel", 1, a + b + "0800" + ipv4(97, "3000"+c+e+"0800"+inner4(17, dns)), e, c},
		{"fallen back from a tunnel", 1, a + b + "0800" + ipv4(97, "3000"+c+e+"1234"), b, a},
		{"cooked", 113, "0000 0001 0006" + a + "0000 0800" + inner4(17, dns), a, "000000000000"},
		{"802.11 ad hoc", 105, "0800 0000" + a + b + c + "0000" + body, b, a},
		{"802.11 to access point", 105, "0801 0000" + a + b + c + "0000" + body, b, c},
		{"802.11 from access point", 105, "0802 0000" + a + b + c + "0000" + body, c, a},
		{"802.11 between access points", 105, "0803 0000" + a + b + c + "0000" + e + body, e, c},
		{"802.11 aggregate", 105, "8800 0000" + a + b + c + "0000 8000" + e + c + "0026" + body, c, e},
		{"802.11 control", 105, "d400 0000" + a, "000000000000", a},
		{"token ring", 6, "1040" + a + "820000000002 0230" + body, b, a},
	}
	for _, tt := range tests {
		p := decode(t, tt.link, tt.frame)
		if got, want := p.SrcMAC[:], unhex(t, tt.src); string(got) != string(want) {
			t.Errorf("%s: source %x, want %x", tt.name, got, want)
		}
		if got, want := p.DstMAC[:], unhex(t, tt.dst); string(got) != string(want) {
			t.Errorf("%s: destination %x, want %x", tt.name, got, want)
		}
	}
}
