package source_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/pcapng"
	"ampulla/extcap/source"
)

const maxBlock = 262_144

func open(t *testing.T, path string, speed float64, maxBlock int) *source.Replay {
	t.Helper()
	r, err := source.OpenReplay(path, speed, maxBlock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// TestReplay checks that nothing changes on the way.
func TestReplay(t *testing.T) {
	for _, path := range capturetest.Own(t) {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(open(t, path, 0, maxBlock)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes instead of %d, %v", path, len(got), len(want), err)
		}
	}
}

// times returns when, after the start, each frame of a replay came, and when it
// was captured after the first one.
func times(t *testing.T, r io.Reader) (came, captured []time.Duration) {
	t.Helper()
	start := time.Now()
	var first int64
	// A block at a time, without reading ahead.
	for reader := pcapng.NewReader(r); ; {
		b, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return came, captured
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.IsFrame() {
			if first == 0 {
				first = b.Time
			}
			came = append(came, time.Since(start))
			captured = append(captured, time.Duration(b.Time-first))
		}
	}
}

// TestPace runs on a clock of its own, so that nothing depends on the machine.
func TestPace(t *testing.T) {
	path := capturetest.Own(t)[0]
	for _, speed := range []float64{1, 10, 0.5} {
		synctest.Test(t, func(t *testing.T) {
			came, captured := times(t, open(t, path, speed, maxBlock))
			if len(came) < 2 {
				t.Fatalf("%d frames", len(came))
			}
			latest := time.Duration(0)
			for i := range came {
				latest = max(latest, captured[i]) // frames may be out of order
				want := time.Duration(float64(latest) / speed)
				if off := came[i] - want; off < -time.Microsecond || off > time.Microsecond {
					t.Fatalf("speed %v: frame %d came after %v instead of %v", speed, i+1, came[i], want)
				}
			}
		})
	}
}

// TestStop ends a replay that would wait for long.
func TestStop(t *testing.T) {
	r := open(t, capturetest.Own(t)[0], 1e-6, maxBlock)
	go r.Stop()
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

func TestOmitted(t *testing.T) {
	path := capturetest.Own(t)[0]
	r := open(t, path, 0, 300)
	blocks := 0
	for reader := pcapng.NewReader(r); ; blocks++ {
		b, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Raw) > 300 && b.Type != pcapng.TypeSection {
			t.Errorf("a block of %d bytes", len(b.Raw))
		}
	}
	if r.Omitted() == 0 || blocks == 0 {
		t.Errorf("%d blocks, %d left out", blocks, r.Omitted())
	}
}

func TestReplayErrors(t *testing.T) {
	dir := t.TempDir()
	noise := filepath.Join(dir, "noise")
	cut := filepath.Join(dir, "cut.pcapng")
	whole, err := os.ReadFile(capturetest.Own(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{noise: "no capture", cut: string(whole[:len(whole)-10])} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := source.OpenReplay(filepath.Join(dir, "missing"), 1, maxBlock); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := source.OpenReplay(noise, 1, maxBlock); !errors.Is(err, pcapng.ErrFormat) || !strings.Contains(err.Error(), noise) {
		t.Errorf("noise: %v", err)
	}
	got, err := io.ReadAll(open(t, cut, 0, maxBlock))
	if !errors.Is(err, pcapng.ErrTruncated) || !bytes.HasPrefix(whole, got) || len(got) < len(whole)/2 {
		t.Errorf("cut: %d of %d bytes, %v", len(got), len(whole), err)
	}
}
