package engine

import (
	"testing"

	"ampulla/annotator/feature"
	"ampulla/annotator/flow"
	"ampulla/annotator/score"
)

// TestMemo wants a memo to know what it was told last, and to forget some, but
// never to mistake one opening for another.
func TestMemo(t *testing.T) {
	opening := func(n int32) *feature.Opening {
		o := feature.OpeningOf(&flow.Flow{Proto: 6, Lengths: [flow.FirstPayloads]int32{n}})
		return &o
	}
	classOf := func(n int32) score.Class {
		return score.Class{Name: []string{"dns", "http", "tls"}[n%3], Confidence: float32(n)}
	}
	var m memo
	if _, known := m.get(opening(0)); known {
		t.Error("an empty memo knows something")
	}
	const n = memoLen / 4
	for i := range int32(n) {
		m.add(opening(i), classOf(i))
		if got, known := m.get(opening(i)); !known || got != classOf(i) {
			t.Fatalf("opening %d: %v, known %v, want %v", i, got, known, classOf(i))
		}
	}
	forgotten := 0
	for i := range int32(2 * n) {
		got, known := m.get(opening(i))
		switch {
		case known && (i >= n || got != classOf(i)):
			t.Fatalf("opening %d: %v", i, got)
		case !known && i < n:
			forgotten++
		}
	}
	if forgotten == 0 || forgotten > n/6 { // an eighth is to be expected
		t.Errorf("%d of %d forgotten", forgotten, n)
	}
}

func BenchmarkMemo(b *testing.B) {
	var m memo
	var o feature.Opening
	m.add(&o, score.Class{Name: "dns"})
	for b.Loop() {
		if _, known := m.get(&o); !known {
			b.Fatal("forgotten")
		}
	}
}
