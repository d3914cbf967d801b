package engine_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
)

// TestHindsight: a second pass says what the first one did, but for packets that
// it finds to be part of an incident, which it says of itself; and all of that
// does not depend on how the capture is cut.
func TestHindsight(t *testing.T) {
	found := 0
	for _, path := range capturetest.Own(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			list := frames(t, path)
			cfg := engine.Default()
			first := run(t, cfg, scoretest.Hash{}, list, func(int) int { return 1000 })
			cfg.Hindsight = true
			want := again(t, cfg, list, 1000)
			for _, cut := range []int{1, 7, 300} {
				if got := again(t, cfg, list, cut); !slices.Equal(got, want) {
					t.Errorf("in pieces of %d: %s", cut, cmp.Diff(want, got))
				}
			}
			for i, v := range want {
				if v.Hindsight {
					if found++; v.Level != verdict.Anomalous || v.Incident == 0 || v.IncidentFirst > v.Frame || first[i].Level == verdict.Anomalous {
						t.Errorf("%+v", v)
					}
					continue
				}
				v.Incident, v.IncidentFirst = first[i].Incident, first[i].IncidentFirst
				if v != first[i] {
					t.Errorf("frame %d: %s", i+1, cmp.Diff(first[i], v))
				}
			}
		})
	}
	if found == 0 {
		t.Error("nothing was found in hindsight")
	}
}

// again returns the verdicts of a second pass over frames, in pieces.
func again(t *testing.T, cfg engine.Config, list []packet.Frame, piece int) (out []verdict.Verdict) {
	t.Helper()
	e, err := engine.New(cfg, scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	for pass := range 2 {
		out = out[:0]
		for part := range slices.Chunk(list, piece) {
			if out, err = e.Process(part, out); err != nil {
				t.Fatal(err)
			}
		}
		if pass == 1 {
			return out
		}
		if e, err = e.Again(); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}
