package signature

// media holds telephony and what it sends.
var media = []Signature{
	{Class: "sip", Doc: "request line with a SIP URI, or status line (RFC 3261 section 7)", match: func(m Message) bool {
		return m.has(0, "SIP/2.0 ") || sipMethod(m) && (m.contains(" sip:") || m.contains(" sips:") || m.contains(" tel:") || m.contains(" SIP/2.0"))
	}},
	{Class: "rtsp", Doc: "request with an RTSP URI, or status line (RFC 7826 section 20.2)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "RTSP/1.0 ") || m.has(0, "RTSP/2.0 ") || rtspMethod(m) && (m.contains(" rtsp://") || m.contains(" RTSP/") || m.contains(" rtsps://"))
	}},
	{Class: "rtp", Doc: "version 2 and a payload type that is in use (RFC 3550 section 5.1, RFC 3551 section 6)", proto: udp, match: rtp},
	{Class: "rtp", Doc: "two packets of one source with sequence numbers in a row (RFC 3550 section 5.1)", proto: udp, follows: func(m, next Message) bool {
		gap := (next.be16(2) - m.be16(2)) & 0xffff
		return rtp(m) && rtp(next) && m.be32(8) == next.be32(8) && gap >= 1 && gap <= 4 && m.at(1)&0x7f == next.at(1)&0x7f
	}},
	{Class: "rtcp", Doc: "version 2, type and a length in words that fits (RFC 3550 section 6.4)", proto: udp, match: func(m Message) bool {
		n := 4 * (m.be16(2) + 1)
		return m.at(0)>>6 == 2 && m.at(1) >= 200 && m.at(1) <= 207 && m.be16(2) > 0 &&
			(n == m.Length || n < m.Length && (m.at(n) < 0 || m.at(n)>>6 == 2 && m.at(n+1) >= 200 && m.at(n+1) <= 207) || n < m.Length && m.Length-n <= 18)
	}},
	{Class: "stun", Doc: "magic cookie and a length that fits (RFC 8489 section 5), or the message of RFC 3489 that has none", match: stun},
	{Class: "stun", Doc: "ChannelData of TURN: a channel and a length that fits (RFC 8656 section 12.4)", match: func(m Message) bool {
		return m.at(0)&0xc0 == 0x40 && m.at(0) <= 0x4f && m.be16(2) > 0 && (m.be16(2) == m.Length-4 || m.Length-4 > m.be16(2) && m.Length-4-m.be16(2) < 4)
	}},
	{Class: "mgcp", Doc: "verb and transaction, or return code (RFC 3435 section 3.2)", proto: udp, match: func(m Message) bool {
		return mgcpVerb(m) && m.at(5) >= '0' && m.at(5) <= '9' || m.reply("1245") && m.text(Window) && m.at(4) >= '1' && m.at(4) <= '9'
	}},
	{Class: "megaco", Doc: "MEGACO or ! with the version (RFC 3525 annex B)", match: begins("MEGACO/", "!/1 ", "!/2 ", "!/3 ")},
	{Class: "h225", Doc: "Q.931 message in a TPKT (H.225.0 section 7)", proto: tcp, match: func(m Message) bool {
		return tpkt(m) && m.at(4) == 8 && m.at(5) <= 2
	}},
	{Class: "h225", Doc: "H.245 message in a TPKT that is no COTP", proto: tcp, match: func(m Message) bool {
		return tpkt(m) && m.be16(2) == m.Length && (m.be16(4) == 0x0230 || m.be16(4) == 0x0270 || m.be16(4) == 0x0100 || m.be16(4) == 0x2180 || m.be16(4) == 0x2080)
	}},
	{Class: "skinny", Doc: "length that fits, version, message (SCCP)", proto: tcp, match: func(m Message) bool {
		v := m.le32(4)
		return m.le32(0) >= 4 && m.le32(0) < 4096 && (m.le32(0) == m.Length-8 || m.le32(0) < m.Length-8) && (v == 0 || v >= 0x11 && v <= 0x16) && m.le32(8) >= 0 && m.le32(8) <= 0x160
	}},
	{Class: "iax2", Doc: "full frame of type IAX (RFC 5456 section 8.1)", proto: udp, match: func(m Message) bool {
		return m.at(0)&0x80 != 0 && m.at(10) == 6 && m.at(11) >= 1 && m.at(11) <= 0x28 && m.Length >= 12 && m.be32(4) < 1<<24
	}},
}

var (
	sipMethod = word("INVITE", "REGISTER", "OPTIONS", "ACK", "BYE", "CANCEL", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "PRACK",
		"UPDATE", "MESSAGE", "REFER")
	rtspMethod = word("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "ANNOUNCE", "RECORD", "GET_PARAMETER", "SET_PARAMETER")
	mgcpVerb   = word("AUEP", "AUCX", "CRCX", "DLCX", "EPCF", "MDCX", "NTFY", "RQNT", "RSIP")
)

func rtp(m Message) bool {
	kind := m.at(1) & 0x7f
	return m.at(0)>>6 == 2 && (kind <= 34 || kind >= 96) && m.at(1) >= 0 && m.Length >= 13+4*(m.at(0)&15) && m.be32(8) > 0 && m.at(0)&15 <= 4 && m.be16(2) != m.Length
}

func stun(m Message) bool {
	n := m.be16(2)
	if m.Proto == tcp && m.be16(0) == m.Length-2 { // framed, RFC 4571
		return m.be32(6) == 0x2112a442
	}
	if m.at(0)&0xc0 != 0 || n < 0 || n%4 != 0 {
		return false
	}
	if m.be32(4) == 0x2112a442 {
		return n <= m.Length-20 || m.Proto == tcp
	}
	switch m.be16(0) {
	case 1, 2, 0x101, 0x102, 0x111, 0x112:
		attribute := m.be16(20)
		return n == m.Length-20 && (n == 0 || attribute >= 1 && attribute <= 0x24 || attribute >= 0x101 && attribute <= 0x103 || attribute >= 0x8000) && (n == 0 || m.be16(22) <= n-4)
	}
	return false
}
