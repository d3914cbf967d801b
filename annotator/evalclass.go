package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
)

// classFlags are those of eval that concern the classes of flows.
func classFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "flows", Usage: "measure the classes of the labelled flows in `FILE`"},
		&cli.StringFlag{Name: "classes", Usage: "with --flows, `FILE` with the class of each label"},
		&cli.Uint64Flag{Name: "renumber", Usage: "with --flows, replace every server's port by a random high one, chosen by the seed `N`"},
		&cli.StringFlag{Name: "keep", Usage: "with --flows, write the captures as they were judged to this `FOLDER`"},
		&cli.StringFlag{Name: "answers", Usage: "with --flows, measure the classes in `FILE`, which another tool gave, instead"},
	}
}

// runClassEval measures the classes of labelled flows.
func runClassEval(c *cli.Context, engineCfg engine.Config, workers int) error {
	cfg := eval.ClassConfig{
		Workers: workers, Renumber: c.Uint64("renumber"), Keep: c.String("keep"),
		Warn: func(name string, err error) { fmt.Fprintf(c.App.ErrWriter, "ampulla: %s: %v\n", name, err) },
	}
	classes := map[string]string{}
	err := readFile(c.String("classes"), func(r io.Reader) (err error) {
		classes, err = eval.ReadClasses(r)
		return err
	})
	err = cmp.Or(err, readFile(c.String("flows"), func(r io.Reader) (err error) {
		cfg.Flows, err = eval.ReadFlows(r, classes)
		return err
	}), readFile(c.String("answers"), func(r io.Reader) (err error) {
		cfg.Answers, err = eval.ReadAnswers(r)
		return err
	}))
	if err != nil {
		return err
	}
	if cfg.Answers == nil {
		scorer, err := openScorer(c)
		if err != nil {
			return err
		}
		cfg.Judge = judgeReader(engineCfg, scorer)
	}
	flows, err := eval.RunClasses(c.Context, c.String("captures"), cfg)
	if err != nil {
		return err
	}
	if len(flows) == 0 {
		return errors.New("none of the flows is in " + c.String("captures"))
	}
	report := eval.NewClassReport(flows)
	err = writeFile(c.String("json"), func(w io.Writer) error {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	})
	return cmp.Or(err, report.WriteText(c.App.Writer))
}

// readFile calls read with the file at path, if there is a path.
func readFile(path string, read func(io.Reader) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := read(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
