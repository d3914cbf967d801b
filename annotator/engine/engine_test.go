package engine_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/feature"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
)

// frames reads a capture.
func frames(t testing.TB, path string) []packet.Frame {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return readFrames(t, pcapng.NewReader(file))
}

func readFrames(t testing.TB, r *pcapng.Reader) []packet.Frame {
	t.Helper()
	var list []packet.Frame
	for {
		block, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if block.IsFrame() {
			f := block.Frame()
			f.Data = slices.Clone(f.Data)
			list = append(list, f)
		}
	}
}

// run judges frames in calls of the sizes that size gives, one after another.
func run(t testing.TB, cfg engine.Config, scorer score.Scorer, list []packet.Frame, size func(int) int) []verdict.Verdict {
	t.Helper()
	e, err := engine.New(cfg, scorer)
	if err != nil {
		t.Fatal(err)
	}
	var out []verdict.Verdict
	for i := 0; len(list) > 0; i++ {
		n := min(size(i), len(list))
		if out, err = e.Process(list[:n], out); err != nil {
			t.Fatal(err)
		}
		list = list[n:]
	}
	return out
}

// streamed judges frames in batches of the sizes that size gives, all stages at
// the same time.
func streamed(t testing.TB, cfg engine.Config, list []packet.Frame, size func(int) int) []verdict.Verdict {
	t.Helper()
	e, err := engine.New(cfg, scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	next := func(<-chan struct{}) ([]packet.Frame, error) {
		if len(list) == 0 {
			return nil, io.EOF
		}
		n := min(size(batches), len(list))
		batches++
		batch := list[:n]
		list = list[n:]
		return batch, nil
	}
	var out []verdict.Verdict
	emit := func(verdicts []verdict.Verdict) error {
		out = append(out, verdicts...)
		return nil
	}
	if err := e.Stream(next, emit); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOneRule checks that verdicts depend on the ordered frames alone: not on
// how they are cut into calls, on whether stages work at the same time and with
// how many workers, on the size of batches, nor on what a capture kept of a frame beyond packet.SnapLen.
func TestOneRule(t *testing.T) {
	for _, path := range capturetest.Own(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			list := frames(t, path)
			want := run(t, engine.Default(), scoretest.Hash{}, list, func(int) int { return len(list) })
			if len(want) != len(list) {
				t.Fatalf("%d verdicts for %d frames", len(want), len(list))
			}
			same := func(name string, got []verdict.Verdict) {
				t.Helper()
				if !slices.Equal(got, want) {
					t.Errorf("%s: %s", name, cmp.Diff(want, got))
				}
			}
			one := engine.Default()
			same("frame by frame", run(t, one, scoretest.Hash{}, list, func(int) int { return 1 }))
			same("odd calls", run(t, one, scoretest.Hash{}, list, func(i int) int { return 1 + i*7919%1777 }))
			for _, workers := range []int{1, 2, 3, 8} {
				cfg := engine.Default()
				cfg.Workers = workers
				cfg.Batch = 1 + 13*workers
				same("streamed", streamed(t, cfg, list, func(i int) int { return i * 104729 % 1500 }))
			}
			short := slices.Clone(list)
			for i := range short {
				short[i].Data = short[i].Data[:min(len(short[i].Data), packet.SnapLen)]
			}
			same("cut to SnapLen", run(t, one, scoretest.Hash{}, short, func(int) int { return 500 }))
		})
	}
}

// TestVerdicts checks what holds for every verdict.
func TestVerdicts(t *testing.T) {
	for _, path := range capturetest.Own(t) {
		list := frames(t, path)
		for i, v := range run(t, engine.Default(), scoretest.Hash{}, list, func(int) int { return 1000 }) {
			if v.Frame != uint64(i+1) || v.Time != list[i].Time || v.Model != "hash" {
				t.Fatalf("%s: frame %d: %+v", path, i+1, v)
			}
			if v.Score < 0 || v.Score > 1 || v.Score != math.Round(v.Score*1000)/1000 || v.Class == "" {
				t.Fatalf("%s: frame %d: %+v", path, i+1, v)
			}
			quiet := v.Level == verdict.Normal || v.Level == verdict.Learning
			if quiet != (v.Type == "") || quiet != (v.Reason == "") || quiet != (v.Score < verdict.SuspiciousScore) {
				t.Fatalf("%s: frame %d: level, type, reason and score disagree: %+v", path, i+1, v)
			}
			if strings.HasPrefix(v.Reason, v.Type.Words()+":") {
				t.Fatalf("%s: frame %d: the reason repeats the type: %q", path, i+1, v.Reason)
			}
		}
	}
}

// ordinary is a scorer whose benign packets have every value imaginable.
type ordinary struct{ scoretest.Hash }

func (o ordinary) Manifest() *score.Manifest {
	m := o.Hash.Manifest()
	for i := range m.Anomaly.Normal {
		m.Anomaly.Normal[i] = feature.Quantiles{P99: math.Inf(1), P999: math.Inf(1)}
	}
	return m
}

// TestNoValueStandsOut checks that an outlier has a reason even when no value
// of its own is one.
func TestNoValueStandsOut(t *testing.T) {
	seen := false
	list := frames(t, capturetest.Own(t)[0])
	cfg := engine.Default()
	cfg.Detect.OddPort.Confidence = 1 // the classes are made up
	for _, v := range run(t, cfg, ordinary{}, list, func(int) int { return len(list) }) {
		if v.Type == verdict.Outlier {
			seen = true
			if !strings.Contains(v.Reason, "combination") {
				t.Errorf("frame %d: %q", v.Frame, v.Reason)
			}
		}
	}
	if !seen {
		t.Error("no outlier")
	}
}

