package detect

import (
	"fmt"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

func TestFlood(t *testing.T) {
	random := func(i int) string { return fmt.Sprintf("%d.%d.%d.9", 20+i%97, 1+i*7%251, i%241) }
	// quiet is an ordinary half minute of a server.
	quiet := func(w *wire) {
		for i := range 60 {
			client := at("10.0.0.7", 20000+i)
			w.connect(client, "10.0.0.5:80")
			w.hangUp(client, "10.0.0.5:80")
			w.wait(500 * time.Millisecond)
		}
	}
	play(t, verdict.Flood, func() Detector { return newFlood(Default().Flood) }, []scene{
		{name: "SYNs from random sources, at the threshold", flagged: 0, play: func(w *wire) {
			for i := range 250 {
				w.tcp(at(random(i), 1024+i), "10.0.0.5:80", packet.SYN, "")
			}
		}},
		{name: "beyond the threshold", flagged: 50, play: func(w *wire) {
			for i := range 300 {
				w.tcp(at(random(i), 1024+i), "10.0.0.5:80", packet.SYN, "")
				w.wait(time.Millisecond)
			}
		}, reason: "SYN flood: 251 packets that open no conversation to 10.0.0.5 within a second, 54 bytes each, from about 251 sources; there was no quiet time before"},
		{name: "less is enough after a quiet time", flagged: 50, play: func(w *wire) {
			quiet(w)
			w.wait(time.Second)
			for i := range 150 {
				w.tcp(at(random(i), 1024+i), "10.0.0.5:80", packet.SYN, "")
			}
		}, reason: "SYN flood: 101 packets that open no conversation to 10.0.0.5 within a second, 54 bytes each, from about 101 sources; before it were 1.9 a second, standard deviation 0.4"},
		{name: "what was normal before is no flood", flagged: 0, play: func(w *wire) {
			for i := range 6000 { // 200 new clients a second
				client := at(random(i), 1024+i%5000)
				w.tcp(client, "10.0.0.5:80", packet.SYN, "")
				w.wait(5 * time.Millisecond)
			}
		}},
		{name: "goes on for long", flagged: 9750, play: func(w *wire) {
			for i := range 10_000 {
				w.tcp(at(random(i), 1024+i%50000), "10.0.0.5:80", packet.SYN, "")
				w.wait(time.Millisecond)
			}
		}},
		{name: "a busy server", flagged: 0, play: func(w *wire) {
			for i := range 3000 {
				client := at(random(i), 1024+i)
				w.connect(client, "10.0.0.5:80")
				w.say(client, "10.0.0.5:80", "GET / HTTP/1.1\r\n\r\n")
				w.wait(time.Millisecond)
			}
		}},
		{name: "UDP from changing ports", flagged: 748, // but not 1434 and 1900, which would be answers
			play: func(w *wire) {
				for i := range 1000 {
					w.udp(at("10.0.0.9", 1024+i), "10.0.0.5:5060", "junk")
					w.wait(time.Millisecond)
				}
			}},
		{name: "a video stream is one flow", flagged: 0, play: func(w *wire) {
			for range 5000 {
				w.udp("10.0.0.9:5004", "10.0.0.5:5004", "frame")
				w.wait(100 * time.Microsecond)
			}
		}},
		{name: "a stream that nobody takes", flagged: -1, play: func(w *wire) {
			for i := range 4000 {
				w.udp("10.0.0.9:5004", "10.0.0.5:5004", "junk")
				w.wait(500 * time.Microsecond)
				if i%500 == 100 {
					p := ip(packet.ProtoICMP, "10.0.0.5", "10.0.0.9", "")
					p.ICMPType, p.ICMPCode = 3, 3
					w.send(p)
				}
			}
		}},
		{name: "large datagrams to random ports", flagged: -1, play: func(w *wire) {
			for i := range 1000 {
				p := ip(packet.ProtoUDP, "10.0.0.9:40000", at("10.0.0.5", 1024+i*37%60000), "")
				p.PayloadLength = 1000
				w.send(p)
				w.wait(time.Millisecond)
			}
		}},
		{name: "a download at line rate", flagged: 0, play: func(w *wire) {
			w.connect("10.0.0.9:5004", "10.0.0.5:5201")
			for i := range 20_000 {
				w.tcpLong("10.0.0.9:5004", "10.0.0.5:5201", packet.ACK, "data", 1448)
				if i%2 == 0 {
					w.tcp("10.0.0.5:5201", "10.0.0.9:5004", packet.ACK, "")
				}
				w.wait(10 * time.Microsecond)
			}
		}},
		{name: "a port scan is no flood", flagged: 0, play: func(w *wire) {
			for port := 1; port < 3000; port++ {
				w.tcp("10.0.0.9:40000", at("10.0.0.5", port), packet.SYN, "")
				w.wait(100 * time.Microsecond)
			}
		}},
		{name: "ICMP echoes, answered", flagged: 100, play: func(w *wire) {
			for i := range 300 {
				w.echo("10.0.0.9", "10.0.0.5", false, uint16(i), "abcdefgh")
				w.echo("10.0.0.5", "10.0.0.9", true, uint16(i), "abcdefgh")
			}
		}},
		{name: "large DNS answers nobody asked for", flagged: 80, play: func(w *wire) {
			for i := range 100 {
				w.udp(at(random(i%5), 53), "10.0.0.5:4444", string(make([]byte, 1400)))
				w.wait(time.Millisecond)
			}
		}},
		{name: "large DNS answers to questions", flagged: 0, play: func(w *wire) {
			for i := range 1000 {
				w.udp(at("10.0.0.5", 1024+i), "10.0.0.1:53", "question")
				w.udp("10.0.0.1:53", at("10.0.0.5", 1024+i), string(make([]byte, 1400)))
				w.wait(time.Millisecond)
			}
		}},
		{name: "a busy server's connections, older than the capture", flagged: 0, play: func(w *wire) {
			for i := range 900 {
				w.tcp(at(random(i), 1024+i), "10.0.0.5:80", packet.ACK, "")
				w.wait(time.Millisecond)
			}
			w.wait(20 * time.Second)
			for i := range 900 {
				w.tcp(at(random(i), 2024+i), "10.0.0.5:80", packet.ACK, "")
				w.say("10.0.0.5:80", at(random(i), 2024+i), "data")
				w.wait(time.Millisecond)
			}
		}},
		{name: "segments of no connection", flagged: -1, play: func(w *wire) {
			for i := range 3000 {
				w.tcp(at(random(i), 1024+i), "10.0.0.5:80", packet.ACK, "")
				w.wait(100 * time.Microsecond)
			}
		}},
		{name: "fewer, once older connections are known", flagged: -1, play: func(w *wire) {
			w.udp("10.0.0.7:5555", "10.0.0.1:53", "question")
			w.wait(5 * time.Second)
			for i := range 1200 {
				w.tcp(at("10.0.0.9", 1024+i), "10.0.0.5:80", packet.RST, "")
				w.wait(3 * time.Millisecond)
			}
		}},
		{name: "segments of no connection, with data", flagged: -1, play: func(w *wire) {
			w.udp("10.0.0.7:5555", "10.0.0.1:53", "question")
			w.wait(5 * time.Second)
			for i := range 1200 {
				w.tcp(at("10.0.0.9", 1024+i), "10.0.0.5:80", packet.PSH|packet.ACK, "xxxxxxxx")
				w.wait(3 * time.Millisecond)
			}
		}},
		{name: "everybody answers a search", flagged: 0, play: func(w *wire) {
			w.udp("10.0.0.5:5555", "239.255.255.250:1900", "M-SEARCH")
			for i := range 100 {
				w.udp(fmt.Sprintf("10.0.1.%d:1900", i), "10.0.0.5:5555", string(make([]byte, 450)))
			}
		}},
		{name: "others go on using the flooded host", flagged: 771, // their questions count, but are not flagged
			play: func(w *wire) {
				w.connect("10.0.0.7:20000", "10.0.0.5:22")
				for i := range 1000 {
					w.udp(at("10.0.0.9", 1024+i), "10.0.0.5:5060", "junk")
					w.wait(time.Millisecond)
					if i%10 == 0 {
						w.udp(at("10.0.0.7", 1024+i), "10.0.0.5:53", "question")
						w.say("10.0.0.7:20000", "10.0.0.5:22", "ls\n")
					}
				}
			}},
	})
}
