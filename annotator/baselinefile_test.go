package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/baseline"
)

// TestBaselineFile: what is learned while a program runs is in force from then on,
// and what is no baseline, or of other models, is not.
func TestBaselineFile(t *testing.T) {
	path, age := filepath.Join(t.TempDir(), "office.baseline"), 0
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		age++ // as clocks of file systems are slow
		at := time.Now().Add(time.Duration(age) * time.Minute)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	made := func(models string, captures int) []byte {
		t.Helper()
		b := baseline.New(baseline.Identity{Models: models, Anomaly: "00", Features: "1"})
		for range captures {
			if err := b.Merge(baseline.NewLearner(b.Identity()).Baseline()); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		if err := b.Write(&out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	write(made("1", 1))
	b, err := readBaseline(path)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	f := followedBaseline(path, b, &stderr)
	for _, tt := range []struct {
		name     string
		change   func()
		captures uint64
		said     string
	}{
		{"the same", func() {}, 1, ""},
		{"learned more", func() { write(made("1", 2)) }, 2, ""},
		{"broken", func() { write([]byte("ampulla base")) }, 2, "not a baseline"},
		{"other models", func() { write(made("2", 3)) }, 2, "was learned with models 2"},
		{"gone", func() { _ = os.Remove(path) }, 2, "no such file"},
		{"there again", func() { write(made("1", 4)) }, 4, ""},
	} {
		tt.change()
		for _, said := range []string{tt.said, ""} { // and then no more
			stderr.Reset()
			if got := f.Value().Totals().Captures; got != tt.captures {
				t.Errorf("%s: %d captures, want %d", tt.name, got, tt.captures)
			}
			if got := stderr.String(); (got == "") != (said == "") || !strings.Contains(got, said) {
				t.Errorf("%s: said %q, want %q", tt.name, got, said)
			}
		}
	}
}
