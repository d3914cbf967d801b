package detect

import (
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

func TestSlowDoS(t *testing.T) {
	hold := func(w *wire, n int) {
		for i := range n {
			w.connect(at("10.0.0.9", 40000+i), "10.0.0.5:80")
			w.say(at("10.0.0.9", 40000+i), "10.0.0.5:80", "GET / HTTP/1.1\r\n")
		}
		for range 3 {
			w.wait(10 * time.Second)
			for i := range n {
				w.say(at("10.0.0.9", 40000+i), "10.0.0.5:80", "X-a: b\r\n")
			}
		}
	}
	play(t, verdict.SlowDoS, func() Detector { return newSlowDoS(Default().SlowDoS) }, []scene{
		{name: "at the threshold", flagged: 0, play: func(w *wire) { hold(w, 20) }},
		{name: "beyond the threshold", flagged: 1 + 2*21, play: func(w *wire) { hold(w, 21) },
			reason: "21 connections to 10.0.0.5 port 80 held open with 21 fragments of requests within 0.0 s, none of them finished; browsers send a request at once"},
		{name: "requests that are answered", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				client := at("10.0.0.9", 40000+i)
				w.connect(client, "10.0.0.5:80")
				w.say(client, "10.0.0.5:80", "GET / HTTP/1.1\r\n\r\n")
				w.say("10.0.0.5:80", client, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
			}
			for range 10 {
				w.wait(10 * time.Second)
				for i := range 100 {
					w.say(at("10.0.0.9", 40000+i), "10.0.0.5:80", "ping")
				}
			}
		}},
		{name: "idle connections", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				w.connect(at("10.0.0.9", 40000+i), "10.0.0.5:80")
			}
			w.wait(time.Minute)
			for i := range 100 {
				w.hangUp(at("10.0.0.9", 40000+i), "10.0.0.5:80")
			}
		}},
	})
}

func TestExfiltration(t *testing.T) {
	// send sends n packets of 10,000 bytes.
	send := func(w *wire, client, server string, n int) {
		w.connect(client, server)
		for range n {
			w.tcpLong(client, server, packet.ACK, "", 10_000)
			w.wait(10 * time.Millisecond)
		}
	}
	play(t, verdict.Exfiltration, func() Detector { return newExfiltration(Default().Exfiltration) }, []scene{
		{name: "at the threshold", flagged: 0, play: func(w *wire) { send(w, "10.0.0.9:40000", "203.0.113.7:443", 1000) }},
		{name: "beyond the threshold", flagged: 1, play: func(w *wire) { send(w, "10.0.0.9:40000", "203.0.113.7:443", 1001) },
			reason: "10.01 MB sent to 203.0.113.7 within 10.0 s and 0 bytes received; it sends nothing to other destinations"},
		{name: "in several connections", flagged: -1, play: func(w *wire) {
			for i := range 20 {
				send(w, at("10.0.0.9", 40000+i), "203.0.113.7:443", 100)
				w.wait(time.Minute)
			}
		}},
		{name: "spread over hours", flagged: 0, play: func(w *wire) {
			for i := range 20 {
				send(w, at("10.0.0.9", 40000+i), "203.0.113.7:443", 100)
				w.wait(10 * time.Minute)
			}
		}},
		{name: "a host that sends as much to everybody", flagged: 0, play: func(w *wire) {
			for i := range 5 {
				send(w, at("10.0.0.9", 40000+i), at("203.0.113.7", 1+i), 1) // so that the last is no exception
				send(w, at("10.0.0.9", 50000+i), "203.0.113."+string(rune('1'+i))+":443", 900)
			}
			send(w, "10.0.0.9:60000", "203.0.113.9:443", 1200)
		}},
		{name: "a server that is downloaded from", flagged: 0, play: func(w *wire) {
			w.connect("203.0.113.7:50000", "10.0.0.9:443")
			for range 3000 {
				w.tcpLong("10.0.0.9:443", "203.0.113.7:50000", packet.ACK, "", 10_000)
			}
		}},
		{name: "a call goes both ways", flagged: 0, play: func(w *wire) {
			for range 3000 {
				p := ip(packet.ProtoUDP, "10.0.0.9:5004", "203.0.113.7:5004", "")
				p.PayloadLength = 10_000
				w.send(p)
				p = ip(packet.ProtoUDP, "203.0.113.7:5004", "10.0.0.9:5004", "")
				p.PayloadLength = 8000
				w.send(p)
			}
		}},
		{name: "a backup to a server inside", flagged: 0, play: func(w *wire) { send(w, "10.0.0.9:40000", "10.0.0.5:445", 3000) }},
		{name: "pings carry a megabyte", flagged: 10, play: func(w *wire) {
			for i := range uint16(1010) {
				w.echo("10.0.0.9", "203.0.113.7", false, i, noise(int(i), 1000))
			}
		}},
	})
}

