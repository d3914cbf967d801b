package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/baseline"
	"ampulla/annotator/engine"
	"ampulla/annotator/output"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

func annotateCommand() *cli.Command {
	return &cli.Command{
		Name:      "annotate",
		Usage:     "write verdicts into a copy of a capture, as packet comments",
		ArgsUsage: "IN [OUT]",
		Description: `IN is a pcapng or pcap file, plain or compressed with gzip or zstd, or - for
standard input. OUT is a pcapng file, or - for standard output; it may be left
out with --verdicts or --incidents. Frames are never changed, and everything else in IN is
copied as it is; --strip takes the comments out again. With --hindsight IN is
read twice, and packets of an incident are marked from its very beginning.

   ampulla annotate office.pcapng annotated.pcapng
   ampulla annotate --hindsight office.pcapng annotated.pcapng
   tshark -r annotated.pcapng -Y 'ai.anomaly.score > 0.8'`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "comments", Value: string(rewrite.CommentFlagged), Usage: "which frames get a comment: `flagged`, all or none"},
			&cli.StringFlag{Name: "verdicts", Usage: "also write every verdict to `FILE` (or -), as JSON Lines"},
			&cli.StringFlag{Name: "incidents", Usage: "also write every incident, at the end, to `FILE` (or -), as JSON Lines"},
			thresholdFlag(), alarmsFlag(), hindsightFlag(), noFeedbackFlag(),
			&cli.BoolFlag{Name: "strip", Usage: "remove Ampulla's comments instead; gives the original file back"},
			baselineFlag(), configFlag(), workersFlag(), libraryFlag(),
		},
		Action: runAnnotate,
	}
}

// annotation is one run of the annotate command.
type annotation struct {
	in, out   string
	verdicts  string // file for JSON Lines; empty for none
	incidents string // likewise
	comments  rewrite.Comments
	hindsight bool
	baseline  *baseline.Baseline // nil for none
	// How much of the capture is held back in each batch, see config.Limits.
	batchFrames, batchBytes int
	input                   io.Reader
	stdout                  io.Writer
	stderr                  io.Writer
	progress                *progress
}

func runAnnotate(c *cli.Context) error {
	a, err := newAnnotation(c)
	if err != nil {
		return err
	}
	input, size, err := openInput(a.in, c.App.Reader)
	if err != nil {
		return err
	}
	defer input.Close()
	a.progress = newProgress(c.App.ErrWriter, size)
	a.input = a.progress.reader(input)
	if c.Bool("strip") {
		return a.write(func(w io.Writer) error {
			counts, err := rewrite.Strip(c.Context, a.input, w)
			a.progress.finish(fmt.Sprintf("%d comments removed", counts.Removed))
			return err
		})
	}
	collectBySlack()
	s, err := settings(c)
	if err != nil {
		return err
	}
	scorer, err := openScorer(c)
	if err != nil {
		return err
	}
	defer scorer.Close()
	a.batchFrames, a.batchBytes = s.Limits.Batch(workers(s))
	engineCfg, err := engineConfig(s, workers(s))
	if err != nil {
		return err
	}
	a.baseline = engineCfg.Baseline
	threshold, err := thresholdOf(c, a.baseline)
	if err != nil {
		return err
	}
	e, err := newEngine(c, a.in, engineCfg, scorer, rewrite.Config{MaxFrames: a.batchFrames, MaxBytes: a.batchBytes})
	if err != nil {
		return err
	}
	return a.annotate(c.Context, e, scorer.Manifest(), threshold)
}

// newAnnotation checks the command line.
func newAnnotation(c *cli.Context) (*annotation, error) {
	args := c.Args().Slice()
	a := &annotation{
		verdicts:  c.String("verdicts"),
		incidents: c.String("incidents"),
		comments:  rewrite.Comments(c.String("comments")),
		hindsight: c.Bool("hindsight"),
		stdout:    c.App.Writer,
		stderr:    c.App.ErrWriter,
	}
	switch {
	case len(args) == 0:
		return nil, usage("no input given", "ampulla annotate IN OUT")
	case len(args) > 2:
		return nil, usage(fmt.Sprintf("%d files given instead of two", len(args)), "ampulla annotate IN OUT")
	case len(args) == 2:
		a.out = args[1]
	case a.verdicts == "" && a.incidents == "" || c.Bool("strip"):
		return nil, usage("no output given", "ampulla annotate IN OUT, or --verdicts - to print the verdicts only")
	}
	a.in = args[0]
	if c.Bool("strip") {
		for _, other := range []string{"comments", "threshold", "verdicts", "incidents", "hindsight", "no-feedback", "baseline", "alarms-per-hour"} {
			if c.IsSet(other) {
				return nil, usage("--strip only removes comments, it cannot be combined with --"+other, "")
			}
		}
	}
	switch a.comments {
	case rewrite.CommentFlagged, rewrite.CommentAll, rewrite.CommentNone:
	default:
		return nil, usage(fmt.Sprintf("--comments %q is none of flagged, all, none", a.comments), "")
	}
	if err := checkThreshold(c); err != nil {
		return nil, err
	}
	toStdout := 0
	for _, name := range []string{a.out, a.verdicts, a.incidents} {
		if name == "-" {
			toStdout++
		}
	}
	if toStdout > 1 {
		return nil, usage("only one of the capture, the verdicts and the incidents can go to standard output", "")
	}
	if bad, ok := errors.AsType[*output.NameError](output.CheckName(a.out)); ok {
		return nil, usageError{bad, bad.Advice}
	}
	return a, nil
}

