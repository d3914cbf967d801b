package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// sshStart is an SSH connection up to where the client may log in.
func sshStart(w *wire, client, server string) {
	w.connect(client, server)
	say := func(from, to string, n uint32) { w.tcpLong(from, to, packet.PSH|packet.ACK, "", n) }
	w.say(server, client, "SSH-2.0-OpenSSH_9.2p1\r\n")
	w.say(client, server, "SSH-2.0-libssh2_1.10.0\r\n")
	say(client, server, 904) // key exchange init
	say(server, client, 1080)
	say(client, server, 48)
	say(server, client, 564) // reply and new keys
	say(client, server, 16)
	say(client, server, 44) // service request
	say(server, client, 52)
	say(client, server, 60) // none
	say(server, client, 52)
}

// sshTry is an SSH connection with so many refused passwords, and one more
// that is taken if letIn.
func sshTry(w *wire, client, server string, wrong int, letIn bool) {
	sshStart(w, client, server)
	say := func(from, to string, n uint32) { w.tcpLong(from, to, packet.PSH|packet.ACK, "", n) }
	for range wrong {
		w.wait(100 * time.Millisecond)
		say(client, server, 148)
		say(server, client, 52)
	}
	if letIn {
		say(client, server, 148)
		say(server, client, 36)
		for range 20 {
			say(client, server, 36)
			say(server, client, 36)
			say(server, client, 500)
		}
	}
	w.hangUp(client, server)
}

// sshRounds is an SSH connection in which requests and answers of such lengths
// follow each other, four times over.
func sshRounds(w *wire, client string, lengths ...uint32) {
	const server = "10.0.0.5:22"
	sshStart(w, client, server)
	for range 4 {
		for i := 0; i < len(lengths); i += 2 {
			w.wait(100 * time.Millisecond)
			w.tcpLong(client, server, packet.PSH|packet.ACK, "", lengths[i])
			w.tcpLong(server, client, packet.PSH|packet.ACK, "", lengths[i+1])
		}
	}
	w.hangUp(client, server)
}

// exchange is a conversation of alternating words, the server's first.
func exchange(w *wire, client, server string, words ...string) {
	w.connect(client, server)
	for i, word := range words {
		if i%2 == 0 {
			w.say(server, client, word)
		} else {
			w.say(client, server, word)
		}
	}
	w.hangUp(client, server)
}

func newDefaultBruteForce() Detector { return newBruteForce(Default().BruteForce) }

