package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/urfave/cli/v2"

	"ampulla/annotator/config"
	"ampulla/annotator/engine"
	"ampulla/annotator/output"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/report"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/transaction"
	"ampulla/annotator/verdict"
	"ampulla/annotator/web"
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
			&cli.Float64Flag{Name: "threshold", Value: verdict.AnomalousScore, Usage: "frames that score above `SCORE` (0 to 1) are flagged"},
			&cli.BoolFlag{Name: "schema", Usage: "print the schema of the JSON form, and do nothing else"},
			configFlag(), workersFlag(), libraryFlag(),
		},
		Action: runReport,
	}
}

// reporting is one run of the report command.
type reporting struct {
	in       string
	outputs  []string
	har      string
	keyLog   string
	settings *config.Settings
	stdout   io.Writer

	frames *report.Collector
	web    *web.Collector
	reader *transaction.Reader // nil without tshark
	left   uint64              // frames of floods and scans, which tshark did not get
	count  uint64
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
	e, err := engine.New(r.settings.Engine(workers(r.settings)), scorer)
	if err != nil {
		return err
	}
	progress := newProgress(c.App.ErrWriter, size)
	broken, err := r.read(c.Context, progress.reader(input), e, c.Float64("threshold"))
	if err != nil {
		return err
	}
	made := report.Made{
		Version: version, Models: scorer.Manifest().Version, Threshold: c.Float64("threshold"),
		Tshark: r.reader != nil, KeyLog: r.keyLog != "",
	}
	out, err := r.result(made, e.Incidents(), broken)
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
	r := &reporting{outputs: c.StringSlice("output"), har: c.String("har"), keyLog: c.String("key-log"), stdout: c.App.Writer}
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
	for _, name := range r.outputs {
		if formOf(name) == "" {
			return nil, usage(name+": its name does not say the form", "name the output .html, .md or .json")
		}
	}
	if t := c.Float64("threshold"); !(t >= 0 && t <= 1) {
		return nil, usage(fmt.Sprintf("--threshold %v is not between 0 and 1", t), "")
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

// read reads the whole capture, once: each frame goes through the engine and,
// with its verdict, to what sums up. broken is the error of a capture that
// breaks off.
func (r *reporting) read(ctx context.Context, input io.Reader, e *engine.Engine, threshold float64) (broken, err error) {
	r.frames = report.NewCollector(threshold)
	if r.web, err = web.New(r.settings.Web); err != nil {
		return nil, err
	}
	tracking := transaction.Default()
	tracking.OnExchange, tracking.OnConnection, tracking.OnLookup = r.web.Exchange, r.web.Connection, r.web.Lookup
	r.reader, err = transaction.Start(ctx, r.keyLog, tracking)
	if err != nil && !errors.Is(err, transaction.ErrNoTshark) {
		return nil, err
	}
	_, err = rewrite.Annotate(ctx, input, nil, rewrite.Config{
		Engine: e, Threshold: threshold, OnBlock: r.block,
		MaxFrames: r.settings.Limits.MaxPackets, MaxBytes: int(r.settings.Limits.PacketBuffer),
	})
	if pcapng.IsBroken(err) {
		return err, nil
	}
	return nil, err
}

// block takes a block of the capture, and its verdict if it is a frame.
func (r *reporting) block(b *pcapng.Block, v *verdict.Verdict) error {
	if v == nil {
		if r.reader != nil {
			r.reader.Block(b, 0, "")
		}
		return nil
	}
	r.frames.Frame(b, v)
	switch {
	case r.reader == nil:
	case v.Score > verdict.AnomalousScore && isNoise(v.Type):
		r.left++
	default:
		r.reader.Block(b, v.Frame, v.Class)
	}
	return nil
}

// isNoise tells whether packets of a type come in such numbers, and say so
// little, that tshark is spared them.
func isNoise(t verdict.Type) bool {
	return t == verdict.Flood || t == verdict.PortScan || t == verdict.HostScan
}

// result puts the report together.
func (r *reporting) result(made report.Made, incidents []verdict.Incident, broken error) (*report.Report, error) {
	var trouble error
	if r.reader != nil {
		trouble = r.reader.Close()
	}
	out := r.frames.Result(incidents, r.web.Name)
	thresholds, err := yaml.Marshal(map[string]any{"detectors": r.settings.Detectors, "web": r.settings.Web})
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	made.Thresholds = string(thresholds)
	out.Made = made
	out.Capture.Name = filepath.Base(r.in)
	if r.in == "-" {
		out.Capture.Name = "standard input"
	}
	if broken != nil {
		out.Capture.Broken = broken.Error()
	}
	if r.reader != nil {
		result := r.web.Result(r.frames.End())
		switch {
		case trouble != nil:
			result.Note = "This part ends early: " + trouble.Error() + "."
		case r.left > 0:
			result.Note = fmt.Sprintf("%d packets of floods and scans were left out of this part.", r.left)
		}
		out.AddWeb(result)
	}
	out.Finish()
	return out, nil
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
			return fmt.Errorf("%s: %w", cmp.Or(name, "-"), err)
		}
		if err := file.Commit(); err != nil {
			return err
		}
	}
	return nil
}
