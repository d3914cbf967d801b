package signature

import "bytes"

// service holds what keeps networks running: time, addresses, management.
var service = []Signature{
	{Class: "ntp", Doc: "version, mode and stratum (RFC 5905 section 7.3), or a control or private message", proto: udp, match: ntp},
	{Class: "ptp", Doc: "version 2 with a length that fits (IEEE 1588 section 13.3)", proto: udp, match: func(m Message) bool {
		return m.at(1)&0x0f == 2 && m.at(0)&0x0f <= 13 && m.be16(2) >= 44 && m.be16(2) <= m.Length && m.Length <= m.be16(2)+2 && m.at(4) < 128 && m.at(5) == 0
	}},
	{Class: "snmp", Doc: "version, community or header, and a PDU (RFC 1157 section 4, RFC 3412 section 6)", match: snmp},
	{Class: "dhcp", Doc: "operation, hardware type and length, empty fields (RFC 2131 section 2)", proto: udp, match: func(m Message) bool {
		return (m.at(0) == 1 || m.at(0) == 2) && m.at(1) > 0 && m.at(1) < 40 && m.at(2) <= 16 && m.at(3) >= 0 && m.at(3) <= 16 &&
			m.be16(10)&0x7fff == 0 && m.Length >= 236 && m.zeros(28+max(m.at(2), 6), 44)
	}},
	{Class: "dhcpv6", Doc: "type of a message and options that fill it (RFC 8415 section 8)", proto: udp, match: dhcpv6},
	{Class: "tftp", Doc: "request with a mode, or block, acknowledgement, error (RFC 1350 section 5) or OACK (RFC 2347)", proto: udp, match: tftp},
	{Class: "radius", Doc: "code, length that fits, attributes (RFC 2865 section 3)", proto: udp, match: radius},
	{Class: "diameter", Doc: "version 1, length and flags (RFC 6733 section 3)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 1 && m.be24(1) >= 20 && m.fits(m.be24(1), 20, 1<<14) && m.be24(1)%4 == 0 && m.at(4)&0x0f == 0 && m.at(4) >= 0 &&
			m.be24(5) >= 257 && m.be32(8) < 1<<25
	}},
	{Class: "cflow", Doc: "version 1, 5, 7, 9 or 10 with a count or a length that fits (RFC 3954 section 5.1, RFC 7011 section 3.1)", match: cflow},
	{Class: "sflow", Doc: "version 2, 4 or 5 and the agent's address type (sFlow version 5 section 5)", proto: udp, match: func(m Message) bool {
		v := m.be32(0)
		return (v == 2 || v == 4 || v == 5) && (m.be32(4) == 1 || m.be32(4) == 2) && m.Length >= 28 && m.be32(12) < 1<<24
	}},
	{Class: "ssdp", Doc: "M-SEARCH, NOTIFY or a response in a datagram (UPnP Device Architecture 2.0 section 1)", proto: udp,
		match: begins("M-SEARCH * HTTP/1.", "NOTIFY * HTTP/1.", "HTTP/1.")},
	{Class: "srvloc", Doc: "version 1 or 2, function and length that fits (RFC 2608 section 8, RFC 2165 section 4.1)", match: func(m Message) bool {
		return m.at(0) == 2 && m.at(1) >= 1 && m.at(1) <= 11 && m.fits(m.be24(2), 16, 1<<16) && m.at(6) == 0 || slpV1(m)
	}},
	{Class: "portcontrol", Doc: "request or response of NAT-PMP (RFC 6886 section 3) or PCP (RFC 6887 section 7)", proto: udp, match: func(m Message) bool {
		switch op := m.at(1); {
		case m.at(0) == 0:
			return m.Length == 2 && op == 0 || m.Length == 12 && (op == 1 || op == 2 || op == 128) && m.be16(2) <= 5 ||
				m.Length == 16 && (op == 129 || op == 130) && m.be16(2) <= 5 || m.Length == 8 && op == 128
		case m.at(0) == 2:
			return op&0x7f <= 2 && m.Length >= 24 && m.Length%4 == 0 && m.zeros(2, 3) && m.be32(4) <= 1<<24 && (m.zeros(8, 18) || m.zeros(12, 24))
		}
		return false
	}},
	{Class: "collectd", Doc: "host part: printable, and ended by a zero (collectd binary protocol)", proto: udp, match: collectd},
}

func collectd(m Message) bool {
	part, length := m.be16(0), m.be16(2)
	switch part {
	case 0x200, 0x210: // signed, encrypted
		return m.Length > 100 && (length == m.Length || length == 41) || length == 36+m.be16(4)
	case 0:
		name := m.Data[min(4, len(m.Data)):min(max(length-1, 4), len(m.Data))]
		ended := length >= len(m.Data) || m.at(length-1) == 0 && m.at(length) == 0
		return length > 5 && length < 200 && ended && Message{Data: name}.text(len(name))
	}
	return false
}

