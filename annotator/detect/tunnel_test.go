package detect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// dnsMessage returns a DNS message with one question.
func dnsMessage(name string, qtype byte, response bool, padding int) string {
	var b strings.Builder
	flags := "\x01\x00"
	if response {
		flags = "\x81\x80"
	}
	b.WriteString("\x12\x34" + flags + "\x00\x01\x00\x00\x00\x00\x00\x00")
	for label := range strings.SplitSeq(name, ".") {
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	b.WriteString("\x00\x00" + string(qtype) + "\x00\x01" + strings.Repeat("x", padding))
	return b.String()
}

// noise returns n characters that look random and depend on i.
func noise(i, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	b := make([]byte, n)
	for k := range b {
		b[k] = letters[mix(uint64(i*1000+k+1))%32]
	}
	return string(b)
}

func TestDNSTunnel(t *testing.T) {
	ask := func(w *wire, name string, qtype byte) {
		w.udp("10.0.0.9:5000", "10.0.0.1:53", dnsMessage(name, qtype, false, 0))
		w.wait(100 * time.Millisecond)
	}
	play(t, verdict.DNSTunnel, func() Detector { return newDNSTunnel(Default().DNSTunnel) }, []scene{
		{name: "at the threshold", flagged: 0, play: func(w *wire) {
			for i := range 20 {
				ask(w, noise(i, 60)+".t.example.com", 1)
			}
		}},
		{name: "beyond the threshold, answers too", flagged: 3, play: func(w *wire) {
			for i := range 22 {
				ask(w, noise(i, 60)+".t.example.com", 16)
			}
			w.udp("10.0.0.1:53", "10.0.0.9:5000", dnsMessage(noise(21, 60)+".t.example.com", 16, true, 300))
		}, reason: "21 different names below domain example.com asked for within 2.0 s, on average 62 characters at 4.6 bits each, mostly type 16; 0 bytes came back; domains have a few short names"},
		{name: "short names in TXT", flagged: 10, play: func(w *wire) {
			for i := range 30 {
				ask(w, noise(i, 20)+".example.co.uk", 16)
			}
		}},
		{name: "no domain", flagged: 10, play: func(w *wire) {
			for i := range 30 {
				ask(w, "dnscat."+noise(i, 40)+"0", 15)
			}
		}},
		{name: "over TCP, on an odd port", flagged: 10, play: func(w *wire) {
			w.class = "dns"
			w.connect("10.0.0.9:5000", "10.0.0.1:5300")
			for i := range 30 {
				m := dnsMessage(noise(i, 60)+".example.com", 1, false, 0)
				w.say("10.0.0.9:5000", "10.0.0.1:5300", string([]byte{0, byte(len(m))})+m)
			}
		}},
		{name: "the same names again", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				ask(w, noise(i%10, 60)+".example.com", 1)
			}
		}},
		{name: "content delivery", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				ask(w, fmt.Sprintf("r%d---sn-%s.googlevideo.com", i%9, noise(i, 12)), 1)
			}
		}},
		{name: "reverse look-ups", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				ask(w, fmt.Sprintf("%d.f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.f.e.d.c.b.a.9.8.7.6.5.4.3.2.1.0.ip6.arpa", i), 12)
			}
		}},
		{name: "block lists", flagged: 0, play: func(w *wire) {
			for i := range 500 {
				ask(w, fmt.Sprintf("%d.%d.0.192.zen.spamhaus.org", i%256, i/256), 16)
			}
		}},
		{name: "half a message", flagged: 0, play: func(w *wire) {
			m := dnsMessage(noise(1, 60)+".example.com", 1, false, 0)
			for n := range len(m) {
				w.udp("10.0.0.9:5000", "10.0.0.1:53", m[:n])
			}
		}},
	})
}

