package signature

// web holds what the web is made of, and TLS with its relatives.
var web = []Signature{
	{Class: "http", Doc: "request line or status line (RFC 9112 sections 3 and 4)", proto: tcp, match: http},
	{Class: "http2", Doc: "connection preface, or a SETTINGS frame on stream 0 (RFC 9113 sections 3.4 and 6.5)", proto: tcp, match: http2},
	{Class: "tls", Doc: "record header of a known type and version (RFC 8446 section 5.1), or the ClientHello of SSL 2.0", proto: tcp, match: tls},
	{Class: "dtls", Doc: "record header with version 1.0 or 1.2 and a length that fits (RFC 6347 section 4.1)", proto: udp, match: dtls},
	{Class: "quic", Doc: "long header of a known version (RFC 8999 section 5.1), or the version tag of Google QUIC", proto: udp, match: quic},
	{Class: "rtmpt", Doc: "C0 and C1 with version 3 and a zero field (RTMP specification 1.0 section 5.2)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 3 && m.zeros(5, 9) && m.Length >= 1400
	}},
	{Class: "fcgi", Doc: "BEGIN_REQUEST record of version 1 (FastCGI specification section 3.3)", proto: tcp, match: begins("\x01\x01\x00\x01\x00\x08\x00\x00\x00")},
	{Class: "ajp13", Doc: "magic 0x1234 or AB with a length (AJP 1.3)", proto: tcp, match: func(m Message) bool {
		return (m.be16(0) == 0x1234 || m.has(0, "AB")) && m.be16(2) == m.Length-4 && m.at(4) >= 2 && m.at(4) <= 10
	}},
	{Class: "proxy", Doc: "PROXY header of version 1 or 2 (haproxy proxy-protocol.txt section 2)", proto: tcp, match: begins("PROXY TCP", "PROXY UNKNOWN", "\r\n\r\n\x00\r\nQUIT\n")},
}

func http(m Message) bool {
	if m.has(0, "HTTP/1.") {
		return true
	}
	if !httpMethod(m) {
		return false
	}
	for i := range len(m.Data) - 1 {
		if m.Data[i] != ' ' {
			continue
		}
		target := Message{Data: m.Data[i+1:]}
		switch c := target.at(0); {
		case target.has(0, "/"), target.has(0, "* HTTP/"), target.has(0, "http:"), target.has(0, "https:"):
			return true
		case m.has(0, "CONNECT "):
			return c > ' ' && target.contains(":")
		default:
			return target.contains(" HTTP/1.")
		}
	}
	return false
}

var httpMethod = word("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND",
	"PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "RPC_IN_DATA", "RPC_OUT_DATA",
	"CCM_POST", "SOURCE", "SUBSCRIBE", "UNSUBSCRIBE")

func http2(m Message) bool {
	if m.has(0, "PRI * HTTP/2.0") {
		return true
	}
	n := m.be24(0)
	return m.at(3) == 4 && n%6 == 0 && n <= 120 && m.at(4) <= 1 && m.zeros(5, 9) && (n == 0 || m.at(9) == 0)
}

func tls(m Message) bool {
	if m.at(0) >= 20 && m.at(0) <= 24 && m.at(1) == 3 && m.at(2) <= 4 && m.at(2) >= 0 {
		n := m.be16(3)
		return n > 0 && n <= 1<<14+2048
	}
	// Two bytes of length, the type, the version (SSL 2.0 draft of 1995).
	return m.at(0)&0x80 != 0 && m.at(2) == 1 && (m.be16(3) == 2 || m.be16(3) >= 0x300 && m.be16(3) <= 0x304) &&
		m.be16(0)&0x7fff == m.Length-2
}

func dtls(m Message) bool {
	version := m.be16(1)
	return m.at(0) >= 20 && m.at(0) <= 25 && (version == 0xfeff || version == 0xfefd || version == 0x0100) &&
		m.be16(11) > 0 && m.be16(11) <= m.Length-13
}

func quic(m Message) bool {
	b := m.at(0)
	if b&0xc0 == 0xc0 && m.at(5) >= 0 && m.at(5) <= 20 {
		switch v := m.be32(1); {
		case v == 0, v == 1, v == 0x6b3343cf, v>>8 == 0xff0000, v&0x0f0f0f0f == 0x0a0a0a0a, v == 0xfaceb002, v == 0xfaceb001:
			return m.Length > 20
		case v>>24 == 'Q' || v>>24 == 'T':
			return m.has(2, "0")
		}
	}
	if b < 0 || b&0xc0 != 0 || b&1 == 0 {
		return false
	}
	tag := 1 // behind the connection ID, which is there in public flags 0x08
	if b&8 != 0 {
		tag = 9
	}
	return m.has(tag, "Q0") && m.at(tag+2) >= '0' && m.at(tag+2) <= '9' && m.at(tag+3) >= '0' && m.at(tag+3) <= '9'
}
