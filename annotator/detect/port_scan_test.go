package detect

import (
	"fmt"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// scan sends one probe to each of n ports and has them refused.
func scan(w *wire, n int, flags uint16, pause time.Duration) {
	for port := 1; port <= n; port++ {
		w.tcp("10.0.0.9:40000", at("10.0.0.5", port), flags, "")
		w.tcp(at("10.0.0.5", port), "10.0.0.9:40000", packet.RST|packet.ACK, "")
		w.wait(pause)
	}
}

func TestPortScan(t *testing.T) {
	play(t, verdict.PortScan, func() Detector { return newPortScan(Default().PortScan) }, []scene{
		{name: "at the threshold", flagged: 0, play: func(w *wire) { scan(w, 20, packet.SYN, time.Second) }},
		{name: "beyond the threshold", flagged: 1, play: func(w *wire) { scan(w, 21, packet.SYN, time.Second) },
			reason: "21 probes (SYN) to 21 ports of 10.0.0.5 within 20.0 s, up to 1 a second, 20 refused, 0 used; clients use the few that they try"},
		{name: "fast", flagged: 80, play: func(w *wire) { scan(w, 100, packet.SYN, time.Millisecond) }},
		{name: "one probe a minute", flagged: 5, play: func(w *wire) { scan(w, 25, packet.SYN, time.Minute) }},
		{name: "one probe in ten minutes", flagged: 0, play: func(w *wire) { scan(w, 40, packet.SYN, 10*time.Minute) }},
		{name: "FIN", flagged: 10, play: func(w *wire) { scan(w, 30, packet.FIN, time.Millisecond) }},
		{name: "NULL", flagged: 10, play: func(w *wire) { scan(w, 30, 0, time.Millisecond) }},
		{name: "Xmas", flagged: 10, play: func(w *wire) { scan(w, 30, packet.FIN|packet.PSH|packet.URG, time.Millisecond) }},
		{name: "ACK", flagged: 10, play: func(w *wire) { scan(w, 30, packet.ACK, time.Millisecond) }},
		{name: "Maimon", flagged: 10, play: func(w *wire) { scan(w, 30, packet.FIN|packet.ACK, time.Millisecond) }},
		{name: "UDP", flagged: 10, play: func(w *wire) {
			for port := 1; port <= 30; port++ {
				w.udp("10.0.0.9:40000", at("10.0.0.5", port), "")
			}
		}},
		{name: "SCTP INIT", flagged: 10, play: func(w *wire) {
			for port := 1; port <= 30; port++ {
				p := ip(packet.ProtoSCTP, "10.0.0.9:40000", at("10.0.0.5", port), "")
				p.SCTPChunk = 1
				w.send(p)
			}
		}},
		{name: "IP protocols", flagged: 20, play: func(w *wire) {
			for proto := uint8(100); proto < 130; proto++ {
				w.send(ip(proto, "10.0.0.9", "10.0.0.5", ""))
			}
		}},
		{name: "IPv6", flagged: 10, play: func(w *wire) {
			for port := 1; port <= 30; port++ {
				w.tcp("[2001:db8::9]:40000", at("[2001:db8::5]", port), packet.SYN, "")
			}
		}},
		{name: "the scanner's use of an open port is not scanning", flagged: 10, play: func(w *wire) {
			use := func(client string) {
				w.connect(client, "10.0.0.5:8080")
				w.say(client, "10.0.0.5:8080", "GET / HTTP/1.1\r\n\r\n")
				w.say("10.0.0.5:8080", client, "HTTP/1.1 200 OK\r\n\r\n")
			}
			use("10.0.0.9:50000")
			w.wait(11 * time.Second)
			scan(w, 30, packet.SYN, time.Millisecond)
			w.say("10.0.0.9:50000", "10.0.0.5:8080", "GET / HTTP/1.1\r\n\r\n")
			w.wait(time.Minute)
			use("10.0.0.9:50001")
		}},
		{name: "later probes of a known scanner", flagged: 11, play: func(w *wire) {
			scan(w, 30, packet.SYN, time.Millisecond)
			w.wait(10 * time.Minute)
			w.tcp("10.0.0.9:41000", "10.0.0.5:31", packet.SYN, "")
		}},
		{name: "traceroute", flagged: 0, play: func(w *wire) {
			for i := range 60 {
				p := ip(packet.ProtoUDP, "10.0.0.9:40000", at("192.0.2.1", 33434+i), "x")
				p.TTL = uint8(1 + i/3)
				w.send(p)
			}
		}},
		{name: "FTP data connections are used", flagged: 0, play: func(w *wire) {
			for i := range 100 {
				client, server := at("10.0.0.9", 41000+i), at("10.0.0.5", 50000+i)
				w.connect(client, server)
				w.say(server, client, "file")
				w.hangUp(client, server)
				w.wait(time.Second)
			}
		}},
		{name: "the end of connections begun before the capture", flagged: 0, play: func(w *wire) {
			for port := 50000; port < 50100; port++ {
				w.tcp("10.0.0.5:443", at("10.0.0.9", port), packet.ACK, "")
			}
		}},
		{name: "answers of a server whose questions were not captured", flagged: 0, play: func(w *wire) {
			for port := 50000; port < 50100; port++ {
				w.udp("10.0.0.5:53", at("10.0.0.9", port), "answer")
				w.tcp("10.0.0.5:80", at("10.0.0.9", port), packet.SYN|packet.ACK, "")
			}
		}},
		{name: "SYN flood at one port", flagged: 0, play: func(w *wire) {
			for i := range 1000 {
				w.tcp(at("10.0.0.9", 1024+i), "10.0.0.5:80", packet.SYN, "")
			}
		}},
	})
}

func TestPortScanMirroredTwice(t *testing.T) {
	w := newWire(t, newPortScan(Default().PortScan))
	for port := 1; port <= 30; port++ {
		for copy := range 2 {
			p := ip(packet.ProtoTCP, "10.0.0.9:40000", at("10.0.0.5", port), "")
			p.TCPFlags, p.FragID, p.TTL = packet.SYN, uint32(port), uint8(64-copy)
			p.SrcMAC[0] = byte(4 * copy)
			w.send(p)
		}
	}
	if w.flagged != 20 {
		t.Errorf("%d packets flagged, want both copies of the last 10 probes", w.flagged)
	}
}

// TestSharedScan: several hosts, none of which tries much, scan one together.
func TestSharedScan(t *testing.T) {
	knock := func(w *wire, sources, ports int, open bool) {
		for i := range ports {
			client, server := fmt.Sprintf("198.51.100.%d:%d", 1+i%sources, 40000+i), at("10.0.0.5", 1+i)
			if open {
				w.connect(client, server)
				w.say(client, server, "hello")
			} else {
				w.tcp(client, server, packet.SYN, "")
				w.tcp(server, client, packet.RST|packet.ACK, "")
			}
			w.wait(20 * time.Second)
		}
	}
	play(t, verdict.PortScan, func() Detector { return newPortScan(Default().PortScan) }, []scene{
		{name: "ten hosts, one target", flagged: 5, play: func(w *wire) { knock(w, 10, 45, false) },
			reason: "10 hosts together probed 41 ports of 10.0.0.5 within 800.0 s, 0 used; clients use the few that they try"},
		{name: "at the threshold", flagged: 0, play: func(w *wire) { knock(w, 10, 40, false) }},
		{name: "a port for everyone, as in a flood", flagged: 0, play: func(w *wire) { knock(w, 45, 45, false) }},
		{name: "a server of many services", flagged: 0, play: func(w *wire) { knock(w, 10, 100, true) }},
	})
}

// TestRegisterScan: a client asks a controller for what it does not have.
func TestRegisterScan(t *testing.T) {
	const client, plc = "10.0.0.66:40000", "10.0.0.5:502"
	ask := func(w *wire, n int, gap time.Duration, answer string) {
		w.connect(client, plc)
		for range n {
			w.say(client, plc, "\x00\x01\x00\x00\x00\x06\x01\x03\x00\x10\x00\x01")
			w.say(plc, client, answer)
			w.wait(gap)
		}
	}
	const refusal = "\x00\x01\x00\x00\x00\x03\x01\x83\x02"
	play(t, verdict.PortScan, func() Detector { return newPortScan(Default().PortScan) }, []scene{
		{name: "refused again and again", flagged: -1, play: func(w *wire) { ask(w, 250, 50*time.Millisecond, refusal) },
			reason: "201 requests to the controller 10.0.0.5 refused within a minute; its own masters know what it has"},
		{name: "one wrong register, polled", flagged: 0, play: func(w *wire) { ask(w, 500, time.Second, refusal) }},
		{name: "answers", flagged: 0, play: func(w *wire) {
			ask(w, 500, 50*time.Millisecond, "\x00\x01\x00\x00\x00\x05\x01\x03\x02\x00\x07")
		}},
	})
}
