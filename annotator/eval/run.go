package eval

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

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
	// What cannot be read to its end, judge tells of.
	result.plain, _ = readBaselines(path)
	result.Err = judge(ctx, path, func(v *verdict.Verdict) error {
		result.Add(labels.Of(v.Frame), v)
		return nil
	})
	result.plain = nil
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
