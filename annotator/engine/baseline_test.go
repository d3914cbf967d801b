package engine_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/baseline"
	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
)

// identity is that of the models of these tests.
var identity = engine.Identity(scoretest.Hash{}.Manifest())

// learn returns the baseline of frames.
func learn(t *testing.T, list []packet.Frame, judge func(cfg engine.Config) []verdict.Verdict) *baseline.Baseline {
	t.Helper()
	cfg := engine.Default()
	cfg.Learner = baseline.NewLearner(identity)
	if got, want := judge(cfg), judge(engine.Default()); !slices.Equal(got, want) {
		t.Errorf("learning changes verdicts: %s", cmp.Diff(want, got))
	}
	return cfg.Learner.Baseline()
}

// TestBaseline: the one rule also holds for what is learned, and for what is
// measured against it.
func TestBaseline(t *testing.T) {
	for _, path := range capturetest.Own(t) {
		list := frames(t, path)
		if len(list) > 5000 {
			continue // enough of them are smaller
		}
		whole := func(cfg engine.Config) []verdict.Verdict {
			return run(t, cfg, scoretest.Hash{}, list, func(int) int { return len(list) })
		}
		cut := func(cfg engine.Config) []verdict.Verdict {
			cfg.Workers = 3
			return streamed(t, cfg, list, func(i int) int { return i * 104729 % 1500 })
		}
		b := learn(t, list, whole)
		var once, again bytes.Buffer
		if err := b.Write(&once); err != nil {
			t.Fatal(err)
		}
		if err := learn(t, list, cut).Write(&again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once.Bytes(), again.Bytes()) {
			t.Errorf("%s: what is learned depends on how frames are cut", path)
		}
		cfg := engine.Default()
		cfg.Baseline = b
		if want, got := whole(cfg), cut(cfg); !slices.Equal(got, want) {
			t.Errorf("%s: %s", path, cmp.Diff(want, got))
		}
	}
}

// TestBaselineOfOthers: one of other models is refused.
func TestBaselineOfOthers(t *testing.T) {
	cfg := engine.Default()
	cfg.Baseline = baseline.New(baseline.Identity{Models: "older", Anomaly: "00", Features: "1"})
	if _, err := engine.New(cfg, scoretest.Hash{}); err == nil || !strings.Contains(err.Error(), "learned with models older") {
		t.Errorf("error %v", err)
	}
}