func TestBruteForce(t *testing.T) {
	play(t, verdict.BruteForce, newDefaultBruteForce, []scene{
		{name: "five wrong FTP passwords", flagged: 0, play: func(w *wire) {
			for i := range 5 {
				exchange(w, at("10.0.0.9", 40000+i), "10.0.0.5:21", "220 hello\r\n", "USER bob\r\n", "331 go on\r\n", "PASS x\r\n", "530 Login incorrect.\r\n", "QUIT\r\n")
				w.wait(time.Second)
			}
		}},
		{name: "six wrong FTP passwords", flagged: 3, play: func(w *wire) {
			for i := range 6 {
				exchange(w, at("10.0.0.9", 40000+i), "10.0.0.5:21", "220 hello\r\n", "USER bob\r\n", "331 go on\r\n", "PASS x\r\n", "530 Login incorrect.\r\n", "QUIT\r\n")
				w.wait(time.Second)
			}
		}, reason: "6 failed or repeated FTP log-ins at 10.0.0.5 port 21 within 5.0 s, 6 in the last 60 s; people make a few at most"},
		{name: "one wrong FTP password a minute", flagged: -1, play: func(w *wire) {
			for i := range 30 {
				exchange(w, at("10.0.0.9", 40000+i), "10.0.0.5:21", "220 hello\r\n", "PASS x\r\n", "530 Login incorrect.\r\n")
				w.wait(time.Minute)
			}
		}},
		{name: "SSH, three guesses a connection, on an odd port", flagged: -1, play: func(w *wire) {
			for i := range 4 {
				sshTry(w, at("10.0.0.9", 40000+i), "10.0.0.5:902", 3, false)
			}
		}},
		{name: "SSH, one guess a connection", flagged: -1, play: func(w *wire) {
			for i := range 10 {
				sshTry(w, at("10.0.0.9", 40000+i), "10.0.0.5:22", 1, false)
			}
		}},
		{name: "SSH, asking for the service before each guess", flagged: -1, play: func(w *wire) { // paramiko
			for i := range 3 {
				sshRounds(w, at("10.0.0.9", 40000+i), 64, 64, 96, 96)
			}
		}},
		{name: "SSH, a wish and a password of changing length for each guess", flagged: -1, play: func(w *wire) { // medusa
			for i := range 3 {
				sshRounds(w, at("10.0.0.9", 40000+i), 80, 96, 96+16*uint32(i%2), 96)
			}
		}},
		{name: "SSH, typing whose echo differs now and then", flagged: 0, play: func(w *wire) {
			for i := range 10 {
				sshRounds(w, at("10.0.0.9", 40000+i), 36, 36, 36, 36, 36, 36, 44, 100)
			}
		}},
		{name: "SSH, let in after two keys that the server does not know", flagged: 0, play: func(w *wire) {
			for i := range 30 {
				sshTry(w, at("10.0.0.9", 40000+i), "10.0.0.5:22", 2, true)
				w.wait(time.Second)
			}
		}},
		{name: "SSH, a monitor that looks once a minute", flagged: 0, play: func(w *wire) {
			for i := range 30 {
				sshTry(w, at("10.0.0.9", 40000+i), "10.0.0.5:22", 0, false)
				w.wait(time.Minute)
			}
		}},
		{name: "SSH, typing", flagged: 0, play: func(w *wire) {
			client, server := "10.0.0.9:40000", "10.0.0.5:22"
			sshTry(w, client, server, 0, true)
			for range 1000 {
				w.tcpLong(client, server, packet.ACK, "", 36)
				w.tcpLong(server, client, packet.ACK, "", 36)
			}
		}},
		{name: "HTTP basic authentication", flagged: 6, play: func(w *wire) {
			w.connect("10.0.0.9:40000", "10.0.0.5:80")
			for range 10 {
				w.say("10.0.0.9:40000", "10.0.0.5:80", "GET /private/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n\r\n")
				w.say("10.0.0.5:80", "10.0.0.9:40000", "HTTP/1.1 401 Unauthorized\r\n\r\n")
			}
			w.hangUp("10.0.0.9:40000", "10.0.0.5:80")
		}, reason: "6 failed or repeated HTTP log-ins at 10.0.0.5 port 80 within 0.0 s, 6 in the last 60 s; people make a few at most"},
		{name: "HTTP, a page that wants a password", flagged: 0, play: func(w *wire) {
			for i := range 50 {
				client := at("10.0.0.9", 40000+i)
				w.connect(client, "10.0.0.5:80")
				w.say(client, "10.0.0.5:80", "GET /image.png HTTP/1.1\r\nHost: x\r\n\r\n")
				w.say("10.0.0.5:80", client, "HTTP/1.1 401 Unauthorized\r\n\r\n")
			}
		}},
		{name: "HTTP form on an odd port", flagged: -1, play: func(w *wire) {
			for i := range 10 {
				client := at("10.0.0.9", 40000+i)
				w.connect(client, "10.0.0.5:4444")
				w.say(client, "10.0.0.5:4444", "POST /wp-Login.php HTTP/1.1\r\nHost: x\r\n\r\nuser=a&password=b")
				w.say("10.0.0.5:4444", client, "HTTP/1.1 200 OK\r\n\r\n")
			}
		}},
		{name: "HTTP, an API that is used with a password", flagged: 0, play: func(w *wire) {
			w.connect("10.0.0.9:40000", "10.0.0.5:80")
			for range 100 {
				w.say("10.0.0.9:40000", "10.0.0.5:80", "POST /api/orders HTTP/1.1\r\nAuthorization: Basic YTpi\r\n\r\n")
				w.say("10.0.0.5:80", "10.0.0.9:40000", "HTTP/1.1 200 OK\r\n\r\n")
			}
		}},
		{name: "HTTP, logging in with NTLM", flagged: 0, play: func(w *wire) {
			w.connect("10.0.0.9:40000", "10.0.0.5:80")
			for range 100 {
				w.say("10.0.0.9:40000", "10.0.0.5:80", "GET / HTTP/1.1\r\nAuthorization: NTLM TlRMTVNTUAABAAAAB4IIogAAAAA=\r\n\r\n")
				w.say("10.0.0.5:80", "10.0.0.9:40000", "HTTP/1.1 401 Unauthorized\r\n\r\n")
				w.say("10.0.0.9:40000", "10.0.0.5:80", "GET / HTTP/1.1\r\nAuthorization: NTLM TlRMTVNTUAADAAAAGAAYAIA=\r\n\r\n")
				w.say("10.0.0.5:80", "10.0.0.9:40000", "HTTP/1.1 200 OK\r\n\r\n")
			}
		}},
		{name: "SMB, Windows tries one wrong password again and again", flagged: 0, play: func(w *wire) {
			for i := range 6 {
				exchange(w, at("10.0.0.9", 40000+i), "10.0.0.5:445", "", strings.Repeat("x", 60),
					"\x00\x00\x00\x49\xfeSMB\x40\x00\x00\x00\x6d\x00\x00\xc0\x01\x00\x01\x00"+strings.Repeat("\x00", 44))
				w.wait(100 * time.Millisecond)
			}
		}},
		{name: "SSH, an upload is answered in turn and in one size", flagged: 0, play: func(w *wire) {
			for i := range 10 {
				client, server := at("10.0.0.9", 40000+i), "10.0.0.5:22"
				sshStart(w, client, server)
				for _, n := range []uint32{148, 36, 100, 52} { // password, yes, channel, confirmed
					w.tcpLong(client, server, packet.ACK, "", n)
					client, server = server, client
				}
				for range 30 {
					w.tcpLong(client, server, packet.ACK, "", 400)
					w.tcpLong(server, client, packet.ACK, "", 68)
				}
				w.hangUp(client, server)
			}
		}},
		{name: "RDP, short connections", flagged: -1, play: func(w *wire) {
			for i := range 10 {
				client := at("10.0.0.9", 40000+i)
				w.connect(client, "10.0.0.5:3390")
				w.say(client, "10.0.0.5:3390", "\x03\x00\x00\x2b\x26\xe0\x00\x00\x00\x00\x00Cookie: mstshash=admin\r\n\x01\x00\x08\x00\x03\x00\x00\x00")
				w.say("10.0.0.5:3390", client, "\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x02\x00\x00\x00")
				w.hangUp(client, "10.0.0.5:3390")
			}
		}},
	})
}

