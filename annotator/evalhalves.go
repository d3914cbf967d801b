package main

import (
	"github.com/urfave/cli/v2"

	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
	"ampulla/annotator/score"
)

// longestAttack is how many packets of each attack are mixed into captures.
const longestAttack = 5000

// runHalves measures what a baseline brings.
func runHalves(c *cli.Context, cfg engine.Config, workers int) error {
	scorers, err := halvesScorers(c)
	if err != nil {
		return err
	}
	halves, err := eval.MeasureHalves(c.Context, c.String("captures"), c.String("labels"), eval.HalvesConfig{
		Engine: cfg, Workers: workers, Scorer: scorers, Networks: c.Int("networks"), Longest: longestAttack,
	})
	if err != nil {
		return err
	}
	if err := writeFile(c.String("json"), halves.WriteJSON); err != nil {
		return err
	}
	return halves.WriteReport(c.App.Writer)
}

// halvesScorers returns the models by which each capture is judged.
func halvesScorers(c *cli.Context) (func(name string) score.Scorer, error) {
	if folder := c.String("folds"); folder != "" {
		return heldOutScorers(c, folder)
	}
	scorer, err := openScorer(c)
	return func(string) score.Scorer { return scorer }, err
}
