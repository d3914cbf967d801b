package signature

import "strings"

// mail holds mail, news, chat and other protocols of lines.
var mail = []Signature{
	{Class: "smtp", Doc: "EHLO, HELO or another command, or a greeting that names SMTP (RFC 5321 section 4.1)", proto: tcp, match: smtp},
	{Class: "ftp", Doc: "a command that only FTP has, or a reply with its words (RFC 959 section 4)", proto: tcp, match: ftp},
	{Class: "ftp-data", Doc: "a listing of files as of ls -l (RFC 959 section 4.1.3, LIST) or of DOS", proto: tcp, match: listing},
	{Class: "pop", Doc: "+OK or -ERR, or a command that only POP3 has (RFC 1939 section 3)", proto: tcp, match: either(begins("+OK ", "+OK\r\n", "-ERR "), word("APOP", "CAPA", "STLS", "UIDL", "RETR", "TOP"))},
	{Class: "imap", Doc: "untagged OK, or a tagged command of IMAP (RFC 9051 sections 6 and 7)", proto: tcp, match: imap},
	{Class: "nntp", Doc: "a command that only NNTP has, or a greeting that names it (RFC 3977)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "MODE READER") || m.has(0, "GROUP ") || m.has(0, "NEWNEWS ") || m.has(0, "mode reader") ||
			m.has(0, "20") && m.reply("2") && (m.contains("NNTP") || m.contains("InterNetNews") || m.contains("NNRP") || m.contains("Leafnode"))
	}},
	{Class: "irc", Doc: "a command of registration, or a message with a prefix (RFC 2812 section 2.3)", proto: tcp, match: irc},
	{Class: "xmpp", Doc: "opening of a stream (RFC 6120 section 4.2), or its first level", proto: tcp, match: func(m Message) bool {
		return m.has(0, "<stream:") || m.has(0, "<?xml") && (m.contains("<stream:stream") || m.contains("<stream")) ||
			m.has(0, "<starttls xmlns='urn:ietf") || m.has(0, "<iq ") || m.has(0, "<presence") || m.has(0, "<message ") && m.contains("to=")
	}},
	{Class: "whois", Doc: "an answer of a registry: a comment or the field of a domain (RFC 3912)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "% ") && m.text(Window) || m.contains("Domain Name: ") || m.contains("domain: ") && m.text(Window)
	}},
	{Class: "finger", Doc: "an answer with Login, or a query of one word (RFC 1288 section 2.3)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "Login: ") || m.has(0, "Login name: ") || m.has(0, "Login  ") || m.has(0, "/W ") || m.Length == 2 && m.has(0, "\r\n") || name(m)
	}},
	{Class: "syslog", Doc: "priority in angle brackets, at most 191 (RFC 5424 section 6.2.1), behind its length over TCP (RFC 6587)", match: syslog},
	{Class: "gnutella", Doc: "GNUTELLA handshake (Gnutella 0.6), or a UDP message of Gnutella 2", match: begins("GNUTELLA CONNECT/", "GNUTELLA/0.", "GND\x00", "GND\x01", "GND\x02", "GND\x03")},
	{Class: "bittorrent", Doc: "handshake (BEP 3), DHT message (BEP 5), request to a tracker (BEP 15), or uTP (BEP 29)", match: bittorrent},
	{Class: "lsd", Doc: "BT-SEARCH (BEP 14)", proto: udp, match: begins("BT-SEARCH * HTTP/1.1")},
	{Class: "bitcoin", Doc: "magic of a known network and a command (Bitcoin protocol, message structure)", proto: tcp, match: func(m Message) bool {
		switch m.be32(0) {
		case 0xf9beb4d9, 0x0b110907, 0xfabfb5da, 0x0a03cf40, 0xfbc0b6db, 0xc0c0c0c0:
			return m.at(4) >= 'a' && m.at(4) <= 'z' && m.zeros(15, 16)
		}
		return false
	}},
	{Class: "raknet", Doc: "the offline message ID (RakNet message identifiers)", proto: udp, match: func(m Message) bool {
		const id = "\x00\xff\xff\x00\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x124Vx"
		return m.has(1, id) || m.has(9, id) || m.has(17, id)
	}},
	{Class: "oicq", Doc: "flag 2 and end mark 3 around version, command and number", proto: udp, match: func(m Message) bool {
		return m.at(0) == 2 && m.at(1) >= 0x0c && m.at(1) < 0x40 && m.be16(3) < 0x200 && m.Length > 20 && (m.Length > Window || m.at(m.Length-1) == 3)
	}},
	{Class: "ts2", Doc: "type and class of TeamSpeak 2, or the first packet of TeamSpeak 3", proto: udp, match: begins("\xf4\xbe\x03\x00", "\xf4\xbe\x04\x00", "TS3INIT1")},
	{Class: "hl7", Doc: "MSH segment in a minimal lower layer frame (HL7 2.x)", proto: tcp, match: begins("\x0bMSH|", "\x0bFHS|", "\x0bBHS|")},
	{Class: "fix", Doc: "BeginString and BodyLength (FIX session layer)", proto: tcp, match: begins("8=FIX.4", "8=FIXT.")},
	{Class: "gearman", Doc: "magic REQ or RES and a number of a packet (Gearman PROTOCOL)", proto: tcp, match: func(m Message) bool {
		return (m.has(0, "\x00REQ\x00\x00\x00") || m.has(0, "\x00RES\x00\x00\x00")) && m.at(7) < 50
	}},
	{Class: "zabbix", Doc: "ZBXD header (Zabbix protocol)", proto: tcp, match: begins("ZBXD\x01", "ZBXD\x03", "ZBXD\x05")},
}