func TestProtocolOf(t *testing.T) {
	tests := []struct {
		server, class, payload string
		want                   protocol
	}{
		{server: "10.0.0.5:2222", payload: "SSH-2.0-x\r\n", want: protoSSH},
		{server: "10.0.0.5:2222", class: "ssh", want: protoSSH},
		{server: "10.0.0.5:22", want: protoNone}, // its first words always tell
		{server: "10.0.0.5:8021", class: "ftp", want: protoFTP},
		{server: "10.0.0.5:21", want: protoFTP},
		{server: "10.0.0.5:8023", class: "telnet", want: protoTelnet},
		{server: "10.0.0.5:2323", want: protoTelnet},
		{server: "10.0.0.5:8025", class: "smtp", want: protoSMTP},
		{server: "10.0.0.5:587", want: protoSMTP},
		{server: "10.0.0.5:8143", class: "imap", want: protoIMAP},
		{server: "10.0.0.5:143", want: protoIMAP},
		{server: "10.0.0.5:8110", class: "pop", want: protoPOP3},
		{server: "10.0.0.5:110", want: protoPOP3},
		{server: "10.0.0.5:8080", payload: "PROPFIND / HTTP/1.1\r\n", want: protoHTTP},
		{server: "10.0.0.5:1433", want: protoMSSQL},
		{server: "10.0.0.5:8433", class: "tds", want: protoMSSQL},
		{server: "10.0.0.5:1521", want: protoOracle},
		{server: "10.0.0.5:8521", class: "tns", want: protoOracle},
		{server: "10.0.0.5:6379", want: protoRedis},
		{server: "10.0.0.5:8379", class: "resp", want: protoRedis},
		{server: "10.0.0.5:27017", want: protoMongoDB},
		{server: "10.0.0.5:8017", class: "mongo", want: protoMongoDB},
		{server: "10.0.0.5:8306", class: "mysql", want: protoMySQL},
		{server: "10.0.0.5:8432", class: "pgsql", want: protoPostgreSQL},
		{server: "10.0.0.5:8389", class: "ldap", want: protoLDAP},
		{server: "10.0.0.5:8088", class: "kerberos", want: protoKerberos},
		{server: "10.0.0.5:443", class: "tls", want: protoNone},
	}
	for _, tt := range tests {
		p := ip(packet.ProtoTCP, "10.0.0.9:40000", tt.server, tt.payload)
		o := flow.Observation{Packet: &p, FromClient: true, Memo: &flow.Memo{Class: tt.class}}
		if got := protocolOf(&o); got != tt.want {
			t.Errorf("%s, class %q, payload %q: %q, want %q", tt.server, tt.class, tt.payload, got, tt.want)
		}
	}
}

