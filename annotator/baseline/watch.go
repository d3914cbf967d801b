package baseline

import (
	"slices"
	"sync"
	"time"
)

// Watch keeps what was seen in the last 12 to 24 hours, and tells how that
// differs from a Baseline. Its methods do nothing if it is nil. It is safe for
// concurrent use. It has no clock: time is what callers say it is, in nanoseconds
// since 1970-01-01 UTC, and never runs backwards.
type Watch struct {
	normal *Baseline

	mu      sync.Mutex
	half    int64     // number of the half day that is now
	recent  *Baseline // of it
	earlier *Baseline // of the one before
	frames  uint64    // in both
	changes []Change
	told    map[string]float64 // value of each kind of change when it was told
}

const (
	halfDay = int64(12 * time.Hour)
	// ahead is how far clocks of others may be ahead.
	ahead = int64(time.Hour)
)

// NewWatch returns a Watch that has seen nothing, nil if b is nil.
func NewWatch(b *Baseline) *Watch {
	if b == nil {
		return nil
	}
	return &Watch{normal: b, recent: New(b.identity), earlier: New(b.identity), told: map[string]float64{}}
}

// Add takes in what a Learner has seen. Nothing is learned from captures that are
// older than a day, which say nothing of today. It returns the changes that are
// new, or twice what they were when they were returned last.
func (w *Watch) Add(seen *Baseline, now int64) []Change {
	t := &seen.totals
	if w == nil || t.First < now-2*halfDay || t.Last > now+ahead {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn(now)
	if w.recent.Merge(seen) != nil {
		return nil // of other models
	}
	w.compare()
	var news []Change
	for _, c := range w.changes {
		if before, ok := w.told[c.What]; !ok || c.Value >= 2*before {
			w.told[c.What] = c.Value
			news = append(news, c)
		}
	}
	return news
}

// Changes returns how what was seen of late differs from the Baseline, and how
// many frames that were.
func (w *Watch) Changes(now int64) (frames uint64, changes []Change) {
	if w == nil {
		return 0, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn(now) {
		w.compare()
	}
	return w.frames, slices.Clone(w.changes)
}

// turn forgets what is too long ago, and tells whether it did.
func (w *Watch) turn(now int64) bool {
	half := now / halfDay
	if half == w.half {
		return false
	}
	w.earlier = w.recent
	if half != w.half+1 {
		w.earlier = New(w.normal.identity)
	}
	w.half, w.recent = half, New(w.normal.identity)
	return true
}

// compare finds out how both halves together differ, and forgets what was told
// of changes that are gone.
func (w *Watch) compare() {
	today := New(w.normal.identity)
	_ = today.Merge(w.earlier) // of the same models
	_ = today.Merge(w.recent)
	w.frames = today.totals.Frames
	w.changes, _ = w.normal.Compare(today)
	for what := range w.told {
		if !slices.ContainsFunc(w.changes, func(c Change) bool { return c.What == what }) {
			delete(w.told, what)
		}
	}
}
