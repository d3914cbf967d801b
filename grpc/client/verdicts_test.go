package client

import (
	"bytes"
	"strings"
	"testing"

	"ampulla/grpc/wire"
)

// TestForgotten checks that the older half goes when there are twice as many
// verdicts as are to be kept, and its texts with it.
func TestForgotten(t *testing.T) {
	const keep = 10
	l := verdicts{keep: keep}
	for n := range uint64(2*keep + 1) {
		if err := l.add(&wire.Verdict{Frame: n + 1, Class: []byte("dns"), Reason: bytes.Repeat([]byte("x"), int(n))}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(2*keep + 1) {
		v, ok := l.get(n+1, "m")
		if ok != (n >= keep) {
			t.Errorf("frame %d is kept: %v", n+1, ok)
		}
		if ok && (v.Frame != n+1 || v.Class != "dns" || len(v.Reason) != int(n) || v.Model != "m") {
			t.Errorf("verdict %+v", v)
		}
	}
	if len(l.texts) != keep+3 { // those of the rows, dns and none
		t.Errorf("%d texts", len(l.texts))
	}
}

// TestTextsAreBounded checks that texts beyond maxBytes are left out, and that
// those which repeat stay.
func TestTextsAreBounded(t *testing.T) {
	l := verdicts{keep: 100}
	add := func(class, reason string) {
		t.Helper()
		if err := l.add(&wire.Verdict{Frame: l.count() + 1, Class: []byte(class), Reason: []byte(reason)}); err != nil {
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
