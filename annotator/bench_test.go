package main

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"runtime"
	"testing"

	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
)

// BenchmarkAnnotate measures the main job in one process: read, judge with the
// shipped models, write. AMPULLA_BENCH_CAPTURE names another capture.
func BenchmarkAnnotate(b *testing.B) {
	scorer := testScorer(b)
	in, err := os.ReadFile(cmp.Or(os.Getenv("AMPULLA_BENCH_CAPTURE"), "../testdata/captures/demo.pcapng"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(in)))
	frames := uint64(0)
	for b.Loop() {
		setup := engine.Default()
		setup.Workers = runtime.GOMAXPROCS(0)
		e, err := engine.New(setup, scorer)
		if err != nil {
			b.Fatal(err)
		}
		cfg := rewrite.Config{Engine: e, Comments: rewrite.CommentFlagged, Threshold: verdict.AnomalousScore}
		counts, err := rewrite.Annotate(context.Background(), bytes.NewReader(in), io.Discard, cfg)
		if err != nil {
			b.Fatal(err)
		}
		frames += counts.Frames
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/packet")
}
