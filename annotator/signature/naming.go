package signature

// naming holds DNS and its family, which differ in flags and names more than in
// anything else.
var naming = []Signature{
	{Class: "dns", Doc: "header with plausible counts and a question (RFC 1035 section 4.1) that asks for recursion or answers, behind its length over TCP", match: func(m Message) bool {
		h, ok := dnsHeader(m)
		return ok && !netbios(m, h.name) && (h.flags&0x8000 != 0 || h.flags&0x0100 != 0 || h.additional > 0 || h.questions == 0)
	}},
	{Class: "mdns", Doc: "DNS with ID 0, and no recursion asked for or an authoritative answer (RFC 6762 section 18)", proto: udp, match: func(m Message) bool {
		h, ok := dnsHeader(m)
		return ok && h.id == 0 && (h.flags == 0 || h.flags == 0x8400 || h.flags == 0x0200 || h.flags == 0x8600)
	}},
	{Class: "llmnr", Doc: "DNS with one question for one label, no recursion and no other record, or its answer (RFC 4795 section 2.1)", match: llmnr},
	{Class: "nbns", Doc: "header and a name in first-level encoding (RFC 1002 section 4.2)", proto: udp, match: func(m Message) bool {
		return m.be16(4) <= 1 && m.be16(6) <= 1 && netbios(m, 12)
	}},
	{Class: "nbdgm", Doc: "datagram header with a length that fits, or a name behind it (RFC 1002 section 4.4)", proto: udp, match: func(m Message) bool {
		return m.at(0) >= 0x10 && m.at(0) <= 0x16 && m.at(1)&^0x0f == 0 && (m.be16(10) == m.Length-14 || netbios(m, 14))
	}},
	{Class: "nbss", Doc: "session request or its answer (RFC 1002 section 4.3)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "\x81\x00\x00\x44\x20") || m.has(0, "\x82\x00\x00\x00") && m.Length == 4 || m.has(0, "\x83\x00\x00\x01") && m.Length == 5
	}},
}

type dns struct {
	id, flags, questions, answers, authorities, additional int
	name                                                   int // where the first name begins
}

// dnsHeader reads the header of a DNS message, which must be followed by a
// well-formed name.
func dnsHeader(m Message) (h dns, ok bool) {
	i := 0
	if m.Proto == tcp {
		if n := m.be16(0); n < 12 || n > m.Length-2 && m.Length < 500 {
			return h, false
		}
		i = 2
	}
	h = dns{m.be16(i), m.be16(i + 2), m.be16(i + 4), m.be16(i + 6), m.be16(i + 8), m.be16(i + 10), i + 12}
	records := h.questions + h.answers + h.authorities + h.additional
	opcode := h.flags >> 11 & 15
	if h.additional < 0 || h.flags&0x40 != 0 || opcode > 6 || opcode == 3 || h.flags&15 > 11 && h.flags&15 < 16 && h.flags&15 != 15 {
		return h, false
	}
	if response := h.flags&0x8000 != 0; !response && (h.flags&15 != 0 || h.questions == 0) || h.questions == 0 && h.answers+h.authorities == 0 && records > 0 {
		return h, false // questions have no response code, and answers have some record
	}
	if h.questions > 32 || h.answers > 512 || h.authorities > 64 || h.additional > 512 {
		return h, false
	}
	if records == 0 {
		return h, m.Length == i+12 && h.flags&0x8000 != 0
	}
	return h, m.labels(h.name)
}

// labels tells whether a domain name begins at offset i: labels of at most 63
// bytes up to the root, a pointer, or the end of what was captured (RFC 1035
// section 4.1.4).
func (m Message) labels(i int) bool {
	for {
		switch n := m.at(i); {
		case n < 0:
			return len(m.Data) >= Window
		case n == 0:
			return m.Length >= i+5
		case n >= 0xc0:
			return m.at(i+1) >= 0
		case n > 63:
			return false
		default:
			for j := i + 1; j <= i+n; j++ {
				if c := m.at(j); c >= 0 && c < ' ' {
					return false
				}
			}
			i += n + 1
		}
	}
}

func llmnr(m Message) bool {
	h, ok := dnsHeader(m)
	if !ok || h.questions != 1 || h.flags&^0x8500 != 0 || h.authorities != 0 || h.additional != 0 || h.id == 0 {
		return false
	}
	if h.flags&0x8000 == 0 && h.answers != 0 || m.at(h.name) == 0 {
		return false
	}
	end := h.name + 1 + m.at(h.name)
	return m.at(end) == 0 || end >= len(m.Data) || m.contains("\x07in-addr") || m.contains("\x03ip6\x04arpa")
}

// netbios tells whether a name in first-level encoding begins at offset i: 32
// letters from A to P.
func netbios(m Message, i int) bool {
	if m.at(i) != 0x20 {
		return false
	}
	for j := i + 1; j <= i+32; j++ {
		if c := m.at(j); c < 'A' || c > 'P' {
			return false
		}
	}
	return true
}