// TestThinEvidence checks that a host of which little is known is not called
// normal, and that the model's opinion of it does not count yet.
func TestThinEvidence(t *testing.T) {
	list := frames(t, capturetest.Own(t)[0])[:3]
	for _, v := range run(t, engine.Default(), scoretest.Hash{}, list, func(int) int { return 3 }) {
		if v.Flow != 0 && v.Level != verdict.Learning {
			t.Errorf("frame %d: %s", v.Frame, v.Level)
		}
		if v.Score == 0 {
			t.Errorf("frame %d: a confident 0", v.Frame)
		}
	}
}

// TestScorerError checks that an error names the frame and keeps the verdicts
// before it.
func TestScorerError(t *testing.T) {
	list := frames(t, capturetest.Own(t)[0])
	e, err := engine.New(engine.Default(), scoretest.Hash{Err: errors.New("no such node")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Process(list, nil); err == nil || err.Error() != "engine: frame 1: no such node" {
		t.Fatalf("error %v", err)
	}
}

// TestStreamErrors checks which error ends a Stream, that every batch before it
// is emitted, and that no goroutine is left running.
func TestStreamErrors(t *testing.T) {
	list := frames(t, capturetest.Own(t)[0])
	broken := errors.New("broken")
	for _, tt := range []struct {
		name          string
		scorer        scoretest.Hash
		reads, writes int // until an error; -1 for none
		want          string
		emitted       int // batches at least
	}{
		{"end of input", scoretest.Hash{}, -1, -1, "", 20},
		{"next", scoretest.Hash{}, 17, -1, "broken", 17},
		{"emit", scoretest.Hash{}, -1, 3, "broken", 3},
		{"models", scoretest.Hash{Err: errors.New("no such node")}, -1, -1, "engine: frame 1: no such node", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := engine.Default()
			cfg.Workers = 3
			e, err := engine.New(cfg, tt.scorer)
			if err != nil {
				t.Fatal(err)
			}
			before := runtime.NumGoroutine()
			read, emitted := 0, 0
			err = e.Stream(func(<-chan struct{}) ([]packet.Frame, error) {
				if read == tt.reads {
					return nil, broken
				}
				if read == 20 {
					return nil, io.EOF
				}
				read++
				return list[:5], nil
			}, func(verdicts []verdict.Verdict) error {
				if emitted == tt.writes {
					return broken
				}
				if len(verdicts) != 5 || verdicts[0].Frame != uint64(emitted*5+1) {
					t.Errorf("batch %d: %d verdicts from frame %d", emitted, len(verdicts), verdicts[0].Frame)
				}
				emitted++
				return nil
			})
			if got := fmt.Sprint(err); err != nil && got != tt.want || err == nil && tt.want != "" {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if emitted < tt.emitted {
				t.Errorf("%d batches were emitted, want %d", emitted, tt.emitted)
			}
			// One that has told that it is done may not be gone yet.
			after := runtime.NumGoroutine()
			for tries := 0; after > before && tries < 1000; tries++ {
				time.Sleep(time.Millisecond)
				after = runtime.NumGoroutine()
			}
			if after > before {
				t.Errorf("%d goroutines, %d before", after, before)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*engine.Config){
		"workers": func(c *engine.Config) { c.Workers = 0 },
		"batch":   func(c *engine.Config) { c.Batch = 0 },
	} {
		cfg := engine.Default()
		change(&cfg)
		if _, err := engine.New(cfg, scoretest.Hash{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// BenchmarkProcess measures everything but the models.
func BenchmarkProcess(b *testing.B) {
	list := frames(b, filepath.Join(filepath.Dir(capturetest.Own(b)[0]), "demo.pcapng"))
	var out []verdict.Verdict
	b.ReportAllocs()
	for b.Loop() {
		e, err := engine.New(engine.Default(), scoretest.Hash{})
		if err != nil {
			b.Fatal(err)
		}
		if out, err = e.Process(list, out[:0]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/packet")
}

// silent is a scorer that says nothing and takes no memory.
type silent struct{ scoretest.Hash }

func (silent) Classify(_ []float32, out []score.Class) error { clear(out); return nil }
func (silent) Anomaly(_ []float32, out []float32) error      { clear(out); return nil }

// TestNothingAllocated checks that a packet of a conversation that is known
// takes no memory on its way through all stages.
func TestNothingAllocated(t *testing.T) {
	var list []packet.Frame
	for _, f := range frames(t, filepath.Join(filepath.Dir(capturetest.Own(t)[0]), "benign_ssh.pcapng")) {
		if len(list) < 64 && f.Length > 100 {
			list = append(list, f)
		}
	}
	e, err := engine.New(engine.Default(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	var out []verdict.Verdict
	pass := func() {
		for i := range list {
			list[i].Time += int64(time.Second)
		}
		if out, err = e.Process(list, out[:0]); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		pass()
	}
	if n := testing.AllocsPerRun(100, pass); n != 0 {
		t.Errorf("%v allocations for %d packets, want none", n, len(list))
	}
}