// annotate is the command proper: the capture, the verdicts, the incidents or
// several of them.
func (a *annotation) annotate(ctx context.Context, e *engine.Engine, m *score.Manifest, threshold float64) error {
	verdicts, err := a.lines(a.verdicts)
	if err != nil {
		return err
	}
	defer verdicts.Discard()
	incidents, err := a.lines(a.incidents)
	if err != nil {
		return err
	}
	defer incidents.Discard()
	tally := newTally(threshold)
	cfg := rewrite.Config{
		Engine:     e,
		Comments:   a.comments,
		Threshold:  threshold,
		Provenance: a.provenance(m, threshold),
		MaxFrames:  a.batchFrames,
		MaxBytes:   a.batchBytes,
		OnVerdict: func(v *verdict.Verdict) error {
			tally.add(v)
			return verdicts.add(v.AppendJSON)
		},
	}
	cfg.Provenance.Hindsight, cfg.Provenance.Rules = a.hindsight, e.Rules()
	err = a.write(func(w io.Writer) error {
		counts, err := rewrite.Annotate(ctx, a.input, w, cfg)
		a.progress.finish(tally.summary(), incidentLines(e.Incidents(), threshold)...)
		if counts.Uncommentable > 0 {
			fmt.Fprintf(a.stderr, "ampulla: warning: %d frames got no comment: blocks of their kind, such as Simple Packet Blocks, cannot hold any\n", counts.Uncommentable)
		}
		return err
	})
	if err != nil && !pcapng.IsBroken(err) {
		return err
	}
	for _, i := range e.Incidents() {
		if err := incidents.add(i.AppendJSON); err != nil {
			return err
		}
	}
	for _, l := range []*lines{verdicts, incidents} {
		if committing := l.Commit(); err == nil {
			err = committing
		}
	}
	return err
}

// provenance says how the capture was annotated.
func (a *annotation) provenance(m *score.Manifest, threshold float64) verdict.Provenance {
	p := m.Provenance(version, threshold, string(a.comments))
	if a.baseline != nil {
		p.Baseline = a.baseline.Hash()
	}
	return p
}

// lines are JSON Lines for a file; nil if there is none.
type lines struct {
	*output.File
	line []byte
}

// lines opens a file for JSON Lines, unless its name is empty.
func (a *annotation) lines(name string) (*lines, error) {
	if name == "" {
		return nil, nil
	}
	file, err := output.Create(name, a.stdout)
	return &lines{File: file}, err
}

// add writes a line of what appends it to a buffer.
func (l *lines) add(appendTo func([]byte) []byte) error {
	if l == nil {
		return nil
	}
	l.line = append(appendTo(l.line[:0]), '\n')
	_, err := l.Write(l.line)
	return err
}

// Commit puts the file in place.
func (l *lines) Commit() error {
	if l == nil {
		return nil
	}
	return l.File.Commit()
}

// Discard removes the file, unless it is in place.
func (l *lines) Discard() {
	if l != nil {
		l.File.Discard()
	}
}

// write runs work with the output, and puts the output in place when work is
// done, or when it had to stop because the input is broken: what was read up
// to there is good.
func (a *annotation) write(work func(io.Writer) error) error {
	if a.out == "" {
		return named(a.in, work(nil))
	}
	out, err := output.Create(a.out, a.stdout)
	if err != nil {
		return err
	}
	err = named(a.in, work(out.Writer))
	path, settling := out.Settle(a.in, err)
	switch {
	case err == nil || path == "":
		return errors.Join(err, settling)
	case path != a.out:
		return errors.Join(hintError{err, a.out + " stays as it was; what could be read is in " + path}, settling)
	}
	return errors.Join(hintError{err, "what comes before is in " + a.out}, settling)
}

// named puts the input's name before an error of the input.
func named(in string, err error) error {
	if errors.As(err, new(*pcapng.Error)) {
		return fmt.Errorf("%s: %w", in, err)
	}
	return err
}

// openInput opens a capture; size is 0 when it is not known.
func openInput(name string, stdin io.Reader) (r io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(stdin), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("is a folder")}
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if info.Mode().IsRegular() {
		size = info.Size()
	}
	return file, size, nil
}

func usage(message, hint string) error { return usageError{errors.New(message), hint} }
