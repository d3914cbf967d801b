package flow

import (
	"math"
	"testing"

	"ampulla/annotator/packet"
)

func TestTallyWindows(t *testing.T) {
	const start = 1 << 60
	var y Tally
	for _, step := range []struct {
		at                     int64
		second, ten, sixty, ms uint32
	}{
		{0, 1, 1, 1, 1},
		{400 * ms, 2, 2, 2, 2},
		{900 * ms, 3, 3, 3, 3},
		{1000 * ms, 2, 4, 4, 4}, // the first half second has gone
		{4 * sec, 1, 5, 5, 5},   // a long silence
		{3900 * ms, 2, 6, 6, 6}, // a little back
		{11 * sec, 1, 1 + 0, 7, 7},
		{-100 * sec, 1, 1, 1, 8}, // far back: short windows begin anew
		{1000 * sec, 1, 1, 1, 1},
	} {
		y.advance(start + step.at)
		y.add(FlowsOut, 1)
		for w, want := range []uint32{step.second, step.ten, step.sixty, step.ms} {
			if got := y.Count(FlowsOut, Window(w)); got != want {
				t.Errorf("at %d ms: %d within %v, want %d", step.at/ms, got, Window(w).Span(), want)
			}
		}
	}
}

func TestTallySaturates(t *testing.T) {
	var y Tally
	y.advance(1)
	y.add(BytesOut, math.MaxUint32-1)
	y.add(BytesOut, 5)
	y.advance(1 + 6*sec)
	y.add(BytesOut, 5)
	if got := y.Count(BytesOut, TenSeconds); got != math.MaxUint32 {
		t.Errorf("%d, want %d", got, uint32(math.MaxUint32))
	}
}

// TestTouch compares the distinct counts with sets kept by hand.
func TestTouch(t *testing.T) {
	var y Tally
	marks := make([]Mark, 40)
	type sight struct{ thing, bucket int }
	var seen []sight
	x := uint32(1)
	for i := range 4000 {
		x = x*1664525 + 1013904223
		thing := int(x>>16) % (1 + i/100)
		now := int64(i) * 90 * ms
		y.advance(now)
		y.touch(Services, &marks[thing])
		bucket := int(now / (5 * sec))
		seen = append(seen, sight{thing, bucket})
		want := map[int]bool{}
		for _, s := range seen {
			if s.bucket >= bucket-1 {
				want[s.thing] = true
			}
		}
		if got := y.Count(Services, TenSeconds); got != uint32(len(want)) {
			t.Fatalf("step %d: %d distinct, want %d", i, got, len(want))
		}
	}
}

func TestMoments(t *testing.T) {
	var m Moments
	for _, x := range []float64{2, 4, 4, 4, 5, 5, 7, 9} {
		m.add(x)
	}
	if m.N != 8 || math.Abs(m.Mean-5) > 1e-9 || math.Abs(m.Std()-2) > 1e-9 || math.Abs(m.CV()-0.4) > 1e-9 {
		t.Errorf("%+v std %v, want mean 5, std 2", m, m.Std())
	}
	for range 1000 {
		m.add(100)
	}
	if math.Abs(m.Mean-100) > 1e-6 || m.Std() > 1e-3 {
		t.Errorf("mean %v, std %v: the past is not forgotten", m.Mean, m.Std())
	}
	if (&Moments{}).CV() != 0 {
		t.Error("the variation of nothing is not 0")
	}
}

