//go:build unix

package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"ampulla/annotator/baseline"
	"ampulla/grpc/server"
)

// baselineFile is a baseline in a file as a program sees it that stays: it is read
// again when it has changed, as by `baseline learn --add`. While it cannot be read,
// or is of other models, the one from before is in force; what is wrong is said
// once. It is safe for concurrent use.
type baselineFile struct {
	path   string
	stderr io.Writer

	mu   sync.Mutex
	info fs.FileInfo // of what was looked at last; nil for nothing
	b    *baseline.Baseline
}

// newBaselineFile returns the file at a path, from which b was read.
func newBaselineFile(path string, b *baseline.Baseline, stderr io.Writer) *baselineFile {
	f := &baselineFile{path: path, stderr: stderr, b: b}
	f.info, _ = os.Stat(path) // or else it is read again
	return f
}

// followBaseline has a server read its baseline again when the file has changed, and
// says how the network begins to differ from it.
func followBaseline(cfg *server.Config, path string, stderr io.Writer) {
	if cfg.Engine.Baseline == nil {
		return
	}
	cfg.Baseline, cfg.BaselineFile = newBaselineFile(path, cfg.Engine.Baseline, stderr).baseline, path
	cfg.Changed = func(change baseline.Change) {
		fmt.Fprintf(stderr, "ampulla: warning: not as %s has learned: %s\n", path, change.Text)
	}
}

// baseline returns the one in force.
func (f *baselineFile) baseline() *baseline.Baseline {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	switch {
	case err != nil && f.info == nil: // still
		return f.b
	case err == nil && f.info != nil && os.SameFile(info, f.info) && info.Size() == f.info.Size() && info.ModTime().Equal(f.info.ModTime()):
		return f.b
	}
	f.info = nil
	if err == nil {
		f.info = info
		var b *baseline.Baseline
		if b, err = readBaseline(f.path); err == nil && b.Identity() != f.b.Identity() {
			err = fmt.Errorf("%s was learned with models %s, these are %s", f.path, b.Identity(), f.b.Identity())
		}
		if err == nil {
			f.b = b
			return b
		}
	}
	fmt.Fprintf(f.stderr, "ampulla: warning: %v; the baseline from before is in force\n", err)
	return f.b
}
