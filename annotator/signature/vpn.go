package signature

// vpn holds what carries other traffic, in the clear or not.
var vpn = []Signature{
	{Class: "wg", Doc: "type, three zero bytes, and the only length that goes with them (WireGuard section 5.4)", proto: udp, match: func(m Message) bool {
		if !m.zeros(1, 4) {
			return false
		}
		switch m.at(0) {
		case 1:
			return m.Length == 148
		case 2:
			return m.Length == 92
		case 3:
			return m.Length == 64
		case 4: // counter below 2^40
			return m.Length >= 32 && m.Length%16 == 0 && m.zeros(13, 16)
		}
		return false
	}},
	{Class: "openvpn", Doc: "reset or control packet with its key ID, packet IDs and acknowledgements (OpenVPN wire protocol)", match: openvpn},
	{Class: "isakmp", Doc: "SPIs, version, exchange and a length that fits (RFC 7296 section 3.1, RFC 2408 section 3.1), behind a marker if encapsulated (RFC 3948)", match: isakmp},
	{Class: "isakmp", Doc: "two ESP packets of one SPI with sequence numbers in a row (RFC 3948 section 2.1)", proto: udp, follows: func(m, next Message) bool {
		gap := next.be32(4) - m.be32(4)
		return m.be32(0) > 255 && m.be32(0) == next.be32(0) && gap >= 1 && gap <= 4 && m.Length >= 40 && next.Length >= 40 && m.zeros(4, 6)
	}},
	{Class: "l2tp", Doc: "version 2 control message with a length that fits (RFC 2661 section 3.1)", proto: udp, match: func(m Message) bool {
		return m.at(0)&0xcb == 0xc8 && m.at(1) == 2 && m.be16(2) == m.Length
	}},
	{Class: "pptp", Doc: "length that fits and the magic cookie (RFC 2637 section 2)", proto: tcp, match: func(m Message) bool {
		return m.be16(2) == 1 && m.be32(4) == 0x1a2b3c4d
	}},
	{Class: "vxlan", Doc: "I flag, empty reserved fields and an Ethernet frame (RFC 7348 section 5)", proto: udp, match: func(m Message) bool {
		return m.at(0)&^0x80 == 8 && m.at(7) == 0 && m.at(1) == 0 && ethernet(m, 8)
	}},
	{Class: "geneve", Doc: "version 0, the protocol inside and an empty reserved field (RFC 8926 section 3.4)", proto: udp, match: func(m Message) bool {
		inside := m.be16(2)
		if m.at(0)>>6 != 0 || m.at(1)&0x3f != 0 || m.at(1) < 0 || m.at(7) != 0 {
			return false
		}
		start := 8 + 4*(m.at(0)&0x3f)
		return inside == 0x6558 && (start+14 > len(m.Data) || ethernet(m, start)) || inside == 0x0800 && m.at(start)>>4 == 4 || inside == 0x86dd && m.at(start)>>4 == 6 || inside == 0x0806 && m.be16(start) == 1
	}},
	{Class: "teredo", Doc: "an IPv6 packet, an authentication header or an origin (RFC 4380 section 5.1.1)", proto: udp, match: func(m Message) bool {
		i := 0
		if m.be16(0) == 1 { // authentication: client ID, key, nonce, confirmation
			i = 13 + m.at(2) + m.at(3)
		}
		if m.be16(i) == 0 { // origin
			i += 8
		}
		return m.at(i)>>4 == 6 && (m.at(i+8)>>5 == 1 || m.be16(i+8) == 0xfe80) && m.be16(i+4) == m.Length-i-40 && m.Length >= i+40
	}},
	{Class: "gtp", Doc: "version 1 or 2, or GTP', type and a length that fits (3GPP TS 29.060 section 6, TS 29.274 section 5)", proto: udp, match: gtp},
	{Class: "pfcp", Doc: "version 1, type and a length that fits (3GPP TS 29.244 section 7.2.2)", proto: udp, match: func(m Message) bool {
		kind := m.at(1)
		return m.at(0)&0xf8 == 0x20 && (kind >= 1 && kind <= 16 || kind >= 50 && kind <= 57) && m.be16(2) == m.Length-4
	}},
	{Class: "capwap", Doc: "preamble, header length and binding, or that of DTLS (RFC 5415 section 4)", proto: udp, match: func(m Message) bool {
		if m.be32(0) == 0x01000000 {
			return m.at(4) >= 20 && m.at(4) <= 25 && (m.be16(5) == 0xfeff || m.be16(5) == 0xfefd)
		}
		start := m.at(1) >> 3 * 4 // in words, five bits
		return m.at(0) == 0 && start >= 8 && start <= 40 && m.at(7)&7 == 0 && m.be16(start) == 0 && m.be16(start+2) >= 1 && m.be16(start+2) <= 26 &&
			m.Length-start-8 >= 0 && m.be16(start+5) <= m.Length-start
	}},
	{Class: "lisp", Doc: "map request, reply, register, notify or encapsulated control (RFC 9301 section 5)", proto: udp, match: func(m Message) bool {
		switch m.at(0) >> 4 {
		case 1:
			return m.at(2)&^0x1f == 0 && m.at(3) == 1 && m.be32(4) > 0 && (m.be16(12) <= 2 || m.be16(12) == 0x4003)
		case 2:
			return m.at(1) == 0 && m.at(3) >= 1 && m.at(3) <= 4 && m.be32(12) < 1<<20
		case 3, 4:
			return m.at(3) >= 1 && m.at(3) <= 4 && m.be16(12) <= 4 && (m.be16(14) == 20 || m.be16(14) == 32 || m.be16(14) == 16 || m.be16(14) == 0)
		case 8:
			return m.zeros(1, 4) && (m.at(4)>>4 == 4 || m.at(4)>>4 == 6)
		}
		return false
	}},
	{Class: "lisp", Doc: "data header with an IP packet inside (RFC 9300 section 5.3)", proto: udp, match: func(m Message) bool {
		if m.at(0)&0xc0 == 0 || m.at(0)&7 != 0 {
			return false
		}
		return m.at(8) == 0x45 && m.be16(10) == m.Length-8 || m.at(8)>>4 == 6 && m.be16(12) == m.Length-48
	}},
}

