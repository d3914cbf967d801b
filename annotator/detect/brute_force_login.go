package detect

import (
	"bytes"
	"encoding/binary"

	"ampulla/annotator/flow"
)

// protocol is one in which clients authenticate.
type protocol uint8

const (
	protoNone protocol = iota
	protoSSH
	protoFTP
	protoTelnet
	protoSMTP
	protoIMAP
	protoPOP3
	protoHTTP
	protoRDP
	protoSMB
	protoMySQL
	protoPostgreSQL
	protoMSSQL
	protoOracle
	protoRedis
	protoMongoDB
	protoVNC
	protoLDAP
	protoKerberos
)

var protocolNames = [...]string{"", "SSH", "FTP", "Telnet", "SMTP", "IMAP", "POP3", "HTTP", "RDP", "SMB",
	"MySQL", "PostgreSQL", "MSSQL", "Oracle", "Redis", "MongoDB", "VNC", "LDAP", "Kerberos"}

func (p protocol) String() string { return protocolNames[p] }

// protocolOf recognises a protocol by its first words, its class or, where it
// has no words of its own, its port.
func protocolOf(o *flow.Observation) protocol {
	if p := protocolIn(o.Packet.Payload, o.FromClient); p != protoNone {
		return p
	}
	switch classOf(o) {
	case "ssh":
		return protoSSH
	case "ftp":
		return protoFTP
	case "telnet":
		return protoTelnet
	case "smtp":
		return protoSMTP
	case "imap":
		return protoIMAP
	case "pop":
		return protoPOP3
	case "mysql":
		return protoMySQL
	case "pgsql":
		return protoPostgreSQL
	case "tds":
		return protoMSSQL
	case "tns":
		return protoOracle
	case "resp", "redis":
		return protoRedis
	case "mongo":
		return protoMongoDB
	case "ldap":
		return protoLDAP
	case "kerberos":
		return protoKerberos
	}
	_, port := o.Server()
	return protocolOfPort(port)
}

// protocolIn recognises a protocol by the first words in a payload.
func protocolIn(b []byte, fromClient bool) protocol {
	if len(b) < 4 {
		return protoNone
	}
	switch b[0] { // most are none
	case 'S':
		if bytes.HasPrefix(b, []byte("SSH-")) {
			return protoSSH
		}
	case 'R':
		if bytes.HasPrefix(b, []byte("RFB ")) {
			return protoVNC
		}
	case 'G', 'P', 'H', 'O':
		if fromClient && isHTTPRequest(b) {
			return protoHTTP
		}
	case 3:
		if fromClient && isRDPRequest(b) {
			return protoRDP
		}
	}
	if isSMB(b) {
		return protoSMB
	}
	return protoNone
}

func protocolOfPort(port uint16) protocol {
	switch port {
	case 21:
		return protoFTP
	case 23, 2323:
		return protoTelnet
	case 25, 465, 587:
		return protoSMTP
	case 88:
		return protoKerberos
	case 110:
		return protoPOP3
	case 143:
		return protoIMAP
	case 389, 3268:
		return protoLDAP
	case 1433:
		return protoMSSQL
	case 1521:
		return protoOracle
	case 3306:
		return protoMySQL
	case 5432:
		return protoPostgreSQL
	case 6379:
		return protoRedis
	case 27017:
		return protoMongoDB
	}
	return protoNone
}

func isHTTPRequest(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch b[0] { // most payloads are none
	case 'G':
		return bytes.HasPrefix(b, []byte("GET "))
	case 'P':
		return bytes.HasPrefix(b, []byte("POST ")) || bytes.HasPrefix(b, []byte("PUT ")) || bytes.HasPrefix(b, []byte("PROPFIND "))
	case 'H':
		return bytes.HasPrefix(b, []byte("HEAD "))
	case 'O':
		return bytes.HasPrefix(b, []byte("OPTIONS "))
	}
	return false
}

// isSMB tells that b begins with an SMB1 or SMB2 message behind the four bytes
// of NetBIOS session service.
func isSMB(b []byte) bool {
	return len(b) > 8 && (b[4] == 0xff || b[4] == 0xfe) && string(b[5:8]) == "SMB"
}