// TestBruteForceRefusals knows how each protocol says no. Nine refusals must be
// found, nine times yes must not.
func TestBruteForceRefusals(t *testing.T) {
	smb2 := func(status string) string {
		return "\x00\x00\x00\x49\xfeSMB\x40\x00\x00\x00" + status + "\x01\x00\x01\x00" + strings.Repeat("\x00", 44)
	}
	tests := []struct {
		name, server, class string
		hello, ask          string
		no, yes             string
	}{
		{name: "telnet", server: "10.0.0.5:23", hello: "login: ", ask: "secret\r\n", no: "\r\nLogin incorrect\r\nlogin: ", yes: "\r\nLast login: yesterday\r\n$ "},
		{name: "smtp", server: "10.0.0.5:25", hello: "220 mail\r\n", ask: "AUTH PLAIN AGEAYg==\r\n", no: "535 5.7.8 Error: authentication failed\r\n", yes: "235 2.7.0 ok\r\n"},
		{name: "imap", server: "10.0.0.5:143", hello: "* OK ready\r\n", ask: "a1 LOGIN bob x\r\n", no: "a1 NO [AUTHENTICATIONFAILED] no\r\n", yes: "a1 OK done\r\n"},
		{name: "pop3", server: "10.0.0.5:110", hello: "+OK ready\r\n", ask: "PASS x\r\n", no: "-ERR [AUTH] no\r\n", yes: "+OK 3 messages\r\n"},
		{name: "smb2", server: "10.0.0.5:445", hello: smb2("\x16\x00\x00\xc0"), ask: smb2("\x00\x00\x00\x00"), no: smb2("\x6d\x00\x00\xc0"), yes: smb2("\x00\x00\x00\x00")},
		{name: "mysql", server: "10.0.0.5:3306", hello: "\x4a\x00\x00\x00\x0a8.0", ask: "\x20\x00\x00\x01\x85", no: "\x48\x00\x00\x02\xff\x15\x04#28000Access denied", yes: "\x07\x00\x00\x02\x00\x00\x00"},
		{name: "mysql on an odd port", server: "10.0.0.5:9000", class: "mysql", hello: "\x4a\x00\x00\x00\x0a8.0", ask: "\x20\x00\x00\x01\x85", no: "\x48\x00\x00\x02\xff\x15\x04#28000Access denied", yes: "\x07\x00\x00\x02\x00\x00\x00"},
		{name: "postgresql", server: "10.0.0.5:5432", hello: "R\x00\x00\x00\x0c", ask: "p\x00\x00\x00\x28md5", no: "E\x00\x00\x00\x64SFATAL\x00VFATAL\x00C28P01\x00Mpassword\x00\x00", yes: "R\x00\x00\x00\x08\x00\x00\x00\x00"},
		{name: "mssql", server: "10.0.0.5:1433", hello: "\x04\x01\x00\x30", ask: "\x10\x01\x00\x90", no: "\x04\x01\x00\x65\x00\x40\x01\x00\xaa\x4d\x00\x18\x48\x00\x00\x01\x0e", yes: "\x04\x01\x00\x65\x00\x40\x01\x00\xe3\x4d\x00\x18\x48\x00\x00\x01\x0e"},
		{name: "oracle", server: "10.0.0.5:1521", hello: "\x00\x20\x00\x00\x02", ask: "\x00\x30\x00\x00\x06", no: "\x00\x40ORA-01017: invalid username/password", yes: "\x00\x40AUTH_VERSION"},
		{name: "redis", server: "10.0.0.5:6379", hello: "+PONG\r\n", ask: "*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n", no: "-WRONGPASS invalid username-password pair\r\n", yes: "+OK\r\n"},
		{name: "mongodb", server: "10.0.0.5:27017", hello: "\x90\x00\x00\x00", ask: "\xa0\x00\x00\x00", no: "\x90\x00\x00\x00codeName\x00\x15\x00\x00\x00AuthenticationFailed\x00", yes: "\x90\x00\x00\x00ok"},
		{name: "vnc", server: "10.0.0.5:5900", hello: "RFB 003.008\n", ask: "RFB 003.008\n", no: "\x00\x00\x00\x01\x00\x00\x00\x03bad", yes: "\x00\x00\x00\x00"},
		{name: "ldap", server: "10.0.0.5:389", hello: "0\x0c\x02\x01\x01\x61\x07\x0a\x01\x0e\x04\x00\x04\x00", ask: "0\x1c\x02\x01\x01\x60", no: "0\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00", yes: "0\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"},
		{name: "kerberos", server: "10.0.0.5:88", hello: "\x00\x00\x00\x70\x7e\x81\xa6\x03\x02\x01\x19", ask: "\x00\x00\x00\x70\x6a\x81", no: "\x00\x00\x00\x70\x7e\x81\xa6\x03\x02\x01\x18", yes: "\x00\x00\x00\x70\x6b\x81\xa6\x03\x02\x01\x12"},
	}
	for _, tt := range tests {
		for answer, want := range map[string]bool{tt.no: true, tt.yes: false} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, want), func(t *testing.T) {
				w := newWire(t, newDefaultBruteForce())
				w.class = tt.class
				for i := range 9 {
					exchange(w, at("10.0.0.9", 40000+i), tt.server, tt.hello, tt.ask, answer)
					w.wait(2 * time.Second)
				}
				if found := w.flagged > 0; found != want {
					t.Errorf("flagged %d of %d packets, want any: %v", w.flagged, w.packets, want)
				}
			})
		}
	}
}

