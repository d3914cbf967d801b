package server

import (
	"context"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/baseline"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// baseline returns what a session is measured against, nil for nothing, and its
// hash: what its client names, or the server's own.
func (s *Server) baseline(ctx context.Context, options *annotatorv1.SessionOptions) (b *baseline.Baseline, hash string, err error) {
	path := options.GetBaseline()
	if path == "" {
		return s.cfg.Engine.Baseline, s.normal, nil
	}
	if err := checkLocal(ctx, "baseline"); err != nil {
		return nil, "", err
	}
	if !filepath.IsAbs(path) {
		return nil, "", status.Errorf(codes.InvalidArgument, "baseline: %s is not an absolute path", path)
	}
	file, _, err := openFile(path)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	if b, err = baseline.Read(file); err != nil {
		return nil, "", status.Errorf(codes.FailedPrecondition, "%s: %s", path, valid(err.Error()))
	}
	return b, b.Hash(), nil
}

// threshold returns the score above which a session's frames are flagged.
func threshold(options *annotatorv1.SessionOptions, b *baseline.Baseline) (float64, error) {
	switch {
	case options != nil && options.Threshold != nil:
		return options.GetThreshold(), nil
	case options.GetAlarmsPerHour() == 0:
		return verdict.AnomalousScore, nil
	case b == nil:
		return 0, status.Error(codes.FailedPrecondition, "alarms_per_hour: there is no baseline that tells")
	}
	t, err := b.Threshold(options.GetAlarmsPerHour())
	if err != nil {
		return 0, status.Error(codes.FailedPrecondition, "alarms_per_hour: "+err.Error())
	}
	return t, nil
}
