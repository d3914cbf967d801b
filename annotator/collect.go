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
// from end to end, or by a tenth if that is more: less than gcPercent when much is
// in use, for a lower peak.
const slack = 12 << 20

// floor is the memory below which it never runs there. Loading the models took
// about as much for a moment, so that short captures have hardly a higher peak.
const floor = 64 << 20

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

// adjustEachCycle sets the share that makes slack and floor, now and behind each
// collection. It is a share of all that a collection looks at.
func adjustEachCycle() {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/scan/stack:bytes"}}
	type cycle [16]byte // its finalizer is called at each collection; smaller ones would share their memory
	var adjust func(*cycle)
	adjust = func(c *cycle) {
		metrics.Read(samples)
		live, all := samples[0].Value.Uint64(), uint64(1)
		for _, s := range samples {
			all += s.Value.Uint64()
		}
		room := max(slack, live/10, floor-min(live, floor))
		debug.SetGCPercent(int(100 * room / all))
		runtime.SetFinalizer(c, adjust)
	}
	adjust(new(cycle))
}
