package eval

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// JudgeReader runs a fresh engine over a capture and hands each verdict to
// each, in order. It must be safe for concurrent use.
type JudgeReader func(ctx context.Context, capture io.Reader, each func(*verdict.Verdict) error) error

// ClassConfig configures RunClasses.
type ClassConfig struct {
	Flows   *FlowTable
	Workers int // captures judged side by side, at least 1
	// Renumber replaces the port of every server by a random high one, which
	// depends on the capture, the port and this number; 0 leaves them.
	Renumber uint64
	// Keep, if not empty, is a folder to which the captures are written as they
	// were judged, for other tools to read.
	Keep string
	// Judge gives the verdicts, unless Answers does, which holds those of some
	// other tool. Without either nothing is judged.
	Judge   JudgeReader
	Answers *Answers
	// Warn is told of captures that could not be read to their end. What comes
	// before counts.
	Warn func(name string, err error)
}

// FlowResult is what the verdicts said of one labelled flow.
type FlowResult struct {
	File      string
	Truth     string // its class; empty if nobody knows
	PortTable string // what a table of ports says
	Class     string // of its last packet, verdict.UnknownClass if none
	First     string // of its first packet with payload
	// Named is the packet with payload at which it first got a class, 0 if
	// never.
	Named    int
	Payloads int  // packets with payload
	Inside   bool // it is a tunnel, and the verdicts are of what it carries
}

// RunClasses judges every capture of a folder that the table knows, and returns
// its flows in the order of the files and, within one, of appearance.
func RunClasses(ctx context.Context, captures string, cfg ClassConfig) ([]FlowResult, error) {
	var (
		group   errgroup.Group
		mu      sync.Mutex
		results = map[string][]FlowResult{}
		names   []string
	)
	group.SetLimit(cfg.Workers)
	for name := range cfg.Flows.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(captures, name)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		group.Go(func() error {
			flows, err := cfg.measure(ctx, captures, name)
			mu.Lock()
			defer mu.Unlock()
			results[name] = flows
			if broken := (*pcapng.Error)(nil); errors.As(err, &broken) {
				if cfg.Warn != nil {
					cfg.Warn(name, err)
				}
				return nil
			}
			return err
		})
	}
	err := group.Wait()
	var all []FlowResult
	for _, name := range names {
		all = append(all, results[name]...)
	}
	return all, err
}

// measure judges one capture.
func (cfg *ClassConfig) measure(ctx context.Context, captures, name string) ([]FlowResult, error) {
	file, err := os.Open(filepath.Join(captures, name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	frames, capture, broken := label(file, name, cfg.Flows.files[name], cfg.Renumber)
	if cfg.Keep != "" {
		if err := keep(filepath.Join(cfg.Keep, name), capture.Bytes()); err != nil {
			return nil, err
		}
	}
	m := flowMeter{name: name, frames: frames, at: map[*LabelledFlow]int{}}
	switch {
	case cfg.Answers != nil:
		for i, of := range frames {
			if err := m.add(&verdict.Verdict{Frame: uint64(i + 1), Class: cfg.Answers.of(name, of.flow, cfg.Renumber)}); err != nil {
				return nil, err
			}
		}
	case cfg.Judge != nil:
		if err := cfg.Judge(ctx, capture, m.add); err != nil {
			return nil, err
		}
	}
	return m.results, broken
}

// flowMeter turns verdicts into results of flows.
type flowMeter struct {
	name    string
	frames  []frameOf
	at      map[*LabelledFlow]int // in results
	results []FlowResult
}

func (m *flowMeter) add(v *verdict.Verdict) error {
	of := m.frames[v.Frame-1]
	if of.flow == nil {
		return nil
	}
	i, known := m.at[of.flow]
	if !known {
		i = len(m.results)
		m.at[of.flow] = i
		m.results = append(m.results, FlowResult{File: m.name, Truth: of.flow.Class, PortTable: of.flow.PortClass})
	}
	r := &m.results[i]
	r.Inside = r.Inside || of.inside
	r.Class = v.Class
	if !of.payload {
		return nil
	}
	r.Payloads++
	if r.Payloads == 1 {
		r.First = v.Class
	}
	if r.Named == 0 && v.Class != verdict.UnknownClass {
		r.Named = r.Payloads
	}
	return nil
}

func keep(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o666)
}
