package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"ampulla/annotator/verdict"
	"ampulla/grpc/wire"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Explanation says where the score of a frame comes from.
type Explanation struct {
	Verdict verdict.Verdict
	// Features are what the anomaly model saw, the most unusual first; none if it
	// was not asked, since too little was known of the host.
	Features []*annotatorv1.Feature
	// Scope is what feedback about the frame can name; nil if the annotator is too
	// old to know.
	Scope *annotatorv1.Scope
}

// Explain has a capture file judged up to a frame, from 1, and explained what
// the annotator made of that one. The path is absolute, and the annotator's user
// may read it; over TCP there are no paths. It takes as long as the annotator
// needs for the frames before, or until ctx ends.
func (c *Conn) Explain(ctx context.Context, client, path string, frame uint64) (*Explanation, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	calls, err := annotatorv1.NewAnnotatorClient(c).Analyze(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, expired(ctx)
	case err != nil:
		return nil, broken(err)
	}
	options := &annotatorv1.AnalyzeOptions{
		Session: &annotatorv1.SessionOptions{Client: client}, Path: path, Explain: frame,
		Verdicts: annotatorv1.Selection_SELECTION_NONE,
	}
	// An error of Send is io.EOF; the cause comes with Recv.
	_ = calls.Send(&annotatorv1.AnalyzeRequest{Message: &annotatorv1.AnalyzeRequest_Options{Options: options}})
	_ = calls.CloseSend()
	for {
		answer, err := calls.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil, ErrGone
		case ctx.Err() != nil:
			return nil, expired(ctx)
		case err != nil:
			return nil, broken(err)
		}
		summary := answer.GetSummary()
		if summary == nil {
			continue // progress
		}
		e := summary.GetExplanation()
		switch {
		case e.GetVerdict().GetFrame() == frame:
			one := verdicts{keep: 1, gone: frame - 1}
			if err := one.add(wire.VerdictOf(e.GetVerdict())); err != nil {
				return nil, err
			}
			v, _ := one.get(frame, "")
			return &Explanation{Verdict: v, Features: e.GetFeatures(), Scope: e.GetScope()}, nil
		case summary.GetIncidents() == nil:
			return nil, ErrOld
		}
		return nil, fmt.Errorf("%s has no frame %d", path, frame)
	}
}
