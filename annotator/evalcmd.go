package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:      "eval",
		Usage:     "measure the verdicts against labelled captures",
		ArgsUsage: " ",
		Description: `Runs the engine over every capture below a folder and compares the verdicts with
labels: attacks detected and after how long, recall, false positives, areas under
the curve, beside those of box plots on gaps and sizes, by kind and origin.
The labels of captures/x/y are in labels/x/y.tsv (first_frame, last_frame,
class, attack_type); a capture without labels is benign.

   ampulla eval --captures anomaly/captures --labels anomaly/labels

With --folds it judges each capture by models that have seen nothing of its
source, as models/train keeps them in its own folder. With --hindsight it also
reads each capture twice, as annotate --hindsight does.

   ampulla eval --captures anomaly/captures --labels anomaly/labels --folds ~/.cache/ampulla-train/folds

With --features it writes what the models would see of the captures instead, to
train them with (see models/train); it needs no models for that.

   ampulla eval --captures anomaly/captures --labels anomaly/labels --features OUT

With --baseline-halves it measures what a baseline brings: it learns the first half
of every benign capture and judges the second one, without and with attacks mixed
into it that the busiest host there is made the author of.

   ampulla eval --captures anomaly/captures --labels anomaly/labels --baseline-halves

With --flows it measures the classes instead: F1, confusion, abstention and
packets until named, by class, on the ports of the captures or, with --renumber,
on others.

   ampulla eval --captures dev --flows flows-dev.tsv --classes classes.tsv --renumber 1`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "captures", Usage: "`FOLDER` of captures"},
			&cli.StringFlag{Name: "labels", Usage: "`FOLDER` of labels"},
			&cli.StringFlag{Name: "features", Usage: "write feature rows to this `FOLDER` instead of measuring"},
			&cli.StringFlag{Name: "json", Usage: "write the figures to this `FILE` as well"},
			&cli.StringFlag{Name: "plot", Usage: "draw recall over false positives into this SVG `FILE`"},
			&cli.StringFlag{Name: "folds", Usage: "judge by the models in this `FOLDER`, each capture by those that have not seen its source"},
			&cli.BoolFlag{Name: "hindsight", Usage: "put the figures of annotate --hindsight beside"},
			&cli.BoolFlag{Name: "baseline-halves", Usage: "measure false alarms and attacks with one half of each capture learned"},
			&cli.IntFlag{Name: "networks", Value: 12, Usage: "with --baseline-halves, mix each attack into `N` captures"},
			&cli.Uint64Flag{Name: "every", Value: 1, Usage: "with --features, keep the anomaly rows of one frame in `N`; 0 keeps none"},
			baselineFlag(), configFlag(), workersFlag(), libraryFlag(),
		}, classFlags()...),
		Action: runEval,
	}
}

func runEval(c *cli.Context) error {
	if c.String("captures") == "" || c.Args().Present() {
		return usage("--captures is needed", "ampulla eval --captures FOLDER --labels FOLDER")
	}
	s, err := namedSettings(c)
	if err != nil {
		return err
	}
	workers := workers(s)
	cfg, err := engineConfig(s, 1) // the captures run side by side instead
	if err != nil {
		return err
	}
	if out := c.String("features"); out != "" {
		return eval.WriteFeatures(c.Context, c.String("captures"), c.String("labels"), out, eval.FeatureConfig{
			Engine: cfg, Workers: workers, Every: c.Uint64("every"),
			Warn: func(name string, err error) { fmt.Fprintf(c.App.ErrWriter, "ampulla: %s: %v\n", name, err) },
		})
	}
	if c.String("flows") != "" {
		return runClassEval(c, cfg, workers)
	}
	if c.Bool("baseline-halves") {
		return runHalves(c, cfg, workers)
	}
	judge, err := verdictJudge(c, cfg)
	if err != nil {
		return err
	}
	results, err := eval.Run(c.Context, c.String("captures"), c.String("labels"), workers, judge)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return errors.New("no captures in " + c.String("captures"))
	}
	summary := eval.Summarize(results)
	if c.Bool("hindsight") {
		if summary.Hindsight, err = hindsightSummary(c, cfg, workers); err != nil {
			return err
		}
	}
	for name, write := range map[string]func(io.Writer) error{"json": summary.WriteJSON, "plot": summary.WriteSVG} {
		if err := writeFile(c.String(name), write); err != nil {
			return err
		}
	}
	if err := eval.WriteReport(c.App.Writer, results); err != nil || summary.Hindsight == nil {
		return err
	}
	return summary.WriteHindsight(c.App.Writer)
}

// hindsightSummary measures the verdicts of a second reading of each capture.
func hindsightSummary(c *cli.Context, cfg engine.Config, workers int) (*eval.Summary, error) {
	cfg.Hindsight = true
	judge, err := verdictJudge(c, cfg)
	if err != nil {
		return nil, err
	}
	results, err := eval.Run(c.Context, c.String("captures"), c.String("labels"), workers, judge)
	return eval.Summarize(results), err
}

// verdictJudge returns what judges the captures: the models that the program
// carries, or those of --folds.
func verdictJudge(c *cli.Context, cfg engine.Config) (eval.Judge, error) {
	if folder := c.String("folds"); folder != "" {
		return judgeHeldOut(c, cfg, folder)
	}
	scorer, err := openScorer(c)
	if err != nil {
		return nil, err
	}
	return judge(cfg, scorer), nil
}

// writeFile writes to the file at path, or nothing if that is empty.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// judge returns a function that runs a fresh engine over one capture; twice, if
// cfg says so.
func judge(cfg engine.Config, scorer score.Scorer) eval.Judge {
	read := judgeReader(cfg, scorer)
	return func(ctx context.Context, path string, each func(*verdict.Verdict) error) error {
		input, _, err := openInput(path, nil)
		if err != nil {
			return err
		}
		defer input.Close()
		if !cfg.Hindsight {
			return read(ctx, input, each)
		}
		e, err := ahead(ctx, input, cfg, scorer, rewrite.Config{})
		if err != nil {
			return err
		}
		again, _, err := openInput(path, nil)
		if err != nil {
			return err
		}
		defer again.Close()
		_, err = rewrite.Annotate(ctx, again, nil, rewrite.Config{Engine: e, OnVerdict: each})
		return err
	}
}

// judgeReader returns the same for a capture that is open already.
func judgeReader(cfg engine.Config, scorer score.Scorer) eval.JudgeReader {
	return func(ctx context.Context, capture io.Reader, each func(*verdict.Verdict) error) error {
		e, err := engine.New(cfg, scorer)
		if err != nil {
			return err
		}
		_, err = rewrite.Annotate(ctx, capture, io.Writer(nil), rewrite.Config{Engine: e, OnVerdict: each})
		return err
	}
}
