// Package incident groups the packets that belong to one event: who did what to
// whom, since when, how sure it is and why. A [Tracker] sees every packet that
// is not ordinary, in order, gives the event it belongs to a number, and keeps
// what an analyst wants to know of it as a [verdict.Incident].
package incident

import (
	"time"

	"ampulla/annotator/verdict"
)

// Config bounds a [Tracker].
type Config struct {
	Open    int // events that may go on at once; the one without news for longest is over when there are more
	Kept    int // incidents that are remembered, open ones included; above it suspicious ones go first, then the oldest
	Pairs   int // pairs of hosts whose latest incident is remembered
	Listed  int // actors, targets and services named in a verdict.Incident
	Counted int // distinct ones that are counted exactly
}

// Default returns the bounds used unless configured otherwise. Filled to the
// brim, a Tracker takes about 30 MB.
func Default() Config {
	return Config{Open: 512, Kept: 4096, Pairs: 8192, Listed: 16, Counted: 1024}
}

// gap is how long an event of a type may pause, on packet time, and still be the
// same: as long as its detector remembers what led to it.
func gap(t verdict.Type) time.Duration {
	switch t {
	case verdict.Flood, verdict.SlowDoS:
		return 10 * time.Minute
	case verdict.Beacon:
		return 24 * time.Hour
	}
	return time.Hour
}
