package server

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/baseline"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// normal is a baseline, and what was seen beside it.
type normal struct {
	*baseline.Baseline // nil for nothing
	hash               string
	watch              *baseline.Watch // nil unless it is the server's own
}

// ownBaseline is what sessions are measured against that name nothing else.
type ownBaseline struct {
	mu     sync.Mutex
	normal normal
}

// normal returns the server's own baseline as it is now. Of a new one nothing was
// seen yet.
func (s *Server) normal() normal {
	b := s.cfg.Engine.Baseline
	if s.cfg.Baseline != nil {
		b = s.cfg.Baseline()
	}
	s.own.mu.Lock()
	defer s.own.mu.Unlock()
	if s.own.normal.Baseline != b {
		s.own.normal = normal{b, b.Hash(), baseline.NewWatch(b)}
	}
	return s.own.normal
}

// baseline returns what a session is measured against: what its client names, or
// the server's own.
func (s *Server) baseline(ctx context.Context, options *annotatorv1.SessionOptions) (normal, error) {
	path := options.GetBaseline()
	if path == "" {
		return s.normal(), nil
	}
	if err := checkLocal(ctx, "baseline"); err != nil {
		return normal{}, err
	}
	if !filepath.IsAbs(path) {
		return normal{}, status.Errorf(codes.InvalidArgument, "baseline: %s is not an absolute path", path)
	}
	file, _, err := openFile(path)
	if err != nil {
		return normal{}, err
	}
	defer file.Close()
	b, err := baseline.Read(file)
	if err != nil {
		return normal{}, status.Errorf(codes.FailedPrecondition, "%s: %s", path, valid(err.Error()))
	}
	return normal{Baseline: b, hash: b.Hash()}, nil
}

// watcher has what a session shows compared with the server's baseline.
type watcher struct {
	server  *Server
	watch   *baseline.Watch
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
		w.add(w.learner.Take())
	}
}

// close takes the last of it. More than once is once.
func (w *watcher) close() {
	if w.learner != nil {
		w.add(w.learner.Baseline())
		w.learner = nil
	}
}

// add compares what the session has shown.
func (w *watcher) add(seen *baseline.Baseline) {
	for _, change := range w.watch.Add(seen, time.Now().UnixNano()) {
		if w.server.cfg.Changed != nil {
			w.server.cfg.Changed(change)
		}
	}
}

// baselineInfo tells of the server's baseline; nil if it has none.
func (s *Server) baselineInfo() *annotatorv1.Baseline {
	own := s.normal()
	if own.Baseline == nil {
		return nil
	}
	totals := own.Totals()
	info := &annotatorv1.Baseline{Sha256: own.hash, File: valid(s.cfg.BaselineFile), Hours: totals.Hours()}
	frames, changes := own.watch.Changes(time.Now().UnixNano())
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
