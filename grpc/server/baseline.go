package server

import (
	"context"
	"path/filepath"
	"time"

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

// watcher has what a session shows compared with the server's baseline.
type watcher struct {
	server  *Server
	learner *baseline.Learner // nil if the session is measured against another, or nothing
	frames  int               // that it has learned from
	taken   time.Time         // when what it had learned was taken
}

// How much a session shows at most until it is compared.
const (
	watchFrames = 1 << 16
	watchPause  = time.Minute
)

// saw notes that so many more frames are judged.
func (w *watcher) saw(frames int) { w.frames += frames }

// due tells that it is time to compare.
func (w *watcher) due() bool {
	return w.learner != nil && (w.frames >= watchFrames || time.Since(w.taken) >= watchPause)
}

// compare compares what was learned so far, if it is time. No frames may be
// judged meanwhile.
func (w *watcher) compare() {
	if w.due() {
		w.frames, w.taken = 0, time.Now()
		w.server.saw(w.learner.Take(), w.taken)
	}
}

// close takes the last of it. More than once is once.
func (w *watcher) close() {
	if w.learner != nil {
		w.server.saw(w.learner.Baseline(), time.Now())
		w.learner = nil
	}
}

// saw compares what a session has shown.
func (s *Server) saw(seen *baseline.Baseline, now time.Time) {
	for _, change := range s.watch.Add(seen, now.UnixNano()) {
		if s.cfg.Changed != nil {
			s.cfg.Changed(change)
		}
	}
}

// baselineInfo tells of the server's baseline; nil if it has none.
func (s *Server) baselineInfo() *annotatorv1.Baseline {
	b := s.cfg.Engine.Baseline
	if b == nil {
		return nil
	}
	totals := b.Totals()
	info := &annotatorv1.Baseline{Sha256: s.normal, File: valid(s.cfg.BaselineFile), Hours: totals.Hours()}
	frames, changes := s.watch.Changes(time.Now().UnixNano())
	info.Frames = frames
	for _, c := range changes {
		info.Changes = append(info.Changes, &annotatorv1.Change{What: c.What, Value: c.Value, Text: c.Text})
	}
	return info
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
