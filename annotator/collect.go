package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// gcPercent is how much memory may grow, in percent of what is in use, until the
// garbage collector looks for what is not (GOGC). A capture's state is large and
// leaves little garbage: half of Go's 100 takes a sixth off the peak of a long
// capture and costs about one percent of the time.
const gcPercent = 50

// slack is by how many bytes memory may grow instead where one capture is judged
// from end to end: more than gcPercent while little is in use, and less when much
// is. That is fewer collections for a lower peak.
const slack = 12 << 20

// collectByShare has the garbage collector run by gcPercent, unless the user has
// said otherwise.
func collectByShare() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// collectBySlack has it run by slack from now on, unless the user has said
// otherwise.
func collectBySlack() {
	if os.Getenv("GOGC") == "" {
		bySlack.Do(adjustEachCycle)
	}
}

var bySlack sync.Once

// adjustEachCycle sets the share that makes slack, now and behind each collection.
func adjustEachCycle() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	type cycle [16]byte // its finalizer is called at each collection; smaller ones would share their memory
	var adjust func(*cycle)
	adjust = func(c *cycle) {
		metrics.Read(live)
		percent := 100 * slack / max(live[0].Value.Uint64(), 1)
		debug.SetGCPercent(int(min(max(percent, 10), 400)))
		runtime.SetFinalizer(c, adjust)
	}
	adjust(new(cycle))
}
