package engine

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score/ort"
	"ampulla/annotator/verdict"
	"ampulla/models"
)

// BenchmarkStages shows what a packet costs in each stage, with the shipped
// models, in nanoseconds of one processor: other work on the machine does not
// count. AMPULLA_BENCH_CAPTURE names another capture.
func BenchmarkStages(b *testing.B) {
	scorer, err := ort.Open(ort.Config{}, models.FS)
	if _, missing := errors.AsType[*ort.LibraryError](err); missing {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer scorer.Close()
	capture, err := os.ReadFile(cmp.Or(os.Getenv("AMPULLA_BENCH_CAPTURE"), "../../testdata/captures/demo.pcapng"))
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var spent stageTimes
	packets := uint64(0)
	for b.Loop() {
		e, err := New(Default(), scorer)
		if err != nil {
			b.Fatal(err)
		}
		if err := spent.run(e, capture); err != nil {
			b.Fatal(err)
		}
		packets += e.frames
	}
	total := int64(0)
	for i, name := range stageNames {
		total += spent.of[i]
		b.ReportMetric(float64(spent.of[i])/float64(packets), name+"-ns/packet")
	}
	b.ReportMetric(float64(total)/float64(packets), "ns/packet")
}

var stageNames = [...]string{"0-read", "1-decode", "2-observe", "3-score", "4-judge"}

// stageTimes are the processor times of the stages, in nanoseconds.
type stageTimes struct {
	of   [len(stageNames)]int64
	last int64
}

// run puts a capture through the stages.
func (t *stageTimes) run(e *Engine, capture []byte) error {
	var c chunk
	var w worker
	var out []verdict.Verdict
	r := pcapng.NewReader(bytes.NewReader(capture))
	blocks := make([]pcapng.Block, chunkLen)
	var frames []packet.Frame
	var err error
	for err == nil {
		frames = frames[:0]
		t.lap(-1)
		for i := range blocks {
			if err = r.Read(&blocks[i]); err != nil {
				break
			}
			if blocks[i].IsFrame() {
				frames = append(frames, blocks[i].Frame())
			}
		}
		t.lap(0)
		c.decode(&e.decoder, frames)
		t.lap(1)
		e.observe(&c)
		t.lap(2)
		e.score(&c, &w)
		t.lap(3)
		out = e.judge(&c, out[:0])
		t.lap(4)
		err = cmp.Or(c.err, err)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// lap adds the processor time since the last call to a stage, if there is one.
func (t *stageTimes) lap(stage int) {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
	if stage >= 0 {
		t.of[stage] += now.Nano() - t.last
	}
	t.last = now.Nano()
}
