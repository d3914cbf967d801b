//go:build unix

package main

import (
	"fmt"
	"io"

	"ampulla/annotator/baseline"
	"ampulla/annotator/reread"
	"ampulla/grpc/server"
)

// followedBaseline is a baseline in a file as a program sees it that stays, from
// which b was read: it is read again when it has changed, as by `baseline learn
// --add`. While it cannot be read, or is of other models, the one from before is in
// force; what is wrong is said once.
func followedBaseline(path string, b *baseline.Baseline, stderr io.Writer) *reread.File[*baseline.Baseline] {
	models := b.Identity()
	file := reread.New(path, func(path string) (*baseline.Baseline, error) {
		b, err := readBaseline(path)
		if err == nil && b.Identity() != models {
			err = fmt.Errorf("%s was learned with models %s, these are %s", path, b.Identity(), models)
		}
		return b, err
	}, func(err error) {
		fmt.Fprintf(stderr, "ampulla: warning: %v; the baseline from before is in force\n", err)
	})
	file.Holds(b)
	return file
}

// followBaseline has a server read its baseline again when the file has changed, and
// says how the network begins to differ from it.
func followBaseline(cfg *server.Config, path string, stderr io.Writer) {
	if cfg.Engine.Baseline == nil {
		return
	}
	cfg.Baseline, cfg.BaselineFile = followedBaseline(path, cfg.Engine.Baseline, stderr).Value, path
	cfg.Changed = func(change baseline.Change) {
		fmt.Fprintf(stderr, "ampulla: warning: not as %s has learned: %s\n", path, change.Text)
	}
}
