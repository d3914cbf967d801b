package signature

import "bytes"

// remote holds logins, screens and remote calls.
var remote = []Signature{
	{Class: "ssh", Doc: "identification string (RFC 4253 section 4.2)", proto: tcp, match: begins("SSH-1.", "SSH-2.")},
	{Class: "telnet", Doc: "begins with the negotiation of an option (RFC 854, RFC 855)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 0xff && m.at(1) >= 0xfa && m.at(1) <= 0xfe && m.at(2) >= 0 && m.at(2) < 80 &&
			(m.Length == 3 || m.at(1) == 0xfa || m.at(3) == 0xff || m.at(3) >= 7 && m.at(3) < 0x7f)
	}},
	{Class: "rdp", Doc: "connection request with a cookie or a negotiation request ([MS-RDPBCGR] section 2.2.1.1), or its answer", proto: tcp, match: rdp},
	{Class: "rdp", Doc: "SYN datagram, with no datagram acknowledged yet ([MS-RDPEUDP] section 3.1.5.1.1)", proto: udp, match: func(m Message) bool {
		return m.be32(0) == 0xffffffff && m.at(7)&1 == 1 && m.Length >= 1132 && m.Length <= 1232 || m.Length >= 1132 && m.Length <= 1232 && m.be16(6)&0xfffa == 0 && m.be16(6)&1 == 1 && m.be32(12) == 0x04d004d0
	}},
	{Class: "vnc", Doc: "ProtocolVersion (RFC 6143 section 7.1.1)", proto: tcp, match: begins("RFB 003.", "RFB 004.", "RFB 005.")},
	{Class: "x11", Doc: "connection set-up of protocol version 11 (X Window System Protocol section 8)", proto: tcp, match: begins("l\x00\x0b\x00\x00\x00", "B\x00\x00\x0b\x00\x00")},
	{Class: "rsh", Doc: "port of the second connection in digits, then users and command, ended by zeros", proto: tcp, match: rsh},
	{Class: "dcerpc", Doc: "header of version 5.0 or 4 with a known type and a length that fits (DCE 1.1: RPC sections 12.5 and 12.6)", match: dcerpc},
	{Class: "rpc", Doc: "call or reply of ONC RPC version 2 (RFC 5531 section 9), but of NFS; its NULL procedure counts, which any client may call", match: func(m Message) bool {
		program, ok := onc(m)
		return ok && program != nfs && program != nfsACL
	}},
	{Class: "nfs", Doc: "call of programs 100003 (RFC 7530, RFC 1813) and 100227", match: func(m Message) bool {
		program, ok := onc(m)
		return ok && (program == nfs || program == nfsACL)
	}},
	{Class: "giop", Doc: "magic GIOP (CORBA 3.3 part 2 section 9.4.1)", match: begins("GIOP\x01")},
	{Class: "kerberos", Doc: "ASN.1 application tag, version 5 and type of a message (RFC 4120 section 5.4), behind its length over TCP", match: kerberos},
	{Class: "ldap", Doc: "LDAPMessage with an ID and an operation (RFC 4511 section 4.1.1)", match: ldap},
	{Class: "tacplus", Doc: "version, type and length (RFC 8907 section 4.1)", proto: tcp, match: func(m Message) bool {
		return m.at(0)&0xfe == 0xc0 && m.at(1) >= 1 && m.at(1) <= 3 && m.at(2) > 0 && m.at(3)&^5 == 0 && m.be32(8) == m.Length-12
	}},
	{Class: "socks", Doc: "greeting of version 5 (RFC 1928 section 3), request of version 4, and their answers", proto: tcp, match: socks},
	{Class: "rmcp", Doc: "version 6 and a known class (ASF 2.0 section 3.2.2)", proto: udp, match: func(m Message) bool {
		return m.at(0) == 6 && m.at(1) == 0 && (m.at(2) == 0xff && m.at(3)&0x7f == 7 || m.at(3)&0x7f == 6)
	}},
	{Class: "rx", Doc: "header with a type, flags and service (Rx protocol specification section 3)", proto: udp, match: func(m Message) bool {
		return m.at(20) >= 1 && m.at(20) <= 13 && m.at(21)&^0x3f == 0 && m.at(22) == 0 && m.at(23) <= 6 && m.be32(0)>>24 >= 0x30 &&
			m.be32(8) < 1<<16 && m.be32(12) < 1<<16 && m.be32(16) < 1<<16 && m.be32(16) > 0 && m.zeros(24, 26)
	}},
}

func tpkt(m Message) bool {
	return m.at(0) == 3 && m.at(1) == 0 && m.be16(2) >= 7 && m.be16(2) <= 1<<15
}

// cotp returns the type of the COTP packet in a TPKT (RFC 905 section 13.1,
// RFC 1006 section 6), or -1.
func cotp(m Message) int {
	if !tpkt(m) || m.at(4) < 2 {
		return -1
	}
	return m.at(5)
}

const (
	connectionRequest = 0xe0
	connectionConfirm = 0xd0
	dataTransfer      = 0xf0
)

func rdp(m Message) bool {
	switch cotp(m) {
	case connectionRequest:
		return m.has(11, "Cookie: ") || m.at(11) == 1 && m.le16(13) == 8 || m.Length == 11 && m.be16(2) == 11
	case connectionConfirm:
		return (m.at(11) == 2 || m.at(11) == 3) && m.le16(13) == 8
	case dataTransfer:
		return m.has(7, "\x7f\x65") || m.has(7, "\x7f\x66")
	}
	return false
}

