package main

import (
	"context"
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score"
)

func hindsightFlag() cli.Flag {
	return &cli.BoolFlag{Name: "hindsight", Usage: "read the capture twice, to mark packets of an incident also from before it became visible"}
}

// errOnce says that a capture cannot be read twice.
var errOnce = hintError{errors.New("--hindsight reads the capture twice, which needs a file"), "write the capture to a file first, and name that"}

// newEngine returns what judges the capture of a name by the rules in force; in
// hindsight, if the command line says so, for which it has judged it once already.
func newEngine(c *cli.Context, name string, cfg engine.Config, scorer score.Scorer, batch rewrite.Config) (*engine.Engine, error) {
	var err error
	if cfg.Rules, err = rulesInForce(c); err != nil {
		return nil, err
	}
	if !c.Bool("hindsight") {
		return engine.New(cfg, scorer)
	}
	if name == "-" {
		return nil, errOnce
	}
	input, size, err := openInput(name, nil)
	if err != nil {
		return nil, err
	}
	defer input.Close()
	if size == 0 { // empty, or no file
		return nil, errOnce
	}
	progress := newProgress(c.App.ErrWriter, size)
	defer progress.clear()
	return ahead(c.Context, progress.reader(input), cfg, scorer, batch)
}

// ahead judges a capture and returns the engine that judges it again, in
// hindsight.
func ahead(ctx context.Context, capture io.Reader, cfg engine.Config, scorer score.Scorer, batch rewrite.Config) (*engine.Engine, error) {
	cfg.Hindsight = true
	first, err := engine.New(cfg, scorer)
	if err != nil {
		return nil, err
	}
	return rewrite.Hindsight(ctx, capture, first, batch)
}
