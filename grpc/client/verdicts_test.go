package client

import (
	"strings"
	"testing"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestForgotten checks that the older half goes when maxRows are reached.
func TestForgotten(t *testing.T) {
	l := verdicts{rows: make([]row, maxRows)}
	if err := l.add(&annotatorv1.Verdict{Frame: maxRows + 1, Class: "dns"}); err != nil {
		t.Fatal(err)
	}
	for n, kept := range map[uint64]bool{1: false, maxRows / 2: false, maxRows/2 + 1: true, maxRows + 1: true} {
		if _, ok := l.get(n, ""); ok != kept {
			t.Errorf("frame %d is kept: %v, want %v", n, ok, kept)
		}
	}
	if v, _ := l.get(maxRows+1, "m"); v.Frame != maxRows+1 || v.Class != "dns" || v.Model != "m" {
		t.Errorf("verdict %+v", v)
	}
}

// TestTextsAreBounded checks that texts beyond maxBytes are left out, and that
// those which repeat stay.
func TestTextsAreBounded(t *testing.T) {
	var l verdicts
	add := func(class, reason string) {
		t.Helper()
		if err := l.add(&annotatorv1.Verdict{Frame: l.count() + 1, Class: class, Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	add("dns", "first")
	l.bytes = maxBytes - 1000
	add("dns", strings.Repeat("x", 1000))
	add("dns", "short")
	for n, want := range map[uint64]string{1: "first", 2: "", 3: "short"} {
		if v, _ := l.get(n, ""); v.Class != "dns" || v.Reason != want {
			t.Errorf("frame %d: %+v, want reason %q", n, v, want)
		}
	}
	if l.bytes > maxBytes {
		t.Errorf("%d bytes, more than %d", l.bytes, maxBytes)
	}
}
