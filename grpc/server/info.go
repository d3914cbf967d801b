package server

import (
	"context"
	"maps"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// GetInfo tells version, models and limits.
func (s *Server) GetInfo(context.Context, *annotatorv1.GetInfoRequest) (*annotatorv1.Info, error) {
	m := s.cfg.Scorer.Manifest()
	return &annotatorv1.Info{
		Version:          s.cfg.Version,
		Contract:         annotatorv1.Contract,
		Replaced:         s.cfg.Replaced != nil && s.cfg.Replaced(),
		Model:            m.Version,
		ClassifierSha256: m.Classifier.SHA256,
		AnomalySha256:    m.Anomaly.SHA256,
		Classes:          m.Classifier.Classes,
		MaxSessions:      uint32(s.cfg.MaxSessions),
		MaxMessageBytes:  uint32(s.cfg.MaxMessage),
		MaxMemoryBytes:   s.cfg.MaxMemory,
		Baseline:         s.baselineInfo(),
	}, nil
}

// WatchMetrics sends the counters until the caller goes away or the server
// stops.
func (s *Server) WatchMetrics(req *annotatorv1.WatchMetricsRequest, stream grpc.ServerStreamingServer[annotatorv1.Metrics]) error {
	interval := time.Duration(req.GetIntervalMs()) * time.Millisecond
	switch {
	case interval == 0:
		interval = 5 * time.Second
	case interval < 100*time.Millisecond || interval > time.Hour:
		return status.Errorf(codes.InvalidArgument, "interval_ms %d is not between 100 and 3600000", req.GetIntervalMs())
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last, lastFrames := time.Now(), s.frames.Load()
	for {
		m := s.metrics()
		now := time.Now()
		if elapsed := now.Sub(last).Seconds(); elapsed > 0 {
			m.FramesPerSecond = float64(m.FramesTotal-lastFrames) / elapsed
		}
		last, lastFrames = now, m.FramesTotal
		if err := stream.Send(m); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-tick.C:
		}
	}
}

func (s *Server) metrics() *annotatorv1.Metrics {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.mu.Lock()
	open, clients := s.open, maps.Clone(s.clients)
	s.mu.Unlock()
	now := time.Now()
	return &annotatorv1.Metrics{
		TimeNs:             now.UnixNano(),
		Sessions:           uint32(open),
		SessionsByClient:   clients,
		SessionsTotal:      s.sessions.Load(),
		SessionsRefused:    s.refused.Load(),
		StrangersTotal:     s.strangers.Load(),
		FramesTotal:        s.frames.Load(),
		FlaggedTotal:       s.flagged.Load(),
		UnjudgedTotal:      s.unjudged.Load(),
		HeapBytes:          memory.HeapAlloc,
		ProcessNanoseconds: s.busy.Load(),
		UptimeSeconds:      uint64(now.Sub(s.started).Seconds()),
	}
}