var (
	smtpCommand = word("EHLO", "HELO", "LHLO", "MAIL", "RCPT", "STARTTLS", "VRFY", "EXPN", "BDAT", "XCLIENT", "X-ANONYMOUSTLS")
	ftpCommand  = word("FEAT", "SYST", "PASV", "EPSV", "PORT", "EPRT", "CWD", "XCWD", "PWD", "XPWD", "CDUP", "MDTM", "SITE",
		"RNFR", "RNTO", "NLST", "STOR", "RETR", "MLSD", "PBSZ", "PROT", "CLNT", "TYPE", "STRU", "ALLO", "OPTS")
	imapCommands = []string{"CAPABILITY", "LOGIN", "AUTHENTICATE", "STARTTLS", "SELECT", "EXAMINE", "LIST", "LSUB", "FETCH",
		"UID", "NOOP", "LOGOUT", "ID", "ENABLE", "IDLE", "NAMESPACE", "STATUS", "APPEND", "CREATE", "EXPUNGE"}
	ircCommand = word("NICK", "JOIN", "PRIVMSG", "NOTICE", "MODE", "PONG", "WHO", "ISON", "PROTOCTL", "WHOIS")
)

func smtp(m Message) bool {
	if smtpCommand(m) {
		return true
	}
	return m.reply("2") && m.has(0, "22") && (m.contains("SMTP") || m.contains("smtp") || m.contains("mail") || m.contains("Mail") || m.contains("MAIL")) && !m.contains("FTP") ||
		m.has(0, "250-") && (m.contains("Hello") || m.contains("HELP") || m.contains("PIPELINING") || m.contains("SIZE") || m.contains("8BITMIME")) ||
		m.has(0, "250 2.") || m.has(0, "554 5.") || m.has(0, "550 5.") || m.has(0, "354 ")
}

func ftp(m Message) bool {
	if ftpCommand(m) {
		return true
	}
	switch {
	case m.has(0, "331 "), m.has(0, "227 Entering Passive"), m.has(0, "229 Entering"), m.has(0, "215 UNIX"),
		m.has(0, "230 Login"), m.has(0, "230 User"), m.has(0, "530 "), m.has(0, "234 "), m.has(0, "257 \""), m.has(0, "211-"):
		return true
	case m.has(0, "220"):
		return m.reply("2") && (m.contains("FTP") || m.contains("ftp") || m.contains("FileZilla")) && !m.contains("SMTP")
	case m.has(0, "AUTH TLS\r\n"), m.has(0, "AUTH SSL\r\n"), m.has(0, "USER anonymous"), m.has(0, "USER ftp"):
		return true
	}
	return false
}