func rsh(m Message) bool {
	end := bytes.IndexByte(m.Data, 0)
	if end < 1 || end > 5 {
		return false
	}
	for _, b := range m.Data[:end] {
		if b < '0' || b > '9' {
			return false
		}
	}
	return m.Length == end+1 || m.at(m.Length-1) == 0 && bytes.Count(m.Data, []byte{0}) == 4
}

func dcerpc(m Message) bool {
	if m.Proto == udp { // connectionless
		return m.at(0) == 4 && m.at(1) >= 0 && m.at(1) <= 10 && m.at(3)&^3 == 0 && m.at(4)&^0x10 == 0 && m.at(5) <= 3 && m.at(6) <= 1 && m.Length >= 80
	}
	if m.at(0) != 5 || m.at(1) > 1 || m.at(2) < 0 || m.at(2) > 20 || m.at(5) > 3 {
		return false
	}
	n := m.le16(8)
	if m.at(4) == 0 {
		n = m.be16(8)
	}
	return m.at(4)&^0x10 == 0 && n >= 16 && n <= 1<<14 && m.zeros(6, 8)
}

// Programs of ONC RPC, assigned by IANA.
const (
	nfs    = 100003
	nfsACL = 100227
)

// onc returns the program of an ONC RPC call, 0 for a reply.
func onc(m Message) (program int, ok bool) {
	i := 0
	if m.Proto == tcp {
		n := m.be32(0) & 0x7fffffff
		if m.be32(0) < 0 || n < 24 || n > 1<<21 {
			return 0, false
		}
		i = 4
	}
	switch m.be32(i + 4) {
	case 0:
		program = m.be32(i + 12)
		if m.be32(i+20) == 0 && program == nfs {
			return 0, true
		}
		return program, m.be32(i+8) == 2 && program >= 100000 && program < 0x60000000 && m.be32(i+16) <= 10
	case 1:
		// Accepted with a verifier of known flavour, or denied.
		return 0, m.be32(i+8) == 0 && m.be32(i+12) <= 6 && m.be32(i+12) >= 0 && m.be32(i+16) <= 400 ||
			m.be32(i+8) == 1 && m.be32(i+12) <= 1 && m.be32(i+12) >= 0 && m.Length <= i+24
	}
	return 0, false
}

// ber returns the length of a BER value whose tag stands at offset i, and where
// its content begins (X.690 section 8.1.3); ok is false if there is none.
func (m Message) ber(i int) (length, content int, ok bool) {
	switch b := m.at(i + 1); {
	case b < 0:
		return 0, 0, false
	case b < 0x80:
		return b, i + 2, true
	case b == 0x81:
		return m.at(i + 2), i + 3, m.at(i+2) >= 0
	case b == 0x82:
		return m.be16(i + 2), i + 4, m.be16(i+2) >= 0
	case b == 0x83:
		return m.be24(i + 2), i + 5, m.be24(i+2) >= 0
	case b == 0x84:
		return m.be32(i + 2), i + 6, m.be32(i+2) >= 0
	}
	return 0, 0, false
}

func kerberos(m Message) bool {
	i := 0
	if m.Proto == tcp {
		if m.be32(0) < 20 || m.be32(0) > 1<<20 {
			return false
		}
		i = 4
	} else if m.be16(0) == m.Length && (m.be16(2) == 1 || m.be16(2) == 0xff80) { // kpasswd, RFC 3244
		return m.at(6) == 0x6e || m.at(6) == 0x6f || m.at(6) == 0x7e
	}
	switch m.at(i) {
	case 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x7e:
	default:
		return false
	}
	_, i, ok := m.ber(i)
	if !ok || m.at(i) != 0x30 {
		return false
	}
	_, i, ok = m.ber(i)
	return ok && (m.has(i, "\xa1\x03\x02\x01\x05\xa2\x03\x02\x01") || m.has(i, "\xa0\x03\x02\x01\x05\xa1\x03\x02\x01"))
}

func ldap(m Message) bool {
	if m.at(0) != 0x30 {
		return false
	}
	n, i, ok := m.ber(0)
	if !ok || !m.fits(i+n, 7, 1<<24) || m.at(i) != 2 || m.at(i+1) < 1 || m.at(i+1) > 4 {
		return false
	}
	i += 2 + m.at(i+1)
	switch m.at(i) {
	case 0x42: // unbindRequest is empty
		return m.at(i+1) == 0
	case 0x60:
		return m.contains("\x02\x01\x02") || m.contains("\x02\x01\x03")
	case 0x61, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x73, 0x77, 0x78, 0x79:
		return true
	}
	return false
}

func socks(m Message) bool {
	switch m.at(0) {
	case 5:
		n := m.at(1)
		if m.Length == 2 {
			return n == 0 || n == 1 || n == 2 || n == 0xff
		}
		if n >= 1 && n < 10 && m.Length == n+2 { // methods offered
			for i := range n {
				if m.at(2+i) > 9 && m.at(2+i) < 0x80 {
					return false
				}
			}
			return true
		}
		return n <= 8 && m.at(2) == 0 && (m.at(3) == 1 && m.Length == 10 || m.at(3) == 4 && m.Length == 22 || m.at(3) == 3 && m.Length == 7+m.at(4))
	case 4:
		return (m.at(1) == 1 || m.at(1) == 2) && m.Length >= 9 && m.Length < 300 && m.be16(2) > 0 && (m.Length > Window || m.at(m.Length-1) == 0)
	case 0:
		return m.at(1) >= 0x5a && m.at(1) <= 0x5d && m.Length == 8
	}
	return false
}
