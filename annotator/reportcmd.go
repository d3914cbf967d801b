package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"ampulla/annotator/output"
	"ampulla/annotator/report"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "sum a capture up for people: incidents, the web and the shop, advice",
		ArgsUsage: "IN",
		Description: `IN is a pcapng or pcap file, plain or compressed with gzip or zstd, or - for
standard input. The name of the output says its form: .html is a page to attach
to a ticket, .md the same as text, .json the same for programs. The part about
the web needs tshark.

   ampulla report shop.pcapng -o shop.html
   ampulla report --key-log keys.txt shop.pcapng -o shop.json --har shop.har`,
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`.html, .md or .json (- is standard output, as Markdown); may be given several times"},
			&cli.StringFlag{Name: "har", Usage: "also write the requests and their answers to `FILE`, as HAR 1.2"},
			&cli.StringFlag{Name: "key-log", Usage: "decrypt TLS with the secrets in `FILE`, as written to SSLKEYLOGFILE"},
			thresholdFlag(), alarmsFlag(), hindsightFlag(), noFeedbackFlag(),
			&cli.BoolFlag{Name: "schema", Usage: "print the schema of the JSON form, and do nothing else"},
			baselineFlag(), configFlag(), workersFlag(), libraryFlag(),
		},
		Action: runReport,
	}
}

func runReport(c *cli.Context) error {
	if c.Bool("schema") {
		_, err := c.App.Writer.Write(report.Schema)
		return err
	}
	r, err := newReporting(c)
	if err != nil {
		return err
	}
	input, size, err := openInput(r.in, c.App.Reader)
	if err != nil {
		return err
	}
	defer input.Close()
	if r.settings, err = settings(c); err != nil {
		return err
	}
	scorer, err := openScorer(c)
	if err != nil {
		return err
	}
	defer scorer.Close()
	engineCfg, err := engineConfig(r.settings, workers(r.settings))
	if err != nil {
		return err
	}
	if r.threshold, err = thresholdOf(c, engineCfg.Baseline); err != nil {
		return err
	}
	e, err := newEngine(c, r.in, engineCfg, scorer, r.batch())
	if err != nil {
		return err
	}
	r.baseline, r.rules = engineCfg.Baseline.Hash(), e.Rules()
	defer r.close()
	if err := r.start(c.Context); err != nil {
		return err
	}
	progress := newProgress(c.App.ErrWriter, size)
	broken, err := r.read(c.Context, progress.reader(input), e)
	if err != nil {
		return err
	}
	out, err := r.result(scorer.Manifest().Version, e.Incidents(), broken)
	if err != nil {
		return err
	}
	progress.finish(fmt.Sprintf("%d frames, %d flagged", out.Capture.Frames, out.Capture.Flagged))
	if err := r.write(out); err != nil {
		return err
	}
	return named(r.in, broken)
}

// newReporting checks the command line.
func newReporting(c *cli.Context) (*reporting, error) {
	r := &reporting{
		outputs: c.StringSlice("output"), har: c.String("har"), keyLog: c.String("key-log"),
		hindsight: c.Bool("hindsight"), stdout: c.App.Writer,
	}
	switch args := c.Args().Slice(); {
	case len(args) == 0:
		return nil, usage("no input given", "ampulla report IN -o OUT.html")
	case len(args) > 1:
		return nil, usage(fmt.Sprintf("%d files given instead of one", len(args)), "ampulla report IN -o OUT.html")
	case len(r.outputs) == 0 && r.har == "":
		return nil, usage("no output given", "ampulla report IN -o OUT.html, or -o - to print it")
	default:
		r.in = args[0]
	}
	toStdout := 0
	for _, name := range append([]string{r.har}, r.outputs...) {
		if name == "-" {
			toStdout++
		}
	}
	if toStdout > 1 {
		return nil, usage("only one thing can go to standard output", "")
	}
	for _, name := range r.outputs {
		if formOf(name) == "" {
			return nil, usage(name+": its name does not say the form", "name the output .html, .md or .json")
		}
	}
	if err := checkThreshold(c); err != nil {
		return nil, err
	}
	if r.keyLog != "" {
		if _, err := os.Stat(r.keyLog); err != nil {
			return nil, fmt.Errorf("key log: %w", err)
		}
	}
	return r, nil
}

// formOf returns the form of an output by its name; empty if it has none.
func formOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".html", ".htm":
		return "html"
	case ".md", ".markdown":
		return "md"
	case ".json":
		return "json"
	}
	if name == "-" {
		return "md"
	}
	return ""
}

// write writes the report to all outputs.
func (r *reporting) write(out *report.Report) error {
	for _, name := range r.outputs {
		file, err := output.Create(name, r.stdout)
		if err != nil {
			return err
		}
		switch formOf(name) {
		case "html":
			err = out.HTML(file)
		case "json":
			err = out.JSON(file)
		default:
			err = out.Markdown(file)
		}
		if err != nil {
			file.Discard()
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := file.Commit(); err != nil {
			return err
		}
	}
	return nil
}
