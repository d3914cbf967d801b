package eval

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"ampulla/annotator/verdict"
)

// Judge runs a fresh engine over the capture at path and hands each verdict to
// each, in order. It must be safe for concurrent use.
type Judge func(ctx context.Context, path string, each func(*verdict.Verdict) error) error

// Result is what was measured on one capture.
type Result struct {
	Name string // path below the folder of captures
	Capture
	Err error // reading stopped early, or the labels are bad; figures are up to there
}

// Run measures every capture below captures, workers at a time. The labels of
// captures/x/y are read from labels/x/y.tsv; without such a file every frame is
// benign. Results come in order of their names.
func Run(ctx context.Context, captures, labels string, workers int, judge Judge) ([]Result, error) {
	var (
		group   errgroup.Group
		mu      sync.Mutex
		results []Result
	)
	group.SetLimit(workers)
	err := filepath.WalkDir(captures, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isCapture(path) {
			return err
		}
		group.Go(func() error {
			name, _ := filepath.Rel(captures, path)
			result := measure(ctx, name, path, filepath.Join(labels, name+".tsv"), judge)
			mu.Lock()
			results = append(results, result)
			mu.Unlock()
			return nil
		})
		return ctx.Err()
	})
	if waited := group.Wait(); err == nil {
		err = waited
	}
	slices.SortFunc(results, func(a, b Result) int { return cmp.Compare(a.Name, b.Name) })
	return results, err
}

// isCapture tells captures from the lists and licences beside them.
func isCapture(path string) bool {
	switch filepath.Ext(path) {
	case ".tsv", ".txt", ".md", ".sh", ".json":
		return false
	}
	return true
}

func measure(ctx context.Context, name, path, labelPath string, judge Judge) Result {
	result := Result{Name: name}
	labels, err := openLabels(labelPath)
	if err != nil {
		result.Err = fmt.Errorf("labels: %w", err)
		return result
	}
	result.Err = judge(ctx, path, func(v *verdict.Verdict) error {
		result.Add(labels.Of(v.Frame), v)
		return nil
	})
	return result
}

func openLabels(path string) (*Labels, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return AllBenign(), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadLabels(f)
}

// laboratory names the folders whose captures were made in a laboratory, or
// mixed with such; their figures are reported apart.
var laboratory = []string{"lab", "mix"}

func origin(name string) string {
	if folder, _, _ := strings.Cut(name, "/"); slices.Contains(laboratory, folder) {
		return "laboratory"
	}
	return "public"
}

// attackRow sums the figures of one kind of attack.
type attackRow struct {
	captures, detected, right int
	frames, flagged, rightly  uint64
}

// WriteReport writes the results as three tables for people: attacks by kind
// and origin, false alarms by folder, and each capture that raised one.
func WriteReport(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	writeAttacks(t, results)
	writeBenign(t, results)
	writeAlarms(t, results)
	return t.Flush()
}

func writeAttacks(w io.Writer, results []Result) {
	type key struct{ attack, origin string }
	rows := map[key]*attackRow{}
	aucs := map[string][]float64{}
	for i := range results {
		r := &results[i]
		if auc, ok := r.AUC(); ok {
			aucs[origin(r.Name)] = append(aucs[origin(r.Name)], auc)
		}
		for attack, f := range r.Attacks {
			k := key{attack, origin(r.Name)}
			if rows[k] == nil {
				rows[k] = &attackRow{}
			}
			rows[k].add(f)
		}
	}
	keys := make([]key, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.attack, b.attack), cmp.Compare(a.origin, b.origin))
	})
	fmt.Fprintln(w, "attack\torigin\tcaptures\tdetected\tright type\tpackets\trecall at 0.8\twith right type")
	for _, k := range keys {
		r := rows[k]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%.3f\t%.3f\n", k.attack, k.origin, r.captures, r.detected, r.right,
			r.frames, share(r.flagged, r.frames), share(r.rightly, r.frames))
	}
	for _, from := range []string{"laboratory", "public"} {
		if list := aucs[from]; len(list) > 0 {
			fmt.Fprintf(w, "mean AUC within captures that hold both\t%s\t%d\t%.3f\n", from, len(list), mean(list))
		}
	}
}

func (r *attackRow) add(f *AttackFigures) {
	r.captures++
	if f.Flagged > 0 {
		r.detected++
	}
	if f.Right > 0 {
		r.right++
	}
	r.frames += f.Frames
	r.flagged += f.Flagged
	r.rightly += f.Right
}

func writeBenign(w io.Writer, results []Result) {
	type row struct {
		captures, alarmed int
		frames, alarms    uint64
	}
	rows := map[string]*row{}
	var folders []string
	total := &row{}
	for i := range results {
		c := &results[i]
		if c.Benign == 0 {
			continue
		}
		folder, _, _ := strings.Cut(c.Name, "/")
		if rows[folder] == nil {
			rows[folder] = &row{}
			folders = append(folders, folder)
		}
		for _, r := range []*row{rows[folder], total} {
			r.captures++
			r.frames += c.Benign
			r.alarms += c.Alarms
			if c.Alarms > 0 {
				r.alarmed++
			}
		}
	}
	fmt.Fprintln(w, "\nbenign frames of\tcaptures\twith alarms\tpackets\talarms\tfalse positives at 0.8")
	line := func(name string, r *row) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.5f\n", name, r.captures, r.alarmed, r.frames, r.alarms, share(r.alarms, r.frames))
	}
	for _, folder := range folders {
		line(folder, rows[folder])
	}
	line("all", total)
}

func writeAlarms(w io.Writer, results []Result) {
	fmt.Fprintln(w, "\ncapture with alarms on benign frames\tpackets\talarms\tfirst at frame\ttypes")
	for i := range results {
		c := &results[i]
		if c.Err != nil {
			fmt.Fprintf(w, "%s\t%d\t-\t-\tstopped: %v\n", c.Name, c.Frames, c.Err)
		}
		if c.Alarms == 0 {
			continue
		}
		var types []string
		for typ, n := range c.AlarmTypes {
			types = append(types, fmt.Sprintf("%s %d", typ, n))
		}
		slices.Sort(types)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", c.Name, c.Benign, c.Alarms, c.FirstAlarm, strings.Join(types, ", "))
	}
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func mean(list []float64) float64 {
	var sum float64
	for _, x := range list {
		sum += x
	}
	return sum / float64(len(list))
}
