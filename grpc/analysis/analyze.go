package analysis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ampulla/annotator/pcapng"
	"ampulla/annotator/reread"
	"ampulla/annotator/rewrite"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Options are how a capture is judged.
type Options struct {
	// Threshold is the score above which packets are flagged; nil for the usual.
	Threshold *float64
	// AlarmsPerHour, if not 0, has the annotator's baseline choose the threshold.
	AlarmsPerHour float64
	// Comments are which packets get a comment in the annotated file: "flagged",
	// also if empty, "all" or "none".
	Comments string
	// Hindsight also marks packets of an incident from before it became visible;
	// of captures that are judged as a file.
	Hindsight bool
}

// selections are the values of Options.Comments.
var selections = map[string]annotatorv1.Selection{
	"":        annotatorv1.Selection_SELECTION_FLAGGED,
	"flagged": annotatorv1.Selection_SELECTION_FLAGGED,
	"all":     annotatorv1.Selection_SELECTION_ALL,
	"none":    annotatorv1.Selection_SELECTION_NONE,
}

// check returns an INVALID_ARGUMENT error if the options make no sense.
func (o *Options) check() error {
	if _, ok := selections[o.Comments]; !ok {
		return status.Errorf(codes.InvalidArgument, "comments: %.20q is none of flagged, all, none", o.Comments)
	}
	if o.Threshold != nil && !(*o.Threshold >= 0 && *o.Threshold <= 1) {
		return status.Errorf(codes.InvalidArgument, "threshold: %v is not between 0 and 1", *o.Threshold)
	}
	if n := o.AlarmsPerHour; !(n >= 0) || math.IsInf(n, 0) || n > 0 && o.Threshold != nil {
		return status.Errorf(codes.InvalidArgument, "alarms_per_hour: %v is not more than 0, or there is a threshold as well", n)
	}
	return nil
}

func (s *Store) session(o Options) *annotatorv1.SessionOptions {
	return &annotatorv1.SessionOptions{Client: s.cfg.Client, Threshold: o.Threshold, AlarmsPerHour: o.AlarmsPerHour}
}

// Upload judges a capture that is sent. It returns when the capture has arrived.
//
//	INVALID_ARGUMENT    options, or an empty or broken body
//	RESOURCE_EXHAUSTED  too many jobs, or no room
//	ErrTooLarge
func (s *Store) Upload(body io.Reader, options Options) (*Job, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	if s.Queued() >= s.cfg.MaxQueued {
		return nil, status.Errorf(codes.ResourceExhausted, "%d jobs are waiting already", s.cfg.MaxQueued)
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	default:
		return nil, status.Errorf(codes.ResourceExhausted, "%d uploads are under way already", s.cfg.MaxUploads)
	}
	file, err := s.spool(body)
	if err != nil {
		return nil, err
	}
	return s.analyze(file, "upload", options, "") // which nobody opens by its name
}

// Analyze judges the capture at path, which must be below an allowed folder.
//
//	INVALID_ARGUMENT    options
//	NOT_FOUND           there is no such file
//	PERMISSION_DENIED   it is in no allowed folder, or there are symbolic links
//	RESOURCE_EXHAUSTED  too many jobs
func (s *Store) Analyze(path string, options Options) (*Job, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	if path == "" {
		return nil, status.Error(codes.InvalidArgument, "path: which capture?")
	}
	file, err := s.open(path)
	if err != nil {
		return nil, err
	}
	return s.analyze(file, path, options, s.rules())
}

// Open returns the latest analysis of the capture at path, as long as the file
// and the rules of feedback are the same, and begins one if there is none that is
// or may become of use: one in hindsight, or one that is not. Its errors are those
// of Analyze.
func (s *Store) Open(path string, hindsight bool) (*Job, error) {
	if path == "" {
		return nil, status.Error(codes.InvalidArgument, "path: which capture?")
	}
	file, err := s.open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	rules := s.rules()
	for _, j := range s.Jobs() {
		if j.isOf(info) && j.rules == rules && j.hindsight == hindsight {
			return j, file.Close()
		}
	}
	return s.analyze(file, path, Options{Hindsight: hindsight}, rules)
}

// isOf tells whether a job's packets are those of a file, or will be.
func (j *Job) isOf(info os.FileInfo) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file != nil && reread.Same(j.file, info) &&
		j.usual && !j.evicted && j.state.State != annotatorv1.Job_FAILED && j.state.State != annotatorv1.Job_CANCELLED
}

// analyze starts the analysis of an open file, which it closes. rules are those of
// Store.rules.
func (s *Store) analyze(file *os.File, source string, options Options, rules string) (*Job, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	j := &Job{
		file: info, usual: options == Options{Hindsight: options.Hindsight}, hindsight: options.Hindsight, rules: rules,
		state: annotatorv1.Job{Source: source, Started: timestamppb.Now()},
	}
	started, err := s.start(j, func(ctx context.Context) error {
		defer file.Close()
		return j.analyze(ctx, file, options)
	})
	if err != nil {
		_ = file.Close()
	}
	return started, err
}