func listing(m Message) bool {
	if m.has(0, "total ") && m.text(Window) {
		return true
	}
	if strings.IndexByte("-dlbcps", byte(m.at(0))) >= 0 && len(m.Data) > 12 && m.at(10) == ' ' {
		for i := 1; i < 10; i++ {
			if strings.IndexByte("rwxsStT-", m.Data[i]) < 0 {
				return false
			}
		}
		return true
	}
	return m.at(2) == '-' && m.at(5) == '-' && m.at(8) == ' ' && m.at(12) == ':' && m.text(Window)
}

func imap(m Message) bool {
	if m.has(0, "* OK ") || m.has(0, "* PREAUTH ") || m.has(0, "* CAPABILITY ") || m.has(0, "* BYE ") || m.has(0, "* ID ") {
		return true
	}
	tag := m.word(0)
	n := len(tag)
	return n > 0 && n <= 12 && m.at(n) == ' ' && (tag[n-1] >= '0' && tag[n-1] <= '9' || tag[n-1] == '.') && oneOf(m.word(n+1), imapCommands)
}

func irc(m Message) bool {
	if ircCommand(m) && !m.has(0, "MODE READER") {
		return true
	}
	if m.has(0, "CAP LS") || m.has(0, "CAP REQ") || m.has(0, "NOTICE AUTH :") || m.has(0, "ERROR :") {
		return true
	}
	if m.has(0, "USER ") || m.has(0, "PASS ") { // USER takes four parameters, PASS is followed by NICK
		return m.contains(" :") || m.contains("\nNICK ") || m.contains(" * ")
	}
	if m.at(0) != ':' || !m.text(Window) {
		return false
	}
	return m.contains(" NOTICE ") || m.contains(" PRIVMSG ") || m.contains(" JOIN ") || m.contains(" MODE ") || m.contains(" 001 ") || m.contains(" PONG ")
}

// name matches one word of letters and digits with a line's end, as long as a
// login name may be.
func name(m Message) bool {
	n := m.Length - 2
	if memcacheCommand(m) || n < 1 || n > 16 || !m.has(n, "\r\n") {
		return false
	}
	for _, b := range m.Data[:n] {
		if !(b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_') {
			return false
		}
	}
	return true
}

func syslog(m Message) bool {
	i := 0
	if m.Proto == tcp { // octet counting: digits and a space before the message
		for i < 6 && m.at(i) >= '0' && m.at(i) <= '9' {
			i++
		}
		if i > 0 {
			if m.at(i) != ' ' {
				return false
			}
			i++
		}
	}
	if m.at(i) != '<' {
		return false
	}
	priority := 0
	for j := i + 1; j < i+5; j++ {
		switch b := m.at(j); {
		case b >= '0' && b <= '9':
			priority = priority*10 + b - '0'
		case b == '>':
			return j > i+1 && priority <= 191 && m.at(j+1) >= ' '
		default:
			return false
		}
	}
	return false
}

func bittorrent(m Message) bool {
	if m.Proto == tcp {
		return m.has(0, "\x13BitTorrent protocol") || m.has(0, "BitTorrent protocol")
	}
	if m.at(0) == 'd' && m.at(2) == ':' {
		return m.has(1, "1:ad2:id20:") || m.has(1, "1:rd2:id20:") || m.has(1, "1:eli20") || m.has(1, "2:ip") || m.contains("1:rd2:id") || m.contains("2:id20:")
	}
	if m.be32(0) == 0x417 && m.be32(4) == 0x27101980 {
		return m.Length == 16
	}
	// uTP: type and version 1, extension, connection ID, time, window. Only DATA
	// has more than the header and its extension of a few bytes.
	kind, extension := m.at(0)>>4, m.at(1)
	if m.at(0)&0x0f != 1 || kind > 4 || extension < 0 || extension > 2 || m.be32(4) < 1<<16 || m.be32(12) > 1<<24 || m.be16(16) == 0 {
		return false
	}
	end := 20
	if extension > 0 {
		if m.at(20) > 2 || m.at(21) != 4 && m.at(21) != 8 {
			return false
		}
		end = 22 + m.at(21)
	}
	return kind == 0 && m.Length >= end || m.Length == end || extension > 0 && m.Length <= 48
}
