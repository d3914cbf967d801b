package server

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/baseline"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Limits of one session's messages, as the contract states them.
const (
	maxBatch  = 4096    // frames
	maxName   = 100     // bytes of a client's or a model's name
	maxModels = 16      // versions that a client accepts
	maxData   = 262_144 // bytes of a frame
)

var errNoOptions = status.Error(codes.InvalidArgument, "the first message must carry the options")

// checkBatch returns an error unless a batch may hold n frames.
func checkBatch(n int) error {
	if n < 1 || n > maxBatch {
		return status.Errorf(codes.InvalidArgument, "a batch of %d frames is not between 1 and %d", n, maxBatch)
	}
	return nil
}

// Session judges one capture.
func (s *Server) Session(stream grpc.BidiStreamingServer[annotatorv1.SessionRequest, annotatorv1.SessionResponse]) error {
	first, err := receive[annotatorv1.SessionRequest](stream)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if first.GetOptions() == nil {
		return errNoOptions
	}
	session, err := s.newSession(stream.Context(), first.GetOptions(), s.cfg.Engine)
	if err != nil {
		return err
	}
	defer session.close()
	started := &annotatorv1.SessionStarted{Version: s.cfg.Version, Model: s.cfg.Scorer.Manifest().Version, Contract: annotatorv1.Contract,
		Threshold: session.threshold, BaselineSha256: session.baseline, Rules: uint32(session.engine.Rules())}
	if err := stream.Send(&annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Started{Started: started}}); err != nil {
		return err
	}
	return newExchange(session, stream).run()
}

// session judges the frames of one capture, whichever call brings them.
type session struct {
	server     *Server
	leave      func() // makes room for another
	engine     *engine.Engine
	watcher    watcher
	rules      annotatorv1.Rules
	terseBelow float64
	threshold  float64
	baseline   string // hash of what it is measured against; empty for nothing
}

// newSession checks the options, which may be nil, and begins a session, which
// has to be closed.
func (s *Server) newSession(ctx context.Context, options *annotatorv1.SessionOptions, cfg engine.Config) (*session, error) {
	if err := s.checkOptions(options); err != nil {
		return nil, err
	}
	normal, err := s.baseline(ctx, options)
	if err != nil {
		return nil, err
	}
	threshold, err := threshold(options, normal.Baseline)
	if err != nil {
		return nil, err
	}
	leave, err := s.admit(options.GetClient())
	if err != nil {
		return nil, err
	}
	cfg.Rules, cfg.Baseline = s.rules(options.GetRules()), normal.Baseline
	if normal.watch != nil && cfg.Explain == 0 { // what is explained was seen before
		cfg.Learner = baseline.NewLearner(normal.Identity())
	}
	e, err := engine.New(cfg, s.cfg.Scorer)
	if err != nil {
		leave()
		return nil, status.Error(codes.FailedPrecondition, err.Error()) // New has checked the rest
	}
	return &session{server: s, leave: leave, engine: e, watcher: watcher{s, normal.watch, cfg.Learner, 0, time.Now()},
		rules: options.GetRules(), terseBelow: options.GetTerseBelow(), threshold: threshold, baseline: normal.hash}, nil
}

// close ends the session. Nothing may use it any more.
func (s *session) close() {
	s.watcher.close()
	s.leave()
}

// checkOptions checks what the contract says of a session's options.
func (s *Server) checkOptions(options *annotatorv1.SessionOptions) error {
	model, alarms := s.cfg.Scorer.Manifest().Version, options.GetAlarmsPerHour()
	switch {
	case len(options.GetClient()) > maxName:
		return status.Errorf(codes.InvalidArgument, "client: %d bytes, more than %d", len(options.GetClient()), maxName)
	case !(options.GetTerseBelow() >= 0 && options.GetTerseBelow() <= 1):
		return status.Errorf(codes.InvalidArgument, "terse_below: %v is not between 0 and 1", options.GetTerseBelow())
	case !(options.GetThreshold() >= 0 && options.GetThreshold() <= 1):
		return status.Errorf(codes.InvalidArgument, "threshold: %v is not between 0 and 1", options.GetThreshold())
	case !(alarms >= 0) || math.IsInf(alarms, 0):
		return status.Errorf(codes.InvalidArgument, "alarms_per_hour: %v is not more than 0", alarms)
	case alarms > 0 && options.Threshold != nil:
		return status.Error(codes.InvalidArgument, "alarms_per_hour: there is a threshold as well")
	case len(options.GetModels()) > maxModels:
		return status.Errorf(codes.InvalidArgument, "models: %d, more than %d", len(options.GetModels()), maxModels)
	case slices.ContainsFunc(options.GetModels(), func(name string) bool { return len(name) > maxName }):
		return status.Errorf(codes.InvalidArgument, "models: a name of more than %d bytes", maxName)
	case len(options.GetModels()) > 0 && !slices.Contains(options.GetModels(), model):
		return status.Errorf(codes.FailedPrecondition, "models: this annotator has %s, not %q", model, options.GetModels())
	case annotatorv1.Rules_name[int32(options.GetRules())] == "":
		return status.Errorf(codes.InvalidArgument, "rules: there are no %d", options.GetRules())
	}
	return nil
}

// Process judges the next frames within the limits, and counts them. Its errors
// are those to answer with.
func (s *session) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	have := len(out)
	out, err := s.judge(frames, out)
	if err != nil {
		return nil, err
	}
	s.count(out[have:])
	s.watcher.saw(len(frames))
	s.watcher.compare()
	return out, nil
}

// judge is Process, but that it counts only the time.
func (s *session) judge(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	begin := time.Now()
	out, err := s.engine.Process(frames, out)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	s.server.busy.Add(uint64(time.Since(begin)))
	return out, nil
}

// prepare is what comes before frames are judged.
func (s *session) prepare() error {
	if s.rules == annotatorv1.Rules_RULES_FOLLOW {
		s.engine.SetRules(s.server.rules(s.rules))
	}
	return s.server.checkMemory()
}

// count counts verdicts.
func (s *session) count(verdicts []verdict.Verdict) {
	flagged := uint64(0)
	for i := range verdicts {
		if s.flagged(&verdicts[i]) {
			flagged++
		}
	}
	s.server.frames.Add(uint64(len(verdicts)))
	s.server.flagged.Add(flagged)
}

func (s *session) flagged(v *verdict.Verdict) bool { return v.Score > s.threshold }

// provenance says how the frames of the session are annotated.
func (s *session) provenance(comments rewrite.Comments) verdict.Provenance {
	p := s.server.cfg.Scorer.Manifest().Provenance(s.server.cfg.Version, s.threshold, string(comments))
	p.Rules, p.Baseline = s.engine.Rules(), s.baseline
	return p
}