// isRDPRequest tells that b is a connection request of RDP ([MS-RDPBCGR]
// section 2.2.1.1): TPKT, X.224 and a cookie or a negotiation request.
func isRDPRequest(b []byte) bool {
	if len(b) < 11 || b[0] != 3 || b[1] != 0 || b[5] != 0xe0 {
		return false
	}
	return bytes.Contains(b, []byte("mstshash=")) || len(b) == 19 && b[11] == 1 && b[13] == 8
}

// read takes the next payload of the conversation and returns how many more
// failures it tells of, or -1 when the client was let in.
func (l *login) read(o *flow.Observation) int {
	b := o.Packet.Payload
	if l.proto == protoSSH {
		return l.ssh.read(o)
	}
	if o.FromClient {
		return l.ask(b)
	}
	if l.refused(b) {
		l.asked = false
		return 1
	}
	if l.proto == protoHTTP && bytes.HasPrefix(b, []byte("HTTP/1.")) {
		l.asked = false
	}
	return 0
}

// ask takes what the client sends.
func (l *login) ask(b []byte) int {
	switch l.proto {
	case protoHTTP:
		if !isHTTPRequest(b) {
			return 0
		}
		l.asked = containsFold(b, "\nauthorization:") || containsFold(b, "\nproxy-authorization:")
		if l.asked && containsFold(b, ntlmGreeting) {
			l.asked = false
		}
		if isLoginPost(b) {
			return 1
		}
	case protoPOP3:
		l.asked = hasPrefixFold(b, "pass ") || hasPrefixFold(b, "auth") || hasPrefixFold(b, "apop ") || l.asked && !hasPrefixFold(b, "user ")
	case protoIMAP:
		l.asked = containsFold(b, " login ") || containsFold(b, " authenticate ") || l.asked
	case protoTelnet:
		l.asked = true
	}
	return 0
}

// ntlmGreeting is how the first of two messages with which NTLM logs in over
// HTTP begins ([MS-NLMP] section 2.2.1.1 in base64, here in lower case). The
// answer to it is always a refusal.
const ntlmGreeting = "tlrmtvntuaab"

// isLoginPost tells that an HTTP request posts a log-in form.
func isLoginPost(b []byte) bool {
	if !bytes.HasPrefix(b, []byte("POST ")) {
		return false
	}
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	for _, word := range [...]string{"login", "signin", "sign-in", "logon", "j_security_check", "authenticate"} {
		if containsFold(line, word) {
			return true
		}
	}
	return false
}

// passwordIn returns a hash of the password that a form sends, 0 if there is
// none.
func passwordIn(b []byte) uint64 {
	for _, field := range [...]string{"password=", "passwd=", "pass=", "pwd="} {
		i := bytes.Index(b, []byte(field))
		if i < 0 || i > 0 && b[i-1] != '&' && b[i-1] != '?' && b[i-1] != '\n' {
			continue
		}
		value := b[i+len(field):]
		if end := bytes.IndexAny(value, "& \r\n"); end >= 0 {
			value = value[:end]
		}
		return hashBytes(value)
	}
	return 0
}

// refused tells that the server refuses an authentication.
func (l *login) refused(b []byte) bool {
	switch l.proto {
	case protoFTP:
		return bytes.HasPrefix(b, []byte("530")) || bytes.HasPrefix(b, []byte("430"))
	case protoTelnet:
		return l.asked && len(b) < 200 && (containsFold(b, "incorrect") || containsFold(b, "failed") || containsFold(b, "bad password") || containsFold(b, "invalid"))
	case protoSMTP:
		return bytes.HasPrefix(b, []byte("535"))
	case protoIMAP:
		return l.asked && (containsFold(b, " no ") || containsFold(b, "authenticationfailed"))
	case protoPOP3:
		return l.asked && bytes.HasPrefix(b, []byte("-ERR"))
	case protoHTTP:
		return l.asked && len(b) > 12 && bytes.HasPrefix(b, []byte("HTTP/1.")) &&
			(string(b[9:12]) == "401" || string(b[9:12]) == "403" || string(b[9:12]) == "407")
	case protoSMB:
		return smbRefused(b)
	case protoLDAP:
		return ldapRefused(b)
	case protoKerberos:
		return kerberosRefused(b)
	}
	return l.databaseRefused(b)
}

