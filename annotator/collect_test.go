package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestCollectBySlack: the more is in use, the smaller the share by which it may
// grow, to about a tenth.
func TestCollectBySlack(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(gcPercent)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := debug.SetGCPercent(gcPercent)
		debug.SetGCPercent(p)
		return p
	}
	collectBySlack()
	for _, tt := range []struct{ held, least, most int }{
		{1 << 20, 200, 6400}, // less than floor
		{floor, 12, 18},
		{20 * slack, 8, 10},
	} {
		held := make([]byte, tt.held)
		for range 100 {
			runtime.GC()
			if p := percent(); p >= tt.least && p <= tt.most {
				break
			}
			time.Sleep(10 * time.Millisecond) // finalizers have a goroutine of their own
		}
		if p := percent(); p < tt.least || p > tt.most {
			t.Errorf("%d %% with %d bytes in use, want %d to %d", p, tt.held, tt.least, tt.most)
		}
		runtime.KeepAlive(held)
	}
}
