package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/config"
	"ampulla/annotator/engine"
	"ampulla/annotator/score/ort"
	"ampulla/models"
)

// Flags that several commands share.

func workersFlag() cli.Flag {
	return &cli.IntFlag{Name: "workers", Usage: "decode and score with `N` goroutines; 0 is one a processor. Verdicts do not depend on it"}
}

func libraryFlag() cli.Flag {
	return &cli.StringFlag{Name: "onnxruntime", Usage: "use this libonnxruntime, a `FILE`, instead of looking for one"}
}

func baselineFlag() cli.Flag {
	return &cli.StringFlag{Name: "baseline", Usage: "measure against what is normal on your network, as baseline learn wrote it to `FILE`"}
}

// engineConfig returns the configuration of an engine with so many workers, and
// with the baseline that is configured, if any.
func engineConfig(s *config.Settings, workers int) (cfg engine.Config, err error) {
	cfg = s.Engine(workers)
	if s.Baseline != "" {
		cfg.Baseline, err = readBaseline(s.Baseline)
	}
	return cfg, err
}

// openScorer loads the models that the program carries.
func openScorer(c *cli.Context) (*ort.Scorer, error) {
	scorer, err := ort.Open(ort.Config{Library: c.String("onnxruntime")}, models.FS)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	return scorer, nil
}
