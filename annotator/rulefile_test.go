package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/annotator/feedback"
	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
)

// TestRuleFile: a program that stays goes by what the file says by now, and by
// what it said last where it cannot be read.
func TestRuleFile(t *testing.T) {
	var said bytes.Buffer
	f := &ruleFile{path: filepath.Join(t.TempDir(), "feedback.yaml"), stderr: &said}
	check := func(when string, want int) {
		t.Helper()
		if got := f.rules().Len(); got != want {
			t.Errorf("%s: %d rules, want %d", when, got, want)
		}
	}
	add := func(kind verdict.Type) {
		t.Helper()
		err := feedback.Update(f.path, func(log *feedback.Log) error {
			_, err := log.Add(rule.Rule{Says: rule.Bad, Scope: rule.Scope{Type: kind}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check("before there is a file", 0)
	add(verdict.Beacon)
	check("with a rule", 1)
	add(verdict.Flood)
	check("with another", 2)
	check("as it was", 2)
	good, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path, []byte("rules:\n- what\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("while it is broken", 2)
	check("still", 2)
	if n := strings.Count(said.String(), "feedback.yaml:2: this is no mapping of keys to values; the rules from before are in force\n"); n != 1 {
		t.Errorf("said %d times: %s", n, &said)
	}
	if err := os.WriteFile(f.path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	check("mended", 2)
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	check("gone", 0)
}
