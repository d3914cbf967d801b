package feedback_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/annotator/feedback"
	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
)

// TestFile: a program that stays goes by what the file says by now, and by what
// it said last where it cannot be read.
func TestFile(t *testing.T) {
	var said []string
	path := filepath.Join(t.TempDir(), "feedback.yaml")
	f := feedback.NewFile(path, func(err error) { said = append(said, err.Error()) })
	check := func(when string, want int) {
		t.Helper()
		if got := f.Rules().Len(); got != want {
			t.Errorf("%s: %d rules, want %d", when, got, want)
		}
	}
	add := func(kind verdict.Type, id uint32) {
		t.Helper()
		r, err := f.Add(rule.Rule{Says: rule.Bad, Scope: rule.Scope{Type: kind}})
		if err != nil || r.ID != id {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	check("before there is a file", 0)
	add(verdict.Beacon, 1)
	check("with a rule", 1)
	add(verdict.Flood, 2)
	check("with another", 2)
	check("as it was", 2)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("rules:\n- what\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("while it is broken", 2)
	check("still", 2)
	if len(said) != 1 || !strings.HasSuffix(said[0], "feedback.yaml:2: this is no mapping of keys to values") {
		t.Errorf("said %q", said)
	}
	if _, err := f.Add(rule.Rule{Says: rule.Bad, Scope: rule.Scope{Type: verdict.Outlier}}); err == nil {
		t.Error("added to a broken file")
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := f.Undo(1); err != nil || r.Type != verdict.Beacon {
		t.Errorf("%+v, %v", r, err)
	}
	check("mended, and one undone", 1)
	if log, err := f.Load(); err != nil || len(log.Rules) != 1 || log.Next != 3 {
		t.Errorf("%+v, %v", log, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("gone", 0)
}

// TestNowhere: without a folder for the file there are no rules.
func TestNowhere(t *testing.T) {
	f := feedback.NewFile("", func(err error) { t.Error(err) })
	if log, err := f.Load(); f.Rules().Len() != 0 || err != nil || len(log.Rules) != 0 {
		t.Errorf("%+v, %v", log, err)
	}
	if _, err := f.Add(rule.Rule{Says: rule.Bad, Scope: rule.Scope{Type: verdict.Flood}}); err == nil {
		t.Error("added")
	}
}
