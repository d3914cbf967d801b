package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/goccy/go-yaml"

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

// reporting is one run of the report command. The capture is read once:
//
//	frame -> engine -> verdict -> report.Collector                \
//	      \-> tshark -> transaction -> web.Collector, HAR          -> report.Report -> outputs
type reporting struct {
	in        string
	outputs   []string
	har       string
	keyLog    string
	threshold float64
	hindsight bool
	baseline  string // hash of what it is measured against; empty for nothing
	rules     int    // of feedback
	stdout    io.Writer
	settings  *config.Settings

	frames  *report.Collector
	web     *web.Collector
	reader  *transaction.Reader // nil without tshark
	stop    context.CancelFunc  // of tshark
	archive *transaction.HAR    // nil without a HAR
	file    *output.File        // of the HAR
	left    uint64              // frames of floods and scans, which tshark did not get
}

// start makes ready what sums up, and starts tshark, if it is there.
func (r *reporting) start(ctx context.Context) (err error) {
	r.frames = report.NewCollector(r.threshold)
	if r.web, err = web.New(r.settings.Web); err != nil {
		return err
	}
	tracking := transaction.Default()
	tracking.OnExchange, tracking.OnConnection, tracking.OnLookup = r.web.Exchange, r.web.Connection, r.web.Lookup
	if r.har != "" {
		if r.file, err = output.Create(r.har, r.stdout); err != nil {
			return err
		}
		r.archive = transaction.NewHAR(r.file, version)
		tracking.OnExchange = func(x *transaction.Exchange) {
			r.web.Exchange(x)
			r.archive.Add(x)
		}
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.reader, err = transaction.Start(ctx, r.keyLog, tracking)
	switch {
	case errors.Is(err, transaction.ErrNoTshark) && r.har != "":
		return hintError{err, "requests are read by tshark; on Debian: apt install tshark"}
	case errors.Is(err, transaction.ErrNoTshark):
		return nil // the report says so
	}
	return err
}

// close gives up what is not complete; it does nothing once all is.
func (r *reporting) close() {
	if r.stop != nil {
		r.stop()
	}
	if r.reader != nil {
		_ = r.reader.Close()
	}
	if r.file != nil {
		r.file.Discard()
	}
}

// read passes the whole capture through the engine. broken is the error of a
// capture that breaks off.
func (r *reporting) read(ctx context.Context, input io.Reader, e *engine.Engine) (broken, err error) {
	cfg := r.batch()
	cfg.Engine, cfg.Threshold, cfg.OnBlock = e, r.threshold, r.block
	_, err = rewrite.Annotate(ctx, input, nil, cfg)
	if pcapng.IsBroken(err) {
		return err, nil
	}
	return nil, err
}

// batch bounds what is held back. Larger batches are no faster here, and a report
// should fit beside much else.
func (r *reporting) batch() rewrite.Config {
	return rewrite.Config{
		MaxFrames: min(r.settings.Limits.MaxPackets, rewrite.DefaultMaxFrames), MaxBytes: int(r.settings.Limits.PacketBuffer),
	}
}

// block takes a block of the capture, and its verdict if it is a frame.
func (r *reporting) block(b *pcapng.Block, v *verdict.Verdict) error {
	if v != nil {
		r.frames.Frame(b, v)
	}
	switch {
	case r.reader == nil:
	case v == nil:
		r.reader.Block(b, 0, "", false)
	default:
		noise := v.Score > verdict.AnomalousScore && isNoise(v.Type)
		if !r.reader.Block(b, v.Frame, v.Class, noise) && noise {
			r.left++
		}
	}
	return nil
}

// isNoise tells whether packets of a type come in such numbers, and say so
// little, that tshark is spared those that carry nothing.
func isNoise(t verdict.Type) bool {
	return t == verdict.Flood || t == verdict.PortScan || t == verdict.HostScan
}

// result puts the report together, and the HAR in place.
func (r *reporting) result(models string, incidents []verdict.Incident, broken error) (*report.Report, error) {
	var trouble error
	if r.reader != nil {
		trouble = r.reader.Close()
	}
	if r.archive != nil {
		if err := errors.Join(r.archive.Close(), r.file.Commit()); err != nil {
			return nil, fmt.Errorf("%s: %w", r.har, err)
		}
	}
	thresholds, err := yaml.Marshal(map[string]any{"detectors": r.settings.Detectors, "web": r.settings.Web})
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	out := r.frames.Result(incidents, r.web.Name)
	out.Made = report.Made{
		Version: version, Models: models, Threshold: r.threshold, Thresholds: string(thresholds),
		Tshark: r.reader != nil, KeyLog: r.keyLog != "",
		Hindsight: r.hindsight, Baseline: verdict.Short(r.baseline), Rules: r.rules,
	}
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
