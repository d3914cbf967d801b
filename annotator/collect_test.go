package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// TestCollectBySlack: the more is in use, the smaller the share by which it may
// grow.
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
	held := make([]byte, 20*slack)
	want := 10 // the least
	for range 100 {
		runtime.GC()
		if percent() == want {
			break
		}
		time.Sleep(10 * time.Millisecond) // finalizers have a goroutine of their own
	}
	if got := percent(); got != want {
		t.Errorf("%d %% with %d times as much in use as slack, want %d", got, len(held)/slack, want)
	}
	runtime.KeepAlive(held)
}
