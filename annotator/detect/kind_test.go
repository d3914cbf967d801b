package detect

import (
	"slices"
	"strings"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// twins are two Sets that are shown the same packets, one of which calls all its
// detectors for each.
type twins struct {
	t             *testing.T
	gated, open   twin
	spared, found int // calls that the first did without, and findings
}

type twin struct {
	*Set
	table *flow.Table
	o     flow.Observation
}

func newTwin(cfg Config) twin { return twin{Set: New(cfg, nil), table: flow.NewTable(flow.Default())} }

func newTwins(t *testing.T, cfg Config) *twins {
	return &twins{t: t, gated: newTwin(cfg), open: newTwin(cfg)}
}

// observe shows a packet of a class to one.
func (tw *twin) observe(p *packet.Packet) *Case {
	classes := []string{"", "http", "tls", "ssh", "dns", "unknown", "modbus", "ftp", "unknown"}
	tw.table.Observe(p, &tw.o)
	if tw.o.Memo != nil && tw.o.ServerPackets+tw.o.ClientPackets == 4 {
		tw.o.Memo.Class, tw.o.Memo.Confidence = classes[tw.o.Flow%uint32(len(classes))], 0.95
	}
	return tw.look(&tw.o)
}

// observe shows both a packet and checks that they find the same.
func (tw *twins) observe(p *packet.Packet) {
	tw.t.Helper()
	some, all := tw.gated.observe(p), tw.open.observe(p)
	due := tw.gated.due(some)
	for i, d := range tw.gated.detectors {
		var got Finding
		if bit := uint32(1) << i; due&bit != 0 {
			some.asking = bit
			got = told(d, some)
		} else {
			tw.spared++
		}
		want := told(tw.open.detectors[i], all)
		if !(want.Score >= 0 && want.Score <= 1) || strings.ContainsAny(want.Reason, "\n\r\x00") {
			tw.t.Fatalf("%s: %+v", d.Name(), want)
		}
		if got != want {
			tw.t.Fatalf("%s: packet of kind %#x at %d: %+v, with all packets %+v", d.Name(), some.kindOf(), p.Time, got, want)
		}
		if want.Score > 0 {
			tw.found++
		}
	}
}

// TestWants: a detector finds the same in what it wants to see as in all packets.
func TestWants(t *testing.T) {
	t.Run("own", func(t *testing.T) { checkWants(t, capturetest.Own(t)) })
	t.Run("labelled", func(t *testing.T) {
		var some []string
		for i, path := range capturetest.Files(t, capturetest.Labelled(t)) {
			if i%20 == 0 || capturetest.Full() {
				some = append(some, path)
			}
		}
		checkWants(t, some)
	})
}

func checkWants(t *testing.T, files []string) {
	small := Default() // so that there is enough to forget
	small.BruteForce.Clients, small.BruteForce.Flows, small.Beacon.Services, small.WebAttack.Clients = 2, 2, 2, 2
	small.Newcomer.Services, small.WebShell.Clients, small.RequestFlood.Clients, small.SlowDoS.Services = 2, 2, 2, 2
	for name, cfg := range map[string]Config{"default": Default(), "small": small} {
		t.Run(name, func(t *testing.T) {
			spared, found, n := 0, 0, 0
			for _, path := range files {
				tw := newTwins(t, cfg)
				packets(t, path, func(p *packet.Packet) {
					n++
					tw.observe(p)
				})
				spared, found = spared+tw.spared, found+tw.found
			}
			if spared < n*len(All(cfg))/2 || found == 0 {
				t.Errorf("%d packets: %d calls spared, %d findings", n, spared, found)
			}
		})
	}
}

// TestOrder: detectors are asked in the order of the list, whatever the kind.
func TestOrder(t *testing.T) {
	s := New(Default(), nil)
	for k := range 1 << 16 {
		w := s.ask(Kind(k))
		if w.always&w.traced != 0 || w.always|w.traced >= 1<<len(s.detectors) {
			t.Fatalf("kind %#x: %#x and %#x", k, w.always, w.traced)
		}
	}
	if !slices.EqualFunc(s.detectors, All(Default()), func(a, b Detector) bool { return a.Name() == b.Name() }) {
		t.Error("another order")
	}
}
