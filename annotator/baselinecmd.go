package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/baseline"
	"ampulla/annotator/config"
	"ampulla/annotator/engine"
	"ampulla/annotator/output"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

func baselineCommand() *cli.Command {
	return &cli.Command{
		Name:  "baseline",
		Usage: "learn what is normal on your network, and look at what was learned",
		Description: `A baseline is learned from captures of ordinary days. With it, scores are measured
against your network instead of a stranger's.

   ampulla baseline learn monday.pcapng tuesday.pcapng -o office.baseline
   ampulla baseline show office.baseline
   ampulla annotate --baseline office.baseline today.pcapng annotated.pcapng`,
		Subcommands: []*cli.Command{
			learnCommand(), mergeCommand(), showCommand(), compareCommand(), forgetCommand(), feedbackCommand(),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usage(fmt.Sprintf("no command %q", c.Args().First()), "ampulla baseline --help lists the commands")
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the baseline to `FILE`"}
}

func learnCommand() *cli.Command {
	var types []string
	for _, t := range verdict.Types {
		types = append(types, string(t))
	}
	return &cli.Command{
		Name:      "learn",
		Usage:     "learn what is normal from captures",
		ArgsUsage: "IN... -o OUT",
		Description: `Each IN is a capture as for annotate, of a time in which nothing bad happened: what
would have been an alarm is printed, for it is usual from then on. With --add, OUT
keeps what it has learned before.

   ampulla baseline learn week/*.pcapng -o office.baseline
   ampulla baseline learn --add friday.pcapng -o office.baseline --without port_scan`,
		Flags: []cli.Flag{
			outputFlag(),
			&cli.BoolFlag{Name: "add", Usage: "add to what OUT has learned before"},
			&cli.StringSliceFlag{Name: "without", Usage: "leave out the packets of alarms of a `TYPE`; several with commas: " + strings.Join(types, ", ")},
			configFlag(), workersFlag(), libraryFlag(),
		},
		Action: runLearn,
	}
}

func runLearn(c *cli.Context) error {
	in, out := c.Args().Slice(), c.String("output")
	if len(in) == 0 || out == "" {
		return usage("captures and an output are needed", "ampulla baseline learn IN... -o OUT")
	}
	if err := checkOutput(out); err != nil {
		return err
	}
	var without []verdict.Type
	for _, t := range c.StringSlice("without") {
		if !slices.Contains(verdict.Types, verdict.Type(t)) {
			return usage(fmt.Sprintf("--without %q is no type", t), "ampulla baseline learn --help lists them")
		}
		without = append(without, verdict.Type(t))
	}
	s, err := settings(c)
	if err != nil {
		return err
	}
	scorer, err := openScorer(c)
	if err != nil {
		return err
	}
	defer scorer.Close()
	learned := baseline.New(engine.Identity(scorer.Manifest()))
	if c.Bool("add") {
		switch before, err := readBaseline(out); {
		case errors.Is(err, fs.ErrNotExist): // the first day
		case err != nil:
			return err
		default:
			if err := learned.Merge(before); err != nil {
				return hintError{fmt.Errorf("%s: %w", out, err), "learn all days again with these models"}
			}
		}
	}
	for _, name := range in {
		l := learning{name: name, without: without, settings: s, scorer: scorer, stdin: c.App.Reader, stderr: c.App.ErrWriter}
		b, err := l.learn(c.Context)
		if err != nil && !pcapng.IsBroken(err) {
			return err
		}
		if err != nil {
			fmt.Fprintf(c.App.ErrWriter, "ampulla: warning: %v; learned is what comes before\n", err)
		}
		if err := learned.Merge(b); err != nil {
			return err
		}
	}
	return writeBaseline(out, c.App.Writer, learned)
}

// learning is the way of one capture into a baseline.
type learning struct {
	name     string
	without  []verdict.Type
	settings *config.Settings
	scorer   score.Scorer
	stdin    io.Reader
	stderr   io.Writer
}

// learn reads the capture, and tells what it holds that would be an alarm.
func (l *learning) learn(ctx context.Context) (*baseline.Baseline, error) {
	input, size, err := openInput(l.name, l.stdin)
	if err != nil {
		return nil, err
	}
	defer input.Close()
	cfg := l.settings.Engine(workers(l.settings))
	cfg.Learner = baseline.NewLearner(engine.Identity(l.scorer.Manifest()))
	cfg.Learner.Without = l.without
	e, err := engine.New(cfg, l.scorer)
	if err != nil {
		return nil, err
	}
	progress := newProgress(l.stderr, size)
	counts, err := rewrite.Annotate(ctx, progress.reader(input), nil, rewrite.Config{Engine: e})
	if err = named(l.name, err); err != nil && !pcapng.IsBroken(err) {
		return nil, err
	}
	b := cfg.Learner.Baseline()
	t := b.Totals()
	progress.finish(fmt.Sprintf("%s: %d frames", l.name, counts.Frames))
	usual := incidentLines(slices.DeleteFunc(e.Incidents(), func(i verdict.Incident) bool {
		return slices.Contains(l.without, i.Type)
	}), verdict.AnomalousScore)
	if len(usual) > 0 {
		fmt.Fprintf(l.stderr, "ampulla: warning: %s has alarms, which are usual from now on; if they should not be, learn without (--without TYPE):\n", l.name)
	}
	for _, line := range usual {
		fmt.Fprintf(l.stderr, "ampulla: %s\n", line)
	}
	if t.Omitted > 0 {
		fmt.Fprintf(l.stderr, "ampulla: %s: %d of %d packets were left out\n", l.name, t.Omitted, t.Frames)
	}
	return b, err
}

func mergeCommand() *cli.Command {
	return &cli.Command{
		Name:      "merge",
		Usage:     "put baselines together, in whatever order",
		ArgsUsage: "IN... -o OUT",
		Description: `What was learned apart is as good as if it had been learned together.

   ampulla baseline merge north.baseline south.baseline -o both.baseline`,
		Flags: []cli.Flag{outputFlag()},
		Action: func(c *cli.Context) error {
			if !c.Args().Present() || c.String("output") == "" {
				return usage("baselines and an output are needed", "ampulla baseline merge IN... -o OUT")
			}
			if err := checkOutput(c.String("output")); err != nil {
				return err
			}
			merged, err := readBaseline(c.Args().First())
			if err != nil {
				return err
			}
			for _, name := range c.Args().Tail() {
				b, err := readBaseline(name)
				if err != nil {
					return err
				}
				if err := merged.Merge(b); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return writeBaseline(c.String("output"), c.App.Writer, merged)
		},
	}
}

func showCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "say what was learned, and what is still thin",
		ArgsUsage: "FILE",
		Description: `   ampulla baseline show office.baseline
   ampulla baseline show --plot office.svg office.baseline
   ampulla baseline show --json office.baseline`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "plot", Usage: "draw it into this SVG `FILE`, too"},
			&cli.BoolFlag{Name: "json", Usage: "print all of it, for programs"},
		},
		Action: func(c *cli.Context) error {
			b, err := oneBaseline(c, "ampulla baseline show FILE")
			if err != nil {
				return err
			}
			if c.IsSet("plot") {
				if err := plotBaseline(c.String("plot"), c.App.Writer, b); err != nil {
					return err
				}
			}
			if c.Bool("json") {
				return b.WriteJSON(c.App.Writer)
			}
			return b.WriteText(c.App.Writer)
		},
	}
}

func compareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "say in which ways a baseline differs from an earlier one",
		ArgsUsage: "BEFORE NOW",
		Description: `   ampulla baseline learn today.pcapng -o today.baseline
   ampulla baseline compare office.baseline today.baseline`,
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 2 {
				return usage("two baselines are needed", "ampulla baseline compare BEFORE NOW")
			}
			before, err := readBaseline(c.Args().Get(0))
			if err != nil {
				return err
			}
			now, err := readBaseline(c.Args().Get(1))
			if err != nil {
				return err
			}
			changes, err := before.Compare(now)
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				fmt.Fprintln(c.App.Writer, "nothing has changed to speak of")
			}
			for _, change := range changes {
				fmt.Fprintln(c.App.Writer, change.Text)
			}
			return nil
		},
	}
}

func forgetCommand() *cli.Command {
	return &cli.Command{
		Name:      "forget",
		Usage:     "forget what was learned of a host, or as usual of a type of alarm",
		ArgsUsage: "FILE",
		Description: `   ampulla baseline forget office.baseline --host 10.0.0.66
   ampulla baseline forget office.baseline --type port_scan
   ampulla baseline forget office.baseline --host 10.0.0.66 --type port_scan`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "host", Usage: "what `ADDRESS` did and suffered"},
			&cli.StringFlag{Name: "type", Usage: "alarms of this `TYPE`; with --host, of that host alone"},
		},
		Action: runForget,
	}
}

func runForget(c *cli.Context) error {
	const example = "ampulla baseline forget FILE --host ADDRESS"
	host, typ := c.String("host"), verdict.Type(c.String("type"))
	switch {
	case host == "" && typ == "":
		return usage("nothing to forget", example)
	case typ != "" && !slices.Contains(verdict.Types, typ):
		return usage(fmt.Sprintf("--type %q is no type", typ), "")
	}
	b, err := oneBaseline(c, example)
	if err != nil {
		return err
	}
	n, err := b.Forget(host, typ)
	if err != nil {
		return usageError{err, example}
	}
	fmt.Fprintf(c.App.ErrWriter, "ampulla: %d entries forgotten\n", n)
	return writeBaseline(c.Args().First(), c.App.Writer, b)
}

// oneBaseline reads the only argument.
func oneBaseline(c *cli.Context, example string) (*baseline.Baseline, error) {
	if c.Args().Len() != 1 {
		return nil, usage("one baseline is needed", example)
	}
	return readBaseline(c.Args().First())
}

// readBaseline reads a file.
func readBaseline(path string) (*baseline.Baseline, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	defer file.Close()
	b, err := baseline.Read(file)
	if err != nil {
		return nil, hintError{fmt.Errorf("%s: %w", path, err), "learn it again: ampulla baseline learn IN... -o FILE"}
	}
	return b, nil
}

// checkOutput returns an error if a baseline would replace something else.
func checkOutput(path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		if _, err := readBaseline(path); errors.Is(err, baseline.ErrNotBaseline) {
			return fmt.Errorf("%s is there and no baseline: it stays as it is", path)
		}
	}
	return nil
}

// writeBaseline puts a file in place.
func writeBaseline(path string, stdout io.Writer, b *baseline.Baseline) error {
	file, err := output.Create(path, stdout)
	if err != nil {
		return err
	}
	defer file.Discard()
	if err := b.Write(file); err != nil {
		return err
	}
	return file.Commit()
}