// TestForms: passwords that change from one request to the next are guessed,
// whatever the form is called; one that stays is a program's.
func TestForms(t *testing.T) {
	const form = "POST /enter HTTP/1.1\r\nHost: shop.example\r\n\r\nuser=bob&password=%s"
	ask := func(password func(i int) string) func(w *wire) {
		return func(w *wire) {
			w.class = "http"
			for i := range 20 {
				client := at("10.0.0.9", 40000+i)
				w.connect(client, "10.0.0.5:80")
				w.say(client, "10.0.0.5:80", fmt.Sprintf(form, password(i)))
				w.say("10.0.0.5:80", client, "HTTP/1.1 200 OK\r\n\r\nno")
				w.wait(time.Second)
			}
		}
	}
	play(t, verdict.BruteForce, func() Detector { return newBruteForce(Default().BruteForce) }, []scene{
		{name: "guesses", flagged: -1, play: ask(func(i int) string { return noise(i, 6) })},
		{name: "the same", flagged: 0, play: ask(func(int) string { return "secret" })},
	})
	for in, same := range map[string]string{
		"GET /?pwd=abc HTTP/1.1": "passwd=abc&x=1", "a=1&pass=abc": "\npassword=abc\r\n",
	} {
		if passwordIn([]byte(in)) == 0 || passwordIn([]byte(in)) != passwordIn([]byte(same)) {
			t.Errorf("%q and %q differ", in, same)
		}
	}
	for _, none := range []string{"", "bypass=1", "password:", "POST /compass"} {
		if passwordIn([]byte(none)) != 0 {
			t.Errorf("%q", none)
		}
	}
}
