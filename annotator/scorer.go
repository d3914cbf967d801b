package main

import (
	"fmt"
	"math"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/baseline"
	"ampulla/annotator/config"
	"ampulla/annotator/engine"
	"ampulla/annotator/score/ort"
	"ampulla/annotator/verdict"
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

func thresholdFlag() cli.Flag {
	return &cli.Float64Flag{Name: "threshold", Value: verdict.AnomalousScore, Usage: "frames that score above `SCORE` (0 to 1) are flagged"}
}

func alarmsFlag() cli.Flag {
	return &cli.Float64Flag{Name: "alarms-per-hour", Usage: "instead, flag as much as brings `N` new incidents an hour, as the baseline tells"}
}

// checkThreshold returns an error for thresholds that make no sense.
func checkThreshold(c *cli.Context) error {
	if t := c.Float64("threshold"); !(t >= 0 && t <= 1) {
		return usage(fmt.Sprintf("--threshold %v is not between 0 and 1", t), "")
	}
	if !c.IsSet("alarms-per-hour") {
		return nil
	}
	if n := c.Float64("alarms-per-hour"); !(n > 0) || math.IsInf(n, 0) {
		return usage(fmt.Sprintf("--alarms-per-hour %v is not more than 0", n), "")
	}
	if c.IsSet("threshold") {
		return usage("--alarms-per-hour chooses the threshold, it cannot be combined with --threshold", "")
	}
	return nil
}

// thresholdOf returns the threshold of the command line, and says so where the
// baseline has chosen it.
func thresholdOf(c *cli.Context, b *baseline.Baseline) (float64, error) {
	if !c.IsSet("alarms-per-hour") {
		return c.Float64("threshold"), nil
	}
	if b == nil {
		return 0, usage("--alarms-per-hour needs a baseline that tells", "ampulla baseline learn IN... -o FILE, then --baseline FILE")
	}
	n := c.Float64("alarms-per-hour")
	t, err := b.Threshold(n)
	if err != nil {
		return 0, hintError{err, "learn more: ampulla baseline learn --add IN... -o FILE"}
	}
	fmt.Fprintf(c.App.ErrWriter, "ampulla: threshold %.3f: so %v new incidents an hour are to be expected at most\n", t, n)
	return t, nil
}

// openScorer loads the models that the program carries.
func openScorer(c *cli.Context) (*ort.Scorer, error) {
	scorer, err := ort.Open(ort.Config{Library: c.String("onnxruntime")}, models.FS)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	return scorer, nil
}
