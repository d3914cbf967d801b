//go:build cgo

package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"ampulla/grpc/grpctest"
)

// TestClose closes captures in all states, and checks that nothing stays behind:
// no goroutine, no open file and no memory.
func TestClose(t *testing.T) {
	file := own(t, "demo.pcapng")
	server := start(t, socketPath(t)).path
	slow := grpctest.Slow(time.Hour)(t)
	for _, tt := range []struct {
		name   string
		path   string
		change func(*config)
		frames int // to look at
		anew   int // after so many the capture begins anew
	}{
		{name: "nothing was shown", path: server},
		{name: "all was judged", path: server, frames: len(framesOf(t, file))},
		{name: "the file is being read", path: server, frames: 1},
		{name: "without a file", path: server, frames: 100, change: func(c *config) { c.ahead = 0 }},
		{name: "begun anew", path: server, frames: 100, anew: 50},
		{name: "the annotator says nothing", path: slow, frames: 100, change: func(c *config) { c.patience = time.Millisecond }},
		{name: "nobody there", path: socketPath(t), frames: 100, change: func(c *config) { c.retry = 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shown := open(t, file)
			before := descriptors(t, shown.Name())
			mapped := map[uintptr]bool{}
			func() { // what it refers to is garbage afterwards
				cfg := asking(tt.path)
				if tt.change != nil {
					tt.change(&cfg)
				}
				w := &wireshark{T: t}
				var err error
				if w.capture, err = newCapture(cfg); err != nil {
					t.Fatal(err)
				}
				for i, f := range framesOf(t, file)[:tt.frames] {
					mapped[uintptr(unsafe.Pointer(w.cells))] = true
					if i > 0 && i == tt.anew {
						w.restart(math.MaxUint64)
					}
					w.show(f, uint64(i+1), false, true)
				}
				mapped[uintptr(unsafe.Pointer(w.cells))] = true
				w.close()
			}()
			until(t, "goroutines", func() string { return goroutines("lua/native.newFeed") })
			if after := descriptors(t, shown.Name()); after != before {
				t.Errorf("the capture file is open %d times, %d before", after, before)
			}
			until(t, "memory", func() string {
				runtime.GC()
				for address := range mapped {
					if isMapped(t, address) {
						return fmt.Sprintf("%x is mapped", address)
					}
				}
				return ""
			})
		})
	}
}

// until waits until nothing is left.
func until(t *testing.T, what string, left func() string) {
	t.Helper()
	for range 3000 {
		if left() == "" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s: %s", what, left())
}

// goroutines returns the stacks that have a function in them.
func goroutines(function string) string {
	var list []string
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, function) {
			list = append(list, stack)
		}
	}
	return strings.Join(list, "\n\n")
}

// descriptors returns how often this process has a file open.
func descriptors(t *testing.T, path string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(links) == 0 {
		t.Fatal(links, err)
	}
	n := 0
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == path {
			n++
		}
	}
	return n
}

// isMapped tells whether this process has memory at an address.
func isMapped(t *testing.T, address uintptr) bool {
	t.Helper()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &from, &to); err != nil {
			t.Fatal(lines.Text(), err)
		}
		if from <= address && address < to && to-from >= unsafe.Sizeof(cells{}) { // and no thread's stack
			return true
		}
	}
	return false
}
