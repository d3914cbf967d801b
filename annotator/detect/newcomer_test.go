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

func TestNewcomer(t *testing.T) {
	call := func(w *wire, client, server string) {
		w.connect(client, server)
		w.say(client, server, "read")
		w.say(server, client, "value")
		w.hangUp(client, server)
		w.wait(100 * time.Millisecond)
	}
	settled := func(w *wire, n int) {
		for i := range n {
			call(w, at("10.0.0.9", 20000+i), at(fmt.Sprintf("10.0.0.%d", 1+i%4), 502))
		}
	}
	play(t, verdict.Outlier, func() Detector { return newNewcomer(Default().Newcomer, Default().OddPort) }, []scene{
		{name: "a stranger among machines", flagged: -1, play: func(w *wire) {
			settled(w, 4000)
			call(w, "10.0.0.66:1234", "10.0.0.3:502")
		}, reason: "10.0.0.66 has not called 10.0.0.3 port 502 before, and of the 4000 conversations of the last 600 s 0 were new"},
		{name: "hardly settled", flagged: 0, play: func(w *wire) {
			settled(w, 200)
			call(w, "10.0.0.66:1234", "10.0.0.3:502")
			if w.last.Score < 0.3 || w.last.Score > verdict.SuspiciousScore+0.15 {
				w.t.Errorf("score %.2f", w.last.Score)
			}
		}},
		{name: "one client that calls without pause does not settle a network", flagged: 0, play: func(w *wire) {
			settled(w, 40)
			for i := range 4000 {
				call(w, at("10.0.0.9", 20000+i), "10.0.0.1:80")
			}
			call(w, "10.0.0.66:1234", "10.0.0.3:502")
		}},
		{name: "people", flagged: 0, play: func(w *wire) {
			for i := range 4000 {
				call(w, at("10.0.0.9", 20000+i), at(fmt.Sprintf("198.51.100.%d", i%7*i%250), 443))
			}
		}},
		{name: "known again", flagged: 0, play: func(w *wire) {
			call(w, "10.0.0.66:1234", "10.0.0.3:502")
			settled(w, 4000)
			call(w, "10.0.0.66:1234", "10.0.0.3:502")
		}},
	})
}

func TestOddPort(t *testing.T) {
	session := func(class, server string) Finding {
		w := newWire(t, newOddPort(Default().OddPort))
		p := ip(packet.ProtoTCP, "10.0.0.9:50000", server, "x")
		p.Time, p.TCPFlags = w.now, packet.ACK
		var o flow.Observation
		w.table.Observe(&p, &o)
		o.Memo.Class, o.Memo.Confidence = class, 0.95
		return *w.detector.Observe(&o)
	}
	if f := session("tls", "203.0.113.7:7084"); f.Score != 0.6 || f.Type != verdict.Outlier ||
		f.Reason != "an encrypted session (tls) with 203.0.113.7 on port 7084, which is not made for it" {
		t.Errorf("%+v", f)
	}
	for _, tt := range [][2]string{{"tls", "203.0.113.7:443"}, {"ssh", "203.0.113.7:22"}, {"http", "203.0.113.7:7084"}} {
		if f := session(tt[0], tt[1]); f.Score != 0 {
			t.Errorf("%v: %+v", tt, f)
		}
	}
}

func TestUnvouched(t *testing.T) {
	certificates := func(n int) string {
		one := "\x00\x00\x40" + strings.Repeat("c", 64)
		list := "\x00\x00" + string([]byte{byte(67 * n)}) + strings.Repeat(one, n)
		return "\x0b\x00\x00" + string([]byte{byte(len(list))}) + list
	}
	record := func(content string) string {
		return "\x16\x03\x03\x00" + string([]byte{byte(len(content))}) + content
	}
	const hello = "\x02\x00\x00\x0cabcdefghijkl"
	for _, tt := range []struct {
		payload string
		want    bool
	}{
		{record(hello + certificates(1)), true},
		{record(hello) + record(certificates(1)), true},
		{record(hello + certificates(2)), false},
		{record(hello) + record(certificates(3)), false},
		{record(hello), false},
	} {
		if got := isUnvouched([]byte(tt.payload)); got != tt.want {
			t.Errorf("%x: %v", tt.payload, got)
		}
		for n := range len(tt.payload) {
			isUnvouched([]byte(tt.payload[:n])) // must not panic
		}
	}
}

// TestSuspects: what the hosts of an anomaly do next stays suspicious for a
// while, the same two more than others, and is never anomalous by that alone.
func TestSuspects(t *testing.T) {
	w := newWire(t)
	observe := func(from, to string, best Finding) Finding {
		p := ip(packet.ProtoUDP, from, to, "x")
		p.Time = w.now
		var o flow.Observation
		w.table.Observe(&p, &o)
		found := w.detector.Observe(&o)
		*found = best
		w.detector.Suspect()
		return *found
	}
	scan := Finding{0.95, verdict.PortScan, "40 probes", RoleScan, 0}
	const attacker, victim, other = "10.0.0.66:1000", "10.0.0.5:53", "10.0.0.6:53"
	if f := observe(attacker, victim, Finding{}); f.Score != 0 {
		t.Errorf("before: %+v", f)
	}
	if f := observe(attacker, victim, scan); f != scan {
		t.Errorf("the anomaly itself: %+v", f)
	}
	w.wait(30 * time.Second)
	f := observe(attacker, victim, Finding{})
	if f.Score <= 0.7 || f.Score > verdict.AnomalousScore || f.Type != verdict.PortScan || f.Reason != "the same two hosts as 30 s ago: 40 probes" {
		t.Errorf("the same two: %+v", f)
	}
	if back := observe(victim, attacker, Finding{}); back.Score != f.Score {
		t.Errorf("back: %+v", back)
	}
	if f := observe(attacker, other, Finding{}); f.Score <= 0.3 || f.Score >= verdict.SuspiciousScore {
		t.Errorf("another victim: %+v", f)
	}
	if f := observe("10.0.0.7:1000", victim, Finding{}); f.Score != 0 {
		t.Errorf("a bystander: %+v", f)
	}
	if f := observe(attacker, victim, Finding{0.85, verdict.BruteForce, "logins", RoleService, 0}); !strings.HasPrefix(f.Reason, "logins") {
		t.Errorf("worse than the memory: %+v", f)
	}
	w.wait(2 * time.Hour)
	if f := observe(attacker, victim, Finding{}); f.Score != 0 {
		t.Errorf("long after: %+v", f)
	}
}
