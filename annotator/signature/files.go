package signature

// files holds file systems, storage and versions.
var files = []Signature{
	{Class: "smb", Doc: "header of SMB 1 behind a session header ([MS-CIFS] section 2.2.3.1)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 0 && m.has(4, "\xffSMB")
	}},
	{Class: "smb2", Doc: "header of SMB 2 or 3, or its encrypted or compressed form, behind a session header ([MS-SMB2] section 2.2.1)", proto: tcp, match: func(m Message) bool {
		return m.at(0) == 0 && (m.has(4, "\xfeSMB") || m.has(4, "\xfdSMB") || m.has(4, "\xfcSMB"))
	}},
	{Class: "dsi", Doc: "request or reply with a command and a length that fits (AFP over TCP, DSI header)", proto: tcp, match: func(m Message) bool {
		return m.at(0)&^1 == 0 && m.at(1) >= 1 && m.at(1) <= 8 && m.Length >= 16 && m.be32(8) == m.Length-16 && m.zeros(12, 16)
	}},
	{Class: "iscsi", Doc: "login request or response with a text of keys (RFC 7143 section 11.12)", proto: tcp, match: func(m Message) bool {
		return (m.at(0)&0x7f == 0x43 || m.at(0) == 0x23) && m.at(2) == 0 && m.at(3) == 0 && m.at(4) == 0 && m.be24(5) < m.Length && m.be24(5) >= m.Length-52
	}},
	{Class: "rsync", Doc: "greeting of the daemon (rsync protocol)", proto: tcp, match: begins("@RSYNCD: ")},
	{Class: "git", Doc: "packet line with a request (gitprotocol-pack)", proto: tcp, match: func(m Message) bool {
		return m.has(4, "git-upload-pack ") || m.has(4, "git-receive-pack ") || m.has(4, "git-upload-archive ")
	}},
	{Class: "svn", Doc: "greeting of the server, or the client's answer (svn protocol)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "( success ( ") || m.has(0, "( 2 ( edit-pipeline") || m.has(0, "( failure ( ")
	}},
	{Class: "uftp", Doc: "protocol 3 or 4 and a message with its header (UFTP protocol)", proto: udp, match: func(m Message) bool {
		return (m.at(0) == 0x40 || m.at(0) == 0x41 || m.at(0) == 0x50) && m.at(1) >= 1 && m.at(1) <= 20 && m.at(16) == m.at(1) && m.at(17) > 0 && m.Length >= 20
	}},
	{Class: "hislip", Doc: "prologue HS with a type and a length that fits (IVI-6.1 section 2.4)", proto: tcp, match: func(m Message) bool {
		return m.has(0, "HS") && m.at(2) >= 0 && m.at(2) <= 30 && m.zeros(8, 12) && m.be32(12) <= m.Length-16
	}},
}
