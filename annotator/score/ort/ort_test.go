//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"ampulla/annotator/feature"
	"ampulla/annotator/score"
	"ampulla/models"
)

var _ score.Scorer = (*Scorer)(nil)

// open returns a Scorer with the shipped models.
func open(t testing.TB) *Scorer {
	t.Helper()
	s, err := Open(Config{}, models.FS)
	if _, missing := errors.AsType[*LibraryError](err); missing {
		t.Skipf("ONNX Runtime is not installed (run make deps): %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// randomRows returns rows that reach many parts of a model: values of all
// magnitudes, zeros, and repeated values.
func randomRows(rng *rand.Rand, n, width int) []float32 {
	rows := make([]float32, n*width)
	for i := range rows {
		switch rng.IntN(4) {
		case 0:
			rows[i] = float32(rng.IntN(256))
		case 1:
			rows[i] = rng.Float32()
		case 2:
			rows[i] = float32(rng.ExpFloat64() * 1000)
		}
	}
	return rows
}

// TestRowAlone puts the same rows through the models one by one, in batches of
// many sizes, all at once and shuffled, and wants the same bits.
func TestRowAlone(t *testing.T) {
	s := open(t)
	for _, m := range []*model{s.classifier, s.anomaly} {
		t.Run(m.name, func(t *testing.T) { rowAlone(t, m) })
	}
}

func rowAlone(t *testing.T, m *model) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 600
	rows := randomRows(rng, n, m.in)
	got, want := make([]float32, n*m.out), make([]float32, n*m.out)
	run := func(rows []float32, n int, out []float32) {
		t.Helper()
		err := m.run(rows, n, func(i int, values []float32) { copy(out[i*m.out:], values) })
		if err != nil {
			t.Fatal(err)
		}
	}
	distinct := map[string]bool{}
	for i := range n {
		run(rows[i*m.in:], 1, want[i*m.out:])
		distinct[fmt.Sprint(want[i*m.out:(i+1)*m.out])] = true
	}
	if len(distinct) < n/4 {
		t.Errorf("only %d different results of %d rows: the test says little", len(distinct), n)
	}
	for size := 2; size <= n; size++ {
		if size > 40 && size < n-2 && size%64 > 1 {
			continue
		}
		for from := 0; from < n; from += size {
			run(rows[from*m.in:], min(size, n-from), got[from*m.out:])
		}
		if !slices.Equal(got, want) {
			t.Fatalf("batches of %d give other results than single rows", size)
		}
	}
	shuffled := make([]float32, 0, len(rows))
	order := rng.Perm(n)
	for _, i := range order {
		shuffled = append(shuffled, rows[i*m.in:(i+1)*m.in]...)
	}
	run(shuffled, n, got)
	for at, i := range order {
		if !slices.Equal(got[at*m.out:(at+1)*m.out], want[i*m.out:(i+1)*m.out]) {
			t.Fatalf("row %d gives another result when shuffled", i)
		}
	}
}

func TestConcurrent(t *testing.T) {
	s := open(t)
	const n = 100
	rows := randomRows(rand.New(rand.NewPCG(3, 4)), n, feature.AnomalyWidth)
	want := make([]float32, n)
	if err := s.Anomaly(rows, want); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			got := make([]float32, n)
			for from := range 50 {
				from += worker
				if err := s.Anomaly(rows[from*feature.AnomalyWidth:], got[from:]); err != nil {
					t.Error(err)
				}
				if !slices.Equal(got[from:], want[from:]) {
					t.Error("concurrent calls give other results")
				}
			}
		})
	}
	group.Wait()
}

func TestWrongLength(t *testing.T) {
	s := open(t)
	if err := s.Classify(make([]float32, feature.ClassWidth+1), make([]score.Class, 1)); err == nil {
		t.Error("classifier took a row that is too long")
	}
	if err := s.Anomaly(make([]float32, feature.AnomalyWidth-1), make([]float32, 1)); err == nil {
		t.Error("anomaly model took a row that is too short")
	}
	if err := s.Anomaly(nil, nil); err != nil {
		t.Errorf("no rows: %v", err)
	}
}

// TestAllocations wants the steady state to make no garbage.
func TestAllocations(t *testing.T) {
	s := open(t)
	rows := make([]float32, 32*feature.AnomalyWidth)
	out := make([]float32, 32)
	got := testing.AllocsPerRun(100, func() {
		if err := s.Anomaly(rows, out); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%v allocations a call", got)
	}
}

func TestBrokenModel(t *testing.T) {
	open(t) // skips without the library
	folder := fstest.MapFS{}
	if _, err := Open(Config{}, folder); err == nil || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("empty folder: error %v", err)
	}
	if _, err := openModel(fstest.MapFS{"x.onnx": {Data: []byte("x")}}, score.Model{
		File: "x.onnx", SHA256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
	}, 1); err == nil || !strings.HasPrefix(err.Error(), "x.onnx: ") {
		t.Errorf("file that is no model: error %v", err)
	}
}

func TestOtherWidths(t *testing.T) {
	good := open(t).Manifest().Anomaly.Model
	narrow, wide := good, good
	narrow.Features = good.Features[1:]
	wide.Features = append(slices.Clone(good.Features), "one more")
	for _, tt := range []struct {
		name  string
		model score.Model
		out   int
	}{
		{"narrow rows", narrow, 1}, {"wide rows", wide, 1}, {"more results", good, 2},
	} {
		if m, err := openModel(models.FS, tt.model, tt.out); err == nil {
			m.close()
			t.Errorf("%s: no error", tt.name)
		} else {
			t.Log(err)
		}
	}
}

func BenchmarkClassify(b *testing.B) {
	s := open(b)
	benchmark(b, feature.ClassWidth, s.Classify)
}

func BenchmarkAnomaly(b *testing.B) {
	s := open(b)
	benchmark(b, feature.AnomalyWidth, s.Anomaly)
}

// benchmark cycles through many rows, lest the processor learns the paths of a
// few through the trees.
func benchmark[T any](b *testing.B, width int, run func([]float32, []T) error) {
	const all = 8192
	rows := randomRows(rand.New(rand.NewPCG(5, 6)), all, width)
	for _, size := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			out := make([]T, size)
			at := 0
			b.ReportAllocs()
			for b.Loop() {
				if err := run(rows[at*width:(at+size)*width], out); err != nil {
					b.Fatal(err)
				}
				at = (at + size) % all
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/row")
		})
	}
}

// BenchmarkOpen measures the models only: the library stays loaded.
func BenchmarkOpen(b *testing.B) {
	open(b)
	for b.Loop() {
		s, err := Open(Config{}, models.FS)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