func ntp(m Message) bool {
	b := m.at(0)
	version, mode := b>>3&7, b&7
	switch {
	case b < 0 || version < 1 || version > 4:
		return false
	case mode == 6: // control, RFC 9327 section 2
		padding := m.Length - 12 - m.be16(10)
		return m.at(1)&0x1f <= 12 && m.be16(10) >= 0 && (padding >= 0 && padding < 4 || padding == 20 || padding == 24)
	case mode == 7: // private, of ntpdc: item size and count
		return b&0x40 == 0 && (m.at(2) == 2 || m.at(2) == 3) && m.at(3) <= 50 && m.Length >= 8
	}
	poll, precision := int8(m.at(2)), int8(m.at(3))
	return mode >= 1 && m.Length >= 48 && m.Length <= 200 && m.Length%4 == 0 && m.at(1) >= 0 && m.at(1) <= 16 && poll >= -8 && poll <= 17 &&
		(precision >= -32 && precision < 0 || m.zeros(3, 16))
}

func snmp(m Message) bool {
	i := 0
	n, i, ok := m.ber(i)
	if m.at(0) != 0x30 || !ok || !m.fits(i+n, 20, 1<<16) && i+n > m.Length || !m.has(i, "\x02\x01") {
		return false
	}
	switch m.at(i + 2) {
	case 0, 1: // SNMPv1 and v2c: a community, then a PDU
		if m.at(i+3) != 4 {
			return false
		}
		n, j, ok := m.ber(i + 3)
		return ok && (j+n >= len(m.Data) || m.at(j+n)&0xf0 == 0xa0)
	case 3:
		return m.at(i+3) == 0x30
	}
	return false
}

func dhcpv6(m Message) bool {
	kind, i := m.at(0), 4
	switch {
	case kind == 12 || kind == 13: // relayed
		i = 34
	case kind < 1 || kind > 23:
		return false
	}
	for n := 0; i+4 <= len(m.Data); n++ {
		if code := m.be16(i); code == 0 || code > 170 {
			return false
		}
		i += 4 + m.be16(i+2)
		if i > m.Length {
			return false
		}
	}
	return i >= 8 && (i == m.Length || len(m.Data) < m.Length || m.Length > Window)
}

func tftp(m Message) bool {
	switch m.be16(0) {
	case 1, 2:
		name, rest, ok := bytes.Cut(m.Data[2:], []byte{0})
		if !ok {
			return len(m.Data) >= Window && m.text(0) && m.at(2) > ' '
		}
		mode, _, _ := bytes.Cut(rest, []byte{0})
		return len(name) > 0 && (bytes.EqualFold(mode, []byte("octet")) || bytes.EqualFold(mode, []byte("netascii")) || bytes.EqualFold(mode, []byte("mail")))
	case 3:
		return m.Length >= 4 && m.Length <= 1472 && m.be16(2) > 0 && m.be16(2) < 8
	case 4:
		return m.Length == 4
	case 5:
		return m.be16(2) >= 0 && m.be16(2) <= 8 && m.Length < 200 && (len(m.Data) < m.Length || m.at(m.Length-1) == 0 || m.Length > Window)
	case 6:
		return m.at(2) >= 'a' && m.at(2) <= 'z' && m.contains("\x00")
	}
	return false
}

// slpV1 matches a message of SLP version 1, with its length, no dialect, a
// language of two letters and ASCII or UTF-8.
func slpV1(m Message) bool {
	return m.at(0) == 1 && m.at(1) >= 1 && m.at(1) <= 10 && m.be16(2) == m.Length && m.at(5) == 0 &&
		m.at(6) >= 'a' && m.at(7) >= 'a' && (m.be16(8) == 3 || m.be16(8) == 106)
}

func radius(m Message) bool {
	code, n := m.at(0), m.be16(2)
	if !(code >= 1 && code <= 5 || code >= 11 && code <= 13 || code >= 40 && code <= 45) || n < 20 || n > 4096 || n > m.Length || m.Length > n+4 || slpV1(m) {
		return false
	}
	for i := 20; i+2 <= len(m.Data) && i < n; i += m.at(i + 1) {
		if m.at(i) == 0 || m.at(i+1) < 2 {
			return false
		}
	}
	return true
}

func cflow(m Message) bool {
	count := m.be16(2)
	switch m.be16(0) {
	case 1:
		return count >= 1 && count <= 24 && m.Length == 16+52*count
	case 5:
		return count >= 1 && count <= 30 && m.Length == 24+48*count
	case 7:
		return count >= 1 && count <= 28 && m.Length == 24+52*count
	case 9:
		return count >= 1 && count < 200 && set(m, 20, 0, 1)
	case 10:
		return m.fits(count, 16, 1<<16-1) && (set(m, 16, 2, 3) || count == 16)
	}
	return false
}

// set tells whether a set of templates or data begins at offset i.
func set(m Message, i, template, options int) bool {
	id, n := m.be16(i), m.be16(i+2)
	return (id == template || id == options || id >= 256) && n >= 4 && n <= m.Length-i
}
