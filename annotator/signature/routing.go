package signature

// routing holds what routers and switches tell each other.
var routing = []Signature{
	{Class: "bgp", Doc: "marker of ones, length and type (RFC 4271 section 4.1)", proto: tcp, match: func(m Message) bool {
		for i := range 16 {
			if m.at(i) != 0xff {
				return false
			}
		}
		return m.be16(16) >= 19 && m.at(18) >= 1 && m.at(18) <= 6
	}},
	{Class: "rip", Doc: "command, version and whole entries (RFC 2453 section 4)", proto: udp, match: func(m Message) bool {
		family := m.be16(4)
		return (m.at(0) == 1 || m.at(0) == 2) && (m.at(1) == 1 || m.at(1) == 2) && m.zeros(2, 4) && m.Length >= 24 && (m.Length-4)%20 == 0 && (family == 2 || family == 0xffff || family == 0)
	}},
	{Class: "ripng", Doc: "command, version 1 and whole entries (RFC 2080 section 2.1)", proto: udp, match: func(m Message) bool {
		return (m.at(0) == 1 || m.at(0) == 2) && m.at(1) == 1 && m.zeros(2, 4) && m.Length >= 24 && (m.Length-4)%20 == 0 && m.at(22) <= 128 && m.at(4) != 0
	}},
	{Class: "bfd", Doc: "version 1, a length that fits and a multiplier (RFC 5880 section 4.1)", proto: udp, match: func(m Message) bool {
		return m.at(0)>>5 == 1 && m.at(3) == m.Length && m.at(3) >= 24 && m.at(3) <= 64 && m.at(2) > 0 && m.be32(4) > 0 && m.at(1)&1 == 0
	}},
	{Class: "hsrp", Doc: "version 0 with the state and its reserved byte (RFC 2281 section 5), or version 2 or an advertisement by its type", proto: udp, match: func(m Message) bool {
		state := m.at(2)
		return m.at(0) == 0 && m.Length >= 20 && m.Length <= 50 && m.at(1) >= 0 && m.at(1) <= 3 && (state == 0 || state == 1 || state == 2 || state == 4 || state == 8 || state == 16) && m.at(3) > 0 && m.at(7) == 0 && m.at(4) > 0 ||
			m.has(0, "\x01\x28\x02") || m.be16(0) == 2 && m.be16(2) == 4 && m.Length == 8 || m.at(0) == 2 && m.at(1) == 4 && m.Length == 6 || m.zeros(0, 1) && m.has(0, "\x00\x03\x00\x0a\x02") || m.has(0, "\x00\x01\x00\x0a") && m.Length == 16
	}},
	{Class: "ldp", Doc: "version 1, a length that fits, an identifier and a message (RFC 5036 section 3.1)", match: func(m Message) bool {
		kind := m.be16(10) & 0x7fff
		return m.be16(0) == 1 && m.be16(2) >= 14 && m.be16(2) <= m.Length-4 && m.be32(4) > 0 && m.zeros(8, 10) && (kind == 1 || kind >= 0x100 && kind <= 0x404) && m.be16(12) <= m.be16(2)-8
	}},
	{Class: "openflow", Doc: "version, type and a length that fits (OpenFlow 1.3 section 7.1)", proto: tcp, match: func(m Message) bool {
		n := m.be16(2)
		hello := m.at(1) == 0 && (n == 8 || n == 16 && m.be16(8) == 1)
		return m.at(0) >= 1 && m.at(0) <= 6 && (hello || m.at(1) >= 2 && m.at(1) <= 35) && n >= 8 && n%8 == 0 && (n == m.Length || m.at(n) == m.at(0))
	}},
	{Class: "bmp", Doc: "version 3, length and type (RFC 7854 section 4.1)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 3 && m.at(1) == 0 && m.be32(1) >= 6 && m.be32(1) <= 1<<16 && m.at(5) >= 0 && m.at(5) <= 6 && (m.be32(1) == m.Length || m.at(m.be32(1)) == 3)
	}},
	{Class: "msdp", Doc: "type and length of a TLV (RFC 3618 section 12)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 1 && m.be16(1) >= 20 && m.at(3) > 0 && m.be16(1) >= 8+12*m.at(3) && m.be16(1) <= m.Length || m.at(0) == 4 && m.be16(1) == 3 && m.Length == 3
	}},
	{Class: "egd", Doc: "type 13, version 1 (Ethernet Global Data)", proto: udp, match: func(m Message) bool {
		return m.has(0, "\x0d\x01") && m.Length >= 32 && m.be32(4) > 0
	}},
}
