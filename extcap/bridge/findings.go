package bridge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ampulla/annotator/verdict"
)

// findings is what was flagged so far, by type. There are few types, so that it
// stays small however long a capture goes on.
type findings struct {
	threshold float64 // of the batch at hand

	mu   sync.Mutex
	list []finding // as they were first seen
}

// finding is all that was flagged of one type.
type finding struct {
	kind        verdict.Type // empty: with a threshold that low, frames are flagged that have none
	frames      uint64
	first, last int64   // times, nanoseconds since 1970-01-01 UTC
	score       float64 // the highest
	reason      string  // of the last frame with that score
}

// adjust returns the threshold for the next batch.
func (b *Bridge) adjust() float64 {
	b.findings.threshold = b.Threshold()
	return b.findings.threshold
}

// find notes a verdict if its frame is flagged.
func (b *Bridge) find(v *verdict.Verdict) error {
	if v.Level != "" && v.Score > b.findings.threshold {
		b.findings.add(v)
	}
	return nil
}

func (f *findings) add(v *verdict.Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.list, func(known finding) bool { return known.kind == v.Type })
	if i < 0 {
		i = len(f.list)
		f.list = append(f.list, finding{kind: v.Type, first: v.Time, last: v.Time})
	}
	known := &f.list[i]
	known.frames++
	known.first, known.last = min(known.first, v.Time), max(known.last, v.Time)
	if v.Score >= known.score {
		known.score, known.reason = v.Score, v.Reason
	}
}

// Report returns what happened so far for people to read: the figures of
// [Bridge.Stats] in a sentence, and then what was flagged, most frames first.
func (b *Bridge) Report() string {
	return b.Stats().String() + "." + b.findings.String()
}

// String is a paragraph for each type, in front of each an empty line.
func (f *findings) String() string {
	f.mu.Lock()
	list := slices.Clone(f.list)
	f.mu.Unlock()
	slices.SortStableFunc(list, func(a, b finding) int { return cmp.Compare(b.frames, a.frames) })
	var text strings.Builder
	for _, known := range list {
		what, filter := "without a type", `ai.anomaly.score && !ai.anomaly.type`
		if known.kind != "" {
			what, filter = known.kind.Words(), fmt.Sprintf("ai.anomaly.type == %q", known.kind)
		}
		fmt.Fprintf(&text, "\n\n%s: %d frames, %s to %s, score up to %.2f", what, known.frames,
			clock(known.first), clock(known.last), known.score)
		if known.reason != "" {
			text.WriteString("\n" + known.reason)
		}
		text.WriteString("\nFilter: " + filter)
	}
	return text.String()
}

// clock returns a time of day as Wireshark shows it.
func clock(nanoseconds int64) string { return time.Unix(0, nanoseconds).Format("15:04:05") }
