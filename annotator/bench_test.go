package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

// benchCapture is AMPULLA_BENCH_CAPTURE, or one of our own.
func benchCapture() string {
	return cmp.Or(os.Getenv("AMPULLA_BENCH_CAPTURE"), "../testdata/captures/demo.pcapng")
}

// BenchmarkAnnotate measures the main job in one process: read, judge with the
// shipped models, write. AMPULLA_BENCH_CAPTURE names another capture.
func BenchmarkAnnotate(b *testing.B) {
	scorer := testScorer(b)
	in, err := os.ReadFile(benchCapture())
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

// BenchmarkDaemon measures "ampulla serve" with the shipped models, asked by as
// many sessions at the same time, each with a capture of its own: packets a
// second of all together, both ends on this machine, and the daemon's peak of
// memory.
func BenchmarkDaemon(b *testing.B) {
	frames := framesOf(b, benchCapture())
	for _, sessions := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("sessions=%d", sessions), func(b *testing.B) {
			// The annotator may still be closing those of the round before.
			command, path := startServe(b, "--max-sessions", strconv.Itoa(2*sessions))
			conn := dial(b, client.Config{Address: "unix:" + path, Program: client.NoStart})
			for b.Loop() {
				var group sync.WaitGroup
				for range sessions {
					group.Go(func() {
						if err := judgeAll(b, conn, frames); err != nil {
							b.Error(err)
						}
					})
				}
				group.Wait()
			}
			b.ReportMetric(float64(sessions*len(frames)*b.N)/b.Elapsed().Seconds(), "packets/s")
			b.ReportMetric(peakMB(b, command.Process.Pid), "MB-peak")
		})
	}
}

// judgeAll gets a verdict on each frame.
func judgeAll(b *testing.B, conn *client.Conn, frames []packet.Frame) error {
	const patient = time.Minute
	s, err := client.Open(b.Context(), conn, client.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range frames {
		for {
			if err := s.Queue(frames[i]); err == nil {
				break
			} else if !errors.Is(err, client.ErrFull) {
				return err
			}
			if err := s.AwaitRoom(patient); err != nil {
				return err
			}
		}
	}
	return s.Await(uint64(len(frames)), patient)
}

// peakMB is the most memory that a process had, in MB.
func peakMB(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip(err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if m == nil {
		b.Fatal("no VmHWM")
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return float64(kb) / 1024
}