// analyze indexes the packets of a capture and has them judged.
func (j *Job) analyze(ctx context.Context, file *os.File, options Options) error {
	j.update(func(s *annotatorv1.Job) { s.State = annotatorv1.Job_ANALYZING })
	index := newIndex(j.store)
	kept := false
	defer func() {
		if !kept {
			j.store.release(index.reserved)
		}
	}()
	limit := &limited{max: j.store.cfg.MaxCapture}
	_, err := rewrite.Annotate(ctx, file, limit, rewrite.Config{Engine: index, Comments: rewrite.CommentNone})
	switch {
	case errors.Is(err, pcapng.ErrFormat):
		return status.Error(codes.InvalidArgument, err.Error())
	case err != nil && !pcapng.IsBroken(err):
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	summary, err := j.judge(ctx, file, options, index)
	if err != nil {
		return err
	}
	index.finish()
	j.mu.Lock()
	j.index, j.incidents = index, summary.GetIncidents().GetIncidents()
	j.mu.Unlock()
	kept = true
	j.update(func(s *annotatorv1.Job) { describe(s, summary, index) })
	return nil
}

// describe puts what came out into the state.
func describe(s *annotatorv1.Job, sum *annotatorv1.AnalyzeSummary, index *index) {
	s.Packets, s.Flagged, s.Flows = uint32(sum.GetFrames()), uint32(sum.GetFlagged()), uint32(sum.GetFlows())
	s.Types, s.Classes = map[string]uint32{}, map[string]uint32{}
	for name, n := range sum.GetFlaggedByType() {
		s.Types[name] = uint32(n)
	}
	for name, n := range sum.GetFramesByClass() {
		s.Classes[name] = uint32(n)
	}
	s.Incidents = uint32(len(sum.GetIncidents().GetIncidents())) + uint32(sum.GetIncidents().GetLeftOut())
	s.Threshold = sum.GetThreshold()
	s.Bytes, s.LeftOut = index.bytes, index.leftOut
	if s.Packets > 0 {
		s.First, s.Last = stamp(sum.GetFirstNs()), stamp(sum.GetLastNs())
	}
	if b := sum.GetBroken(); b != nil {
		s.Error = fmt.Sprintf("the capture breaks off: block %d at offset %d: %s", b.GetBlock(), b.GetOffset(), b.GetCause())
	}
	s.DisplayFilter = `frame.comment contains "ai/1 "`
	s.File = "/v1/jobs/" + s.Id + "/file"
}

func stamp(ns int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(0, ns)) }

// judge sends a capture to the annotator, which writes the annotated file.
func (j *Job) judge(ctx context.Context, file *os.File, options Options, index *index) (*annotatorv1.AnalyzeSummary, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var content io.Reader = file
	if options.Hindsight {
		content = io.MultiReader(io.NewSectionReader(file, 0, info.Size()), io.NewSectionReader(file, 0, info.Size()))
	}
	return analyze(ctx, j.store.cfg.Annotator, content, &annotatorv1.AnalyzeOptions{
		Hindsight: options.Hindsight, Session: j.store.session(options), Size: uint64(info.Size()), Output: j.path(),
		Comments: selections[options.Comments], Verdicts: annotatorv1.Selection_SELECTION_ALL,
	}, func(answer *annotatorv1.AnalyzeResponse) {
		for _, v := range answer.GetVerdicts().GetVerdicts() {
			index.judge(v)
		}
		if p := answer.GetProgress(); p != nil {
			j.update(func(s *annotatorv1.Job) {
				s.Packets, s.Flagged = uint32(p.GetFrames()), uint32(p.GetFlagged())
				if p.GetBytesTotal() > 0 {
					s.Progress = float64(p.GetBytesRead()) / float64(p.GetBytesTotal())
				}
			})
		}
	})
}

// chunkLen is how much of a file is sent at once, in bytes.
const chunkLen = 256 << 10

// analyze is one call of Analyze with the file in chunks.
func analyze(ctx context.Context, annotator annotatorv1.AnnotatorClient, file io.Reader, options *annotatorv1.AnalyzeOptions,
	heard func(*annotatorv1.AnalyzeResponse)) (*annotatorv1.AnalyzeSummary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	calls, err := annotator.Analyze(ctx)
	if err != nil {
		return nil, err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(calls, file, options) }()
	defer func() {
		cancel()
		<-sent // nobody reads the file any more
		sent <- nil
	}()
	for {
		answer, err := calls.Recv()
		if err != nil {
			cancel()
			if reading := <-sent; reading != nil {
				err = reading
			}
			sent <- nil
			return nil, err
		}
		if s := answer.GetSummary(); s != nil {
			return s, nil
		}
		heard(answer)
	}
}

type analyzeCalls interface {
	Send(*annotatorv1.AnalyzeRequest) error
	CloseSend() error
}

// send sends options and file. Only an error of the file is returned: the
// stream's own comes with what is received.
func send(calls analyzeCalls, file io.Reader, options *annotatorv1.AnalyzeOptions) error {
	err := calls.Send(&annotatorv1.AnalyzeRequest{Message: &annotatorv1.AnalyzeRequest_Options{Options: options}})
	buffer := make([]byte, chunkLen)
	for err == nil {
		n, reading := io.ReadFull(file, buffer)
		if n > 0 {
			err = calls.Send(&annotatorv1.AnalyzeRequest{Message: &annotatorv1.AnalyzeRequest_Chunk{Chunk: buffer[:n]}})
		}
		if errors.Is(reading, io.EOF) || errors.Is(reading, io.ErrUnexpectedEOF) {
			_ = calls.CloseSend()
			return nil
		}
		if reading != nil {
			return reading
		}
	}
	return nil
}

// limited takes so many bytes, and throws them away.
type limited struct{ max int64 }

func (l *limited) Write(p []byte) (int, error) {
	if l.max -= int64(len(p)); l.max < 0 {
		return 0, status.Error(codes.OutOfRange, "the capture is larger than allowed when uncompressed (limits.max_capture)")
	}
	return len(p), nil
}