func TestBeacon(t *testing.T) {
	// call makes n connections of size bytes, one every interval.
	call := func(w *wire, server string, n, size int, interval time.Duration, jitter func(i int) time.Duration) {
		for i := range n {
			client := at("10.0.0.9", 40000+i)
			w.connect(client, server)
			w.tcpLong(client, server, packet.ACK, "", uint32(size))
			w.say(server, client, "ok")
			w.hangUp(client, server)
			w.wait(interval + jitter(i))
		}
	}
	none := func(int) time.Duration { return 0 }
	play(t, verdict.Beacon, func() Detector { return newBeacon(Default().Beacon) }, []scene{
		{name: "at the threshold", flagged: 0, play: func(w *wire) { call(w, "203.0.113.7:443", 11, 200, time.Minute, none) }},
		{name: "beyond the threshold", flagged: 8, play: func(w *wire) { call(w, "203.0.113.7:443", 12, 200, time.Minute, none) },
			reason: "12 connections to 203.0.113.7 port 443, one every 60.0 s (jitter 0%), each sending about 200 bytes; people are not that regular"},
		{name: "with some jitter", flagged: -1, play: func(w *wire) {
			call(w, "203.0.113.7:443", 40, 200, time.Minute, func(i int) time.Duration { return time.Duration(mix(uint64(i))%10) * time.Second })
		}},
		{name: "two connections each time", flagged: -1, play: func(w *wire) {
			for range 20 {
				call(w, "203.0.113.7:443", 2, 200, 100*time.Millisecond, none)
				w.wait(time.Minute)
			}
		}},
		{name: "a page inside that polls after a long visit", flagged: 0, play: func(w *wire) {
			call(w, "10.0.0.5:80", 200, 200, time.Second, func(i int) time.Duration { return time.Duration(mix(uint64(i))%20) * time.Second })
			call(w, "10.0.0.5:80", 40, 200, 30*time.Second, none)
		}},
		{name: "for less than minutes", flagged: 0, play: func(w *wire) { call(w, "203.0.113.7:443", 40, 200, 3*time.Second, none) }},
		{name: "a person", flagged: 0, play: func(w *wire) {
			call(w, "203.0.113.7:443", 100, 200, time.Second, func(i int) time.Duration { return time.Duration(mix(uint64(i))%60) * time.Second })
		}},
		{name: "saying something else each time", flagged: 0, play: func(w *wire) {
			for i := range 40 {
				call(w, "203.0.113.7:443", 1, 200+i%7*500, time.Minute, none)
			}
		}},
		{name: "a monitor inside", flagged: 0, play: func(w *wire) { call(w, "10.0.0.5:80", 60, 200, time.Minute, none) }},
		{name: "messages within one connection", flagged: 0, play: func(w *wire) {
			w.connect("10.0.0.9:40000", "203.0.113.7:502")
			for range 1000 {
				w.say("10.0.0.9:40000", "203.0.113.7:502", "read")
				w.say("203.0.113.7:502", "10.0.0.9:40000", "42")
				w.wait(time.Second)
			}
		}},
		{name: "NTP", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				w.udp(at("10.0.0.9", 40000+i), "203.0.113.7:123", "what time is it")
				w.udp("203.0.113.7:123", at("10.0.0.9", 40000+i), "late")
				w.wait(64 * time.Second)
			}
		}},
		{name: "a service that is gone", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				w.tcp(at("10.0.0.9", 40000+i), "203.0.113.7:80", packet.SYN, "")
				w.wait(10 * time.Second)
			}
		}},
	})
}

func TestARPSpoof(t *testing.T) {
	const request, reply = 1, 2
	play(t, verdict.ARPSpoof, func() Detector { return newARPSpoof(Default().ARPSpoof) }, []scene{
		{name: "claims of an address that another one holds", flagged: 2, play: func(w *wire) {
			w.arp(reply, 1, "10.0.0.1", 9, "10.0.0.9")
			for range 5 {
				w.arp(reply, 66, "10.0.0.1", 9, "10.0.0.9")
				w.wait(2 * time.Second)
			}
		}, reason: "02:00:00:00:00:42 claimed 10.0.0.1 4 times within 6.0 s, which 02:00:00:00:00:01 holds; 4 replies had not been asked for"},
		{name: "replies that nobody asked for", flagged: 10, play: func(w *wire) {
			for range 20 {
				w.arp(reply, 66, "10.0.0.1", 9, "10.0.0.9")
				w.wait(2 * time.Second)
			}
		}, reason: "02:00:00:00:00:42 sent 11 replies within 20.0 s that it holds 10.0.0.1, and nobody had asked"},
		{name: "questions and answers", flagged: 0, play: func(w *wire) {
			for range 100 {
				w.arp(request, 9, "10.0.0.9", 0, "10.0.0.1")
				w.arp(reply, 1, "10.0.0.1", 9, "10.0.0.9")
				w.wait(time.Second)
			}
		}},
		{name: "an address moves once", flagged: 0, play: func(w *wire) {
			w.arp(reply, 1, "10.0.0.1", 9, "10.0.0.9")
			w.wait(10 * time.Minute)
			for range 100 {
				w.arp(request, 2, "10.0.0.1", 0, "10.0.0.9")
				w.wait(time.Second)
			}
		}},
		{name: "announcements", flagged: 0, play: func(w *wire) {
			for range 100 {
				w.arp(reply, 1, "10.0.0.1", 255, "10.0.0.1")
				w.wait(time.Second)
			}
		}},
	})
}