// databaseRefused is refused for databases and screens.
func (l *login) databaseRefused(b []byte) bool {
	switch l.proto {
	case protoMySQL:
		return mysqlRefused(b)
	case protoPostgreSQL: // ErrorResponse with SQLSTATE class 28, invalid authorization
		return len(b) > 8 && b[0] == 'E' && bytes.Contains(b, []byte("\x00C28"))
	case protoMSSQL: // ERROR token with error 18456, login failed
		return len(b) > 15 && b[0] == 4 && b[8] == 0xaa && binary.LittleEndian.Uint32(b[11:]) == 18456
	case protoOracle:
		return bytes.Contains(b, []byte("ORA-01017"))
	case protoRedis:
		return bytes.HasPrefix(b, []byte("-WRONGPASS")) || bytes.HasPrefix(b, []byte("-ERR invalid password"))
	case protoMongoDB:
		return bytes.Contains(b, []byte("AuthenticationFailed"))
	case protoVNC: // SecurityResult failed (RFC 6143 section 7.1.3), with or without a reason
		return len(b) >= 4 && len(b) < 100 && binary.BigEndian.Uint32(b) == 1 &&
			(len(b) == 4 || len(b) >= 8 && int(binary.BigEndian.Uint32(b[4:])) == len(b)-8)
	}
	return false
}

// mysqlRefused tells that b is an ERR packet: access denied, or this host is
// blocked or may not connect at all.
func mysqlRefused(b []byte) bool {
	if len(b) < 7 || b[4] != 0xff {
		return false
	}
	switch binary.LittleEndian.Uint16(b[5:]) {
	case 1045, 1129, 1130, 1698:
		return true
	}
	return false
}

// smbRefused tells that a session set-up ends with one of the NT status codes
// of a refused log-on ([MS-ERREF] section 2.3.1).
func smbRefused(b []byte) bool {
	if !isSMB(b) {
		return false
	}
	var status uint32
	switch {
	case b[4] == 0xfe && len(b) >= 18 && b[16] == 1 && b[17] == 0: // SMB2 SESSION_SETUP
		status = binary.LittleEndian.Uint32(b[12:])
	case b[4] == 0xff && len(b) >= 13 && b[8] == 0x73: // SMB_COM_SESSION_SETUP_ANDX
		status = binary.LittleEndian.Uint32(b[9:])
	}
	switch status {
	case 0xc000006d, 0xc000006a, 0xc0000064, 0xc000006e, 0xc0000071, 0xc0000072, 0xc0000193, 0xc0000234:
		return true
	}
	return false
}

// ldapRefused tells that b is a BindResponse with invalidCredentials (RFC 4511
// section 4.2.2).
func ldapRefused(b []byte) bool {
	if len(b) < 12 || b[0] != 0x30 {
		return false
	}
	i := bytes.Index(b[:min(len(b), 24)], []byte{0x0a, 0x01, 0x31})
	return i > 0 && bytes.IndexByte(b[:i], 0x61) > 0
}

// kerberosRefused tells that b holds a KRB-ERROR for an unknown principal or a
// wrong password (RFC 4120 section 7.5.9).
func kerberosRefused(b []byte) bool {
	const krbError = 0x7e // behind four bytes of length in TCP
	if len(b) < 5 || b[0] != krbError && b[4] != krbError {
		return false
	}
	b = b[:min(len(b), 128)]
	return bytes.Contains(b, []byte{0xa6, 3, 2, 1, 6}) || bytes.Contains(b, []byte{0xa6, 3, 2, 1, 24})
}

// end takes the end of the conversation and returns how many more failures it
// tells of.
func (l *login) end(o *flow.Observation) int {
	switch l.proto {
	case protoSSH:
		return l.ssh.end(o)
	case protoRDP:
		// Who was let in stays and gets pictures.
		if o.ServerBytes < 20_000 && o.ServerPayloads > 0 && o.Age < int64(30e9) {
			return 1
		}
	}
	return 0
}

// hasPrefixFold and containsFold ignore the case of ASCII letters in b; want
// is in lower case.
func hasPrefixFold(b []byte, want string) bool {
	if len(b) < len(want) {
		return false
	}
	for i := range len(want) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

func containsFold(b []byte, want string) bool {
	first := want[0]
	letter := first >= 'a' && first <= 'z'
	for i := 0; i+len(want) <= len(b); i++ {
		if !letter { // has one form only
			k := bytes.IndexByte(b[i:], first)
			if k < 0 {
				return false
			}
			i += k
		}
		if hasPrefixFold(b[i:], want) {
			return true
		}
	}
	return false
}
