package baseline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/score"
)

// TestTake: what is taken out piece by piece comes to the same as all at once.
func TestTake(t *testing.T) {
	traffic := func(w *wire, taken func()) {
		r := rand.New(rand.NewPCG(1, 1))
		for range 5000 {
			from, to := fmt.Sprintf("10.0.%d.%d:4000", r.IntN(3), r.IntN(40)), server22
			flags := uint16(packet.SYN)
			if r.IntN(2) == 0 {
				from, to, flags = to, from, packet.SYN|packet.ACK
			}
			f := guessing(r.Float64())
			w.learner.Finding("brute_force", &f)
			w.learner.Packet(w.see(from, to, flags), "ssh", &score.Opinion{Score: float32(r.IntN(100)) / 100})
			w.now = w.now.Add(time.Duration(r.IntN(1500)) * time.Millisecond)
			taken()
		}
	}
	w := newWire()
	traffic(w, func() {})
	want := saved(t, w.learned())

	w = newWire()
	parts, cut := New(identity), rand.New(rand.NewPCG(2, 2))
	add := func(b *Baseline) {
		if err := parts.Merge(b); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	traffic(w, func() {
		if cut.IntN(300) == 0 {
			add(w.learner.Take())
			n++
		}
	})
	add(w.learned())
	got := saved(t, parts)
	if n < 10 || len(parts.hosts.rows) < 100 || len(parts.relations.rows) < 50 {
		t.Fatalf("%d parts, %d hosts, %d relations", n, len(parts.hosts.rows), len(parts.relations.rows))
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes")
	}
}

// seconds of conversations of hosts with a server, each of which it answers.
func conversations(start time.Time, seconds int, class string, hosts ...string) *Baseline {
	w := newWire()
	w.now = start
	for i := range seconds {
		from := fmt.Sprintf("%s:%d", hosts[i%len(hosts)], 10_000+i)
		for range 10 {
			w.learner.Packet(w.see(from, server22, packet.ACK), class, &score.Opinion{Score: 0.1})
		}
		w.now = w.now.Add(time.Second)
	}
	return w.learned()
}

// TestWatch: what is new is told once, again when it has doubled, and again when
// it comes back after it was gone.
func TestWatch(t *testing.T) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	w := NewWatch(conversations(noon.AddDate(0, 0, -7), 200, "ssh", "10.0.0.1", "10.0.0.2"))
	add := func(when time.Time, b *Baseline) string {
		var text []string
		for _, c := range w.Add(b, when.UnixNano()) {
			text = append(text, c.Text)
		}
		return strings.Join(text, "; ")
	}
	state := func(when time.Time) string {
		frames, changes := w.Changes(when.UnixNano())
		text := fmt.Sprint(frames)
		for _, c := range changes {
			text += fmt.Sprintf(" %s %.0f", c.What, c.Value)
		}
		return text
	}
	for _, tt := range []struct {
		name  string
		after time.Duration // noon
		seen  *Baseline
		told  string
		state string
	}{
		{"the same", 0, conversations(noon, 100, "ssh", "10.0.0.1", "10.0.0.2"), "", "1000"},
		{"of last week", 0, conversations(noon.AddDate(0, 0, -7), 100, "tls", "10.0.0.9"), "", "1000"},
		{"of next week", 0, conversations(noon.AddDate(0, 0, 7), 100, "tls", "10.0.0.9"), "", "1000"},
		{"a clock a little ahead", 0, conversations(noon.Add(time.Minute), 10, "ssh", "10.0.0.1"), "", "1100"},
		{"of other models", 0, New(Identity{Models: "2"}), "", "1100"},
		{"a new host", time.Hour, conversations(noon, 10, "ssh", "10.0.0.3"), "1 new host: 10.0.0.3", "1200 hosts 1"},
		{"the same new host", time.Hour, conversations(noon, 10, "ssh", "10.0.0.3"), "", "1300 hosts 1"},
		{"one more", time.Hour, conversations(noon, 10, "ssh", "10.0.0.4"), "2 new hosts: 10.0.0.3, 10.0.0.4", "1400 hosts 2"},
		{"another more", time.Hour, conversations(noon, 10, "ssh", "10.0.0.6"), "", "1500 hosts 3"},
		{"the next half day", 13 * time.Hour, conversations(noon.Add(13*time.Hour), 100, "ssh", "10.0.0.1"), "", "2500 hosts 3"},
		{"the one after it", 25 * time.Hour, conversations(noon.Add(25*time.Hour), 1, "ssh", "10.0.0.1"), "", "1010"},
		{"a host again", 25 * time.Hour, conversations(noon.Add(25*time.Hour), 1, "ssh", "10.0.0.3"), "1 new host: 10.0.0.3", "1020 hosts 1"},
	} {
		at := noon.Add(tt.after)
		if got := add(at, tt.seen); got != tt.told {
			t.Errorf("%s: told %q, want %q", tt.name, got, tt.told)
		}
		if got := state(at); got != tt.state {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.state)
		}
	}
	if got := state(noon.Add(100 * time.Hour)); got != "0" {
		t.Errorf("days later: %q", got)
	}
	if w = NewWatch(nil); add(noon, New(identity)) != "" || state(noon) != "0" {
		t.Error("without a baseline there are changes")
	}
}
