package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
	"ampulla/annotator/score"
	"ampulla/annotator/score/ort"
	"ampulla/annotator/verdict"
)

// foldsFile lists captures, as they are named below --captures, and behind a
// tab the subfolder with the models for each. models/train writes it.
const foldsFile = "folds.tsv"

// judgeHeldOut returns a function that runs a fresh engine over one capture,
// with those models in a subfolder of folder that have seen nothing of its
// source. Captures that the list leaves out none of the models has seen.
func judgeHeldOut(c *cli.Context, cfg engine.Config, folder string) (eval.Judge, error) {
	scorerOf, err := heldOutScorers(c, folder)
	if err != nil {
		return nil, err
	}
	captures := c.String("captures")
	return func(ctx context.Context, path string, each func(*verdict.Verdict) error) error {
		name, err := filepath.Rel(captures, path)
		if err != nil {
			return err
		}
		return judge(cfg, scorerOf(name))(ctx, path, each)
	}, nil
}

// heldOutScorers returns what tells the models in a subfolder of folder that have
// seen nothing of the source of a capture, which is named as below --captures.
func heldOutScorers(c *cli.Context, folder string) (func(name string) score.Scorer, error) {
	folds, err := readFolds(filepath.Join(folder, foldsFile))
	if err != nil {
		return nil, err
	}
	scorers := map[string]score.Scorer{}
	first := slices.Min(slices.Collect(maps.Values(folds)))
	for _, fold := range folds {
		if scorers[fold] != nil {
			continue
		}
		scorer, err := ort.Open(ort.Config{Library: c.String("onnxruntime")}, os.DirFS(filepath.Join(folder, fold)))
		if err != nil {
			return nil, fmt.Errorf("models of fold %s: %w", fold, err)
		}
		scorers[fold] = scorer
	}
	return func(name string) score.Scorer {
		return cmp.Or(scorers[folds[filepath.ToSlash(name)]], scorers[first])
	}, nil
}

// readFolds reads the file that tells which models each capture is judged by.
func readFolds(path string) (map[string]string, error) {
	folds := map[string]string{}
	err := readFile(path, func(r io.Reader) error {
		scanner := bufio.NewScanner(r)
		for line := 1; scanner.Scan(); line++ {
			name, fold, ok := strings.Cut(scanner.Text(), "\t")
			if !ok {
				return fmt.Errorf("line %d: no tab", line)
			}
			folds[name] = fold
		}
		if len(folds) == 0 {
			return errors.New("no captures")
		}
		return scanner.Err()
	})
	return folds, err
}