// ethernet tells whether an Ethernet frame with a common type begins at offset
// i.
func ethernet(m Message, i int) bool {
	switch kind := m.be16(i + 12); kind {
	case 0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x8847, 0x88cc, 0x8906, 0x894f:
		return true
	default:
		return kind > 0 && kind <= 1500 && kind <= m.Length-i-14 && m.at(i+14) == m.at(i+15)
	}
}

// Operation codes of OpenVPN's control channel, in the upper five bits.
const (
	ovpnControl  = 4
	ovpnAck      = 5
	ovpnClientV2 = 7
	ovpnServerV2 = 8
	ovpnClientV3 = 10
)

func openvpn(m Message) bool {
	i := 0
	if m.Proto == tcp {
		if n := m.be16(0); n != m.Length-2 && (n < 14 || n > m.Length-2) {
			return false
		}
		i = 2
	}
	op := m.at(i) >> 3
	switch {
	case m.at(i)&7 != 0 || m.Length < i+14:
		return false
	case op != ovpnControl && op != ovpnAck && op != ovpnClientV2 && op != ovpnServerV2 && op != ovpnClientV3:
		return false
	}
	if acks := m.at(i + 9); acks == 0 && (op == ovpnClientV2 || op == ovpnClientV3) { // no tls-auth
		return m.Length >= i+14 && m.be32(i+10) == 0 && (m.Length == i+14 || op == ovpnClientV3)
	} else if acks == 0 && op == ovpnControl {
		return m.be32(i+10) < 1<<12 && m.at(i+14) >= 20 && m.at(i+14) <= 23 && m.at(i+15) == 3
	} else if acks > 0 && acks <= 8 { // packet IDs, the other side's session, an ID of its own
		next := i + 18 + 4*acks
		return m.be32(i+10) < 1<<12 && (op == ovpnAck && m.Length == next || op != ovpnAck && m.be32(next) >= 0 && m.be32(next) < 1<<12)
	}
	if id := m.be32(i + 9); id > 0 && id < 1<<12 && m.be32(i+13) > 1<<29 && m.Length >= i+49 { // tls-crypt
		return true
	}
	for _, digest := range []int{16, 20, 32, 64} { // tls-auth: HMAC, packet ID, time
		at := i + 9 + digest
		if id := m.be32(at); id > 0 && id < 1<<12 && m.be32(at+4) > 1<<29 && m.at(at+8) <= 8 && m.at(at+8) >= 0 {
			return true
		}
	}
	return (op == ovpnClientV2 || op == ovpnServerV2 || op == ovpnClientV3) && m.Length == i+86 && m.at(i+9) >= 0
}

func isakmp(m Message) bool {
	i := 0
	switch {
	case m.Proto == tcp:
		i = 6 // length and marker, RFC 8229 section 3
		if m.be16(0) != m.Length || m.be32(2) != 0 {
			return m.has(0, "IKETCP")
		}
	case m.be32(0) == 0:
		i = 4
	}
	version, exchange := m.at(i+17), m.at(i+18)
	v1 := version == 0x10 && (exchange >= 1 && exchange <= 6 || exchange >= 32 && exchange <= 34)
	v2 := (version == 0x20 || version == 0x21) && exchange >= 34 && exchange <= 46
	return (v1 || v2) && m.be32(i) > 0 && m.at(i+19)&^0x3f == 0 && m.be32(i+24) <= m.Length-i && m.be32(i+24) >= 28
}

func gtp(m Message) bool {
	b, kind, n := m.at(0), m.at(1), m.be16(2)
	switch {
	case b < 0 || n < 0:
		return false
	case b&0xf8 == 0x30: // version 1
		if kind == 255 && m.Length > 1000 { // possibly the first fragment of a datagram
			return n >= m.Length-8 && n < 1<<14 && (m.at(8)>>4 == 4 || m.at(8)>>4 == 6 || b&7 != 0)
		}
		return n == m.Length-8 && (b&7 != 0 || kind == 255 || kind == 26 || kind <= 3) && kind > 0 && (n > 0 || b&7 == 0)
	case b&0xe7 == 0x40: // version 2, with or without a tunnel
		return n <= m.Length-4 && n >= 4 && kind > 0 && (kind <= 3 || kind >= 25) && (m.zeros(11, 12) && b&8 != 0 || b&8 == 0 && m.zeros(7, 8))
	case b>>5 <= 2 && b&0x10 == 0 && b&0x0e == 0x0e || b == 0x4f || b == 0x2e || b == 0x0f: // charging
		return (n == m.Length-6 || n == m.Length-20) && (kind >= 1 && kind <= 7 || kind == 240 || kind == 241)
	case b&0xf8 == 0x18 || b&0xf8 == 0x10: // version 0
		return n == m.Length-20 && kind > 0 && b&1 == 0
	}
	return false
}
