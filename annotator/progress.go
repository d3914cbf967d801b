package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"ampulla/annotator/verdict"
)

// progress shows on a terminal how much of the input has been read, and a
// summary at the end; anywhere else it shows nothing.
type progress struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil when not on a terminal
}

func newProgress(stderr io.Writer, size int64) *progress {
	file, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{w: stderr}
	}
	if size == 0 {
		size = -1 // a spinner
	}
	return &progress{stderr, progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// reader returns r, watched.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.bar == nil {
		return r
	}
	return io.TeeReader(r, p.bar)
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// finish replaces the bar by a summary, and more lines below it.
func (p *progress) finish(summary string, more ...string) {
	if p.bar == nil {
		return
	}
	p.clear()
	fmt.Fprintf(p.w, "ampulla: %s\n", summary)
	for _, line := range more {
		fmt.Fprintf(p.w, "ampulla: %s\n", line)
	}
}

// incidentLines says in a line each which incidents score above the threshold:
// "incident 2: port scan, score 1.00, frames 476 to 923: 218 probes …".
func incidentLines(incidents []verdict.Incident, threshold float64) []string {
	const most = 10
	var lines []string
	n := 0
	for i := range incidents {
		in := &incidents[i]
		if in.Score <= threshold {
			continue
		}
		if n++; n <= most {
			lines = append(lines, fmt.Sprintf("incident %d: %s, score %.2f, frames %d to %d: %s",
				in.Number, in.Type.Words(), in.Score, in.First.Frame, in.Last.Frame, in.Reason))
		}
	}
	if n > most {
		lines = append(lines, fmt.Sprintf("and %d more incidents; --incidents writes them all", n-most))
	}
	return lines
}

// tally counts verdicts for the summary.
type tally struct {
	threshold float64
	frames    uint64
	flagged   map[verdict.Type]uint64
}

func newTally(threshold float64) *tally {
	return &tally{threshold: threshold, flagged: map[verdict.Type]uint64{}}
}

func (t *tally) add(v *verdict.Verdict) {
	t.frames++
	if v.Score > t.threshold {
		t.flagged[v.Type]++
	}
}

// summary is one line: "1234 frames, 17 flagged (port scan 12, beacon 5)".
func (t *tally) summary() string {
	var total uint64
	types := make([]verdict.Type, 0, len(t.flagged))
	for typ, n := range t.flagged {
		total += n
		types = append(types, typ)
	}
	if total == 0 {
		return fmt.Sprintf("%d frames, none flagged", t.frames)
	}
	slices.SortFunc(types, func(a, b verdict.Type) int {
		return cmp.Or(cmp.Compare(t.flagged[b], t.flagged[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(types))
	for i, typ := range types {
		words := typ.Words()
		if typ == "" {
			words = "normal" // with a threshold below suspicious
		}
		parts[i] = fmt.Sprintf("%s %d", words, t.flagged[typ])
	}
	return fmt.Sprintf("%d frames, %d flagged (%s)", t.frames, total, strings.Join(parts, ", "))
}