func TestSplitDomain(t *testing.T) {
	for _, tt := range []struct{ name, sub, domain string }{
		{"a.b.example.com", "a.b", "example.com"},
		{"a.example.co.uk", "a", "example.co.uk"},
		{"www.example.de", "www", "example.de"},
		{"x.bit.ly", "", "x.bit.ly"}, // two short labels at the end count as one
		{"example.com", "", "example.com"},
		{"localhost", "", "localhost"},
		{"4.3.2.1.in-addr.arpa", "", "4.3.2.1.in-addr.arpa"},
		{"dnscat.0123abcd", "dnscat.0123abcd", ""},
		{"a.example.xn--p1ai", "a", "example.xn--p1ai"},
	} {
		if sub, domain := splitDomain([]byte(tt.name)); string(sub) != tt.sub || string(domain) != tt.domain {
			t.Errorf("%s: %q below %q, want %q below %q", tt.name, sub, domain, tt.sub, tt.domain)
		}
	}
}

func TestICMPTunnel(t *testing.T) {
	play(t, verdict.ICMPTunnel, func() Detector { return newICMPTunnel(Default().ICMPTunnel) }, []scene{
		{name: "ping", flagged: 0, play: func(w *wire) {
			for i := range uint16(200) {
				w.echo("10.0.0.9", "10.0.0.5", false, i, fmt.Sprintf("%08dabcdefghijklmnop", i))
				w.echo("10.0.0.5", "10.0.0.9", true, i, fmt.Sprintf("%08dabcdefghijklmnop", i))
			}
		}},
		{name: "data in place of a pattern", flagged: -1, play: func(w *wire) {
			for i := range uint16(30) {
				data := noise(int(i), 56)
				w.echo("10.0.0.9", "10.0.0.5", false, i, data)
				w.echo("10.0.0.5", "10.0.0.9", true, i, data)
				w.wait(time.Second)
			}
		}},
		{name: "ping in growing sizes", flagged: 0, play: func(w *wire) {
			for i := range uint16(10) {
				w.echo("10.0.0.9", "10.0.0.5", false, i, noise(1, 100*int(i)))
			}
		}},
		{name: "replies that say something else", flagged: 9, play: func(w *wire) {
			for i := range uint16(10) {
				w.echo("10.0.0.9", "10.0.0.5", false, i, noise(int(i), 64))
				w.echo("10.0.0.5", "10.0.0.9", true, i, noise(100+int(i), 64))
			}
		}, reason: "12 echoes between 10.0.0.5 and 10.0.0.9 carried 768 bytes in 1 sizes and 6 contents (ping: one) within 0.0 s, and 6 replies do not repeat a request, as they must"},
		{name: "replies without requests", flagged: 5, play: func(w *wire) {
			w.echo("10.0.0.9", "10.0.0.5", false, 0, noise(0, 64))
			for i := range uint16(10) {
				w.echo("10.0.0.5", "10.0.0.9", true, i, noise(0, 64)) // the first is right
			}
			w.echo("10.0.0.9", "10.0.0.5", false, 20, noise(0, 64))
		}},
		{name: "a hundred pings on their way at once", flagged: 0, play: func(w *wire) {
			for i := range uint16(100) {
				w.echo("10.0.0.9", "10.0.0.5", false, i, "abcdefgh")
			}
			for i := range uint16(100) {
				w.echo("10.0.0.5", "10.0.0.9", true, i, "abcdefgh")
			}
		}},
		{name: "requests are not in the capture", flagged: 0, play: func(w *wire) {
			for i := range uint16(100) {
				w.echo("10.0.0.5", "10.0.0.9", true, i, "abcdefgh")
			}
		}},
		{name: "ever new sizes", flagged: 10, play: func(w *wire) {
			for i := range uint16(20) {
				w.echo("10.0.0.9", "10.0.0.5", false, i, noise(int(i), 30+int(i)))
			}
		}},
		{name: "other ICMP", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				p := ip(packet.ProtoICMP, "10.0.0.9", "10.0.0.5", noise(i, 20+i))
				p.ICMPType, p.ICMPCode = 3, 1
				w.send(p)
			}
		}},
	})
}
