//go:build cgo

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestFeedback says that a scan is normal, as the menu does: what is proposed is
// about the scan as a whole, and opened again the capture has none.
func TestFeedback(t *testing.T) {
	server := start(t, socketPath(t))
	whole := own(t, "port_scan_syn.pcapng")
	open(t, whole)
	frames := framesOf(t, whole)
	verdicts := expected(t, frames)
	scan := 0
	for i := range verdicts {
		if verdicts[i].Type == verdict.PortScan {
			scan = i + 1
		}
	}
	begin := func() *wireshark {
		w := newWireshark(t, asking(server.path))
		w.eager = true
		w.load(frames, false, all)
		return w
	}
	w := begin()
	proposed, err := w.await("propose", uint64(scan), "")
	var attacker, victim string
	if _, scanErr := fmt.Sscanf(strings.Replace(proposed, ",", " ", 1), "hosts=%s %s service= type=port_scan", &attacker, &victim); err != nil || scanErr != nil {
		t.Fatalf("%q: %v, %v", proposed, err, scanErr)
	}
	// An ordinary packet is about what it says itself.
	if text, err := w.await("propose", 1, ""); err != nil || !strings.HasSuffix(text, " type=") || strings.Contains(text, "hosts= ") {
		t.Errorf("%q: %v", text, err)
	}
	if _, err := w.await("propose", uint64(len(frames))+1, ""); err == nil || !strings.Contains(err.Error(), "has no frame") {
		t.Errorf("of a frame that there is not: %v", err)
	}
	said, err := w.await("feedback", 0, "says=normal\nhosts="+attacker+", "+victim+"\nservice=\ntype=port_scan\nwhy=the night's = inventory\n")
	if want := "1\n" + attacker + " and " + victim + ", port scan"; err != nil || said != want {
		t.Fatalf("%q, want %q: %v", said, want, err)
	}
	if _, err := w.await("feedback", 0, "says=normal\nhosts=\n"); err == nil || err.Error() != "annotator: there is no scope: name hosts, a service or a type" {
		t.Error(err)
	}
	count := func(prefix string) int {
		w, n := begin(), 0
		for i, f := range frames {
			if got := w.show(f, uint64(i+1), true, true); got.answer == judged {
				if v, _ := w.verdict(got.position); strings.HasPrefix(v.Reason, prefix) {
					n++
				}
			}
		}
		return n
	}
	const suppressed = "suppressed by rule 1 ("
	if n := count(suppressed); n < 100 {
		t.Errorf("%d packets are suppressed", n)
	}
	if said, err := w.await("undo", 1, ""); err != nil || !strings.HasPrefix(said, "1\n") {
		t.Errorf("%q, %v", said, err)
	}
	if _, err := w.await("undo", 1, ""); err == nil || err.Error() != "annotator: rule 1: there is no such rule" {
		t.Error(err)
	}
	if n := count(suppressed); n > 0 {
		t.Errorf("%d packets are suppressed by what is undone", n)
	}
}

// TestScopeOf: what all packets of an incident have in common is proposed, of
// what one of them has.
func TestScopeOf(t *testing.T) {
	one := &annotatorv1.Scope{Hosts: []string{"10.0.0.66", "10.0.0.5"}, Service: "tcp/22", Type: "brute_force"}
	for _, tt := range []struct {
		name     string
		incident verdict.Incident
		want     *annotatorv1.Scope
	}{
		{"one service of one host", verdict.Incident{Actors: []string{"10.0.0.66"}, ActorCount: 1, Targets: []string{"10.0.0.5"}, TargetCount: 1,
			Services: []string{"tcp/22"}, ServiceCount: 1}, one},
		{"many services", verdict.Incident{Actors: []string{"10.0.0.66"}, ActorCount: 1, Targets: []string{"10.0.0.5"}, TargetCount: 1,
			Services: []string{"tcp/22", "tcp/23"}, ServiceCount: 2}, &annotatorv1.Scope{Hosts: one.Hosts, Type: one.Type}},
		{"many targets", verdict.Incident{Actors: []string{"10.0.0.66"}, ActorCount: 1, Targets: []string{"10.0.0.5", "10.0.0.6"}, TargetCount: 2},
			&annotatorv1.Scope{Hosts: []string{"10.0.0.66"}, Type: one.Type}},
		{"many actors", verdict.Incident{Actors: []string{"10.0.0.66", "10.0.0.67"}, ActorCount: 900, Targets: []string{"10.0.0.5"}, TargetCount: 1},
			&annotatorv1.Scope{Hosts: []string{"10.0.0.5"}, Type: one.Type}},
		{"many of both", verdict.Incident{ActorCount: 2, TargetCount: 2}, &annotatorv1.Scope{Hosts: one.Hosts, Type: one.Type}},
		{"MAC addresses", verdict.Incident{Actors: []string{"02:00:00:00:00:01"}, ActorCount: 1}, &annotatorv1.Scope{Hosts: one.Hosts, Type: one.Type}},
		{"others than the packet's", verdict.Incident{Actors: []string{"10.0.0.9"}, ActorCount: 1, Services: []string{"udp/53"}, ServiceCount: 1},
			&annotatorv1.Scope{Hosts: one.Hosts, Type: one.Type}},
	} {
		if diff := cmp.Diff(tt.want, scopeOf(&tt.incident, one), protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}
