package signature

// home holds small devices and discovery among them.
var home = []Signature{
	{Class: "coap", Doc: "version 1, token, code of a method or a response, options (RFC 7252 section 3)", match: coap},
	{Class: "db-lsp-disc", Doc: "JSON object that begins with host_int (Dropbox LAN sync discovery)", proto: udp, match: func(m Message) bool {
		return m.has(0, `{"host_int": `) || m.at(0) == '{' && m.contains(`"host_int": `) || m.has(0, `{"version": [`)
	}},
	{Class: "ws-discovery", Doc: "SOAP envelope in a datagram (WS-Discovery 1.1)", proto: udp, match: func(m Message) bool {
		return m.has(0, "<?xml ") || m.has(0, "<soap") || m.has(0, "<SOAP") || m.has(0, "<s:Env")
	}},
	{Class: "bjnp", Doc: "magic BJNP or one of its kin, and a device type (Canon BJNP)", proto: udp, match: func(m Message) bool {
		return (m.has(0, "BJNP") || m.has(0, "BJNB") || m.has(0, "MFNP") || m.has(0, "BNJB")) && m.at(4)&0x7f <= 3
	}},
	{Class: "tplink-smarthome", Doc: "JSON object under the autokey cipher that begins with 171, behind its length over TCP", match: func(m Message) bool {
		i := 0
		if m.Proto == tcp {
			if m.be32(0) <= 0 || m.be32(0) > 1<<16 {
				return false
			}
			i = 4
		}
		return m.at(i) == 0xd0 && (m.at(i+1) == 0xf2 || m.at(i+1) == 0xad)
	}},
}

func coap(m Message) bool {
	token := m.at(0) & 15
	if m.Proto == tcp || m.at(0)>>6 != 1 || token > 8 || m.be16(2) < 0 || m.Length > 8 && m.text(8) {
		return false
	}
	class, detail := m.at(1)>>5, m.at(1)&31
	switch {
	case m.at(1) == 0:
		return m.Length == 4
	case class == 0 && detail <= 7, class == 2 && detail <= 5, class == 4 && detail <= 15, class == 5 && detail <= 5, class == 2 && detail == 31:
	default:
		return false
	}
	return options(m, 4+token)
}

// options tells whether CoAP options begin at offset i: numbers that do not
// rise beyond those assigned, lengths within the message, up to its end, to the
// marker, or to what was captured (RFC 7252 section 3.1).
func options(m Message, i int) bool {
	number := 0
	for i < min(m.Length, len(m.Data)) && m.at(i) != 0xff {
		delta, length := m.at(i)>>4, m.at(i)&15
		i++
		switch delta {
		case 13:
			delta = 13 + m.at(i)
			i++
		case 14, 15:
			delta = 269 + max(m.be16(i), 0)
			i += 2
		}
		switch length {
		case 13:
			length = 13 + max(m.at(i), 0)
			i++
		case 14, 15:
			return false
		}
		number += delta
		i += length
		if number == 0 || number > 2060 || i > m.Length {
			return false
		}
	}
	return i <= m.Length
}