// TestHostCounts checks what a short scan leaves with its hosts and their pair.
func TestHostCounts(t *testing.T) {
	var packets []packet.Packet
	for i := range uint16(20) {
		at := int64(i) * 10 * ms
		packets = append(packets, tcp(at, 1, 2, 40000, 1000+i, packet.SYN, 5, 0, 0))
		if i%2 == 0 {
			packets = append(packets, tcp(at+1, 2, 1, 1000+i, 40000, packet.RST|packet.ACK, 0, 6, 0))
		} else {
			packets = append(packets, tcp(at+1, 2, 1, 1000+i, 40000, synack, 8, 6, 0))
		}
	}
	packets = append(packets, icmp(sec/2, 3, 1, 3, 1), icmp(sec/2+1, 1, 4, 8, 0), udp(sec/2+2, 1, 5, 7, 9, "data"))
	table := NewTable(Default())
	observe(table, packets)
	probe := tcp(sec/2+3, 1, 2, 40000, 1000, packet.ACK, 6, 1, 0)
	f, src, dst := table.Observe(&probe, new(Observation))
	tests := []struct {
		name  string
		tally *Tally
		c     Counter
		want  uint32
	}{
		{"source", &src.Tally, SYNOut, 20}, {"source", &src.Tally, SYNACKIn, 10},
		{"source", &src.Tally, Failed, 10}, {"source", &src.Tally, ICMPOut, 1},
		{"source", &src.Tally, FlowsOut, 22}, {"source", &src.Tally, FlowsIn, 1}, {"source", &src.Tally, Services, 22},
		{"source", &src.Tally, Peers, 3}, {"source", &src.Tally, Clients, 1}, {"source", &src.Tally, BytesOut, 4},
		{"source", &src.Tally, PacketsOut, 23}, {"source", &src.Tally, PacketsIn, 21},
		{"destination", &dst.Tally, FlowsIn, 20}, {"destination", &dst.Tally, Clients, 1},
		{"destination", &dst.Tally, PacketsOut, 20}, {"destination", &dst.Tally, Services, 0},
		{"pair", &f.Pair().Tally, Services, 20}, {"pair", &f.Pair().Tally, SYNOut, 20}, {"pair", &f.Pair().Tally, Failed, 10},
		{"pair", &f.Pair().Tally, PacketsOut, 21}, {"pair", &f.Pair().Tally, PacketsIn, 20},
	}
	for _, tt := range tests {
		if got := tt.tally.Count(tt.c, TenSeconds); got != tt.want {
			t.Errorf("%s: counter %d is %d, want %d", tt.name, tt.c, got, tt.want)
		}
	}
	if got := src.Count(UnreachIn, Minute); got != 1 {
		t.Errorf("the source met %d unreachable hosts, want 1", got)
	}
}

func TestBriefSessions(t *testing.T) {
	table := NewTable(Default())
	var f *Flow
	for i := range uint16(6) {
		at, port := int64(i)*sec, 40000+i
		session := []packet.Packet{
			tcp(at, 1, 2, port, 22, packet.SYN, 0, 0, 0), tcp(at+1, 2, 1, 22, port, synack, 0, 1, 0), tcp(at+2, 1, 2, port, 22, packet.ACK, 1, 1, 0),
			tcp(at+3, 1, 2, port, 22, packet.ACK, 1, 1, 700), tcp(at+4, 2, 1, 22, port, finack, 1, 701, 0), tcp(at+5, 1, 2, port, 22, finack, 701, 2, 0),
		}
		for j := range session {
			f, _, _ = table.Observe(&session[j], new(Observation))
		}
	}
	if got := f.Pair().Count(Brief, Minute); got != 6 {
		t.Errorf("%d brief sessions, want 6", got)
	}
}

func TestBursts(t *testing.T) {
	table := NewTable(Default())
	var f *Flow
	for i := range 10 {
		for j := range 3 {
			p := udp(int64(i)*60*sec+int64(j)*ms, 1, 2, 5000, 443, "beacon")
			f, _, _ = table.Observe(&p, new(Observation))
		}
	}
	g, z := f.Pair().Gaps, f.Pair().Sizes
	if g.N != 9 || g.Mean != 60 || g.CV() > 1e-9 || z.Mean != 18 || z.CV() > 1e-9 {
		t.Errorf("gaps %+v, sizes %+v, want 9 of 60 s and 18 bytes", g, z)
	}
}
