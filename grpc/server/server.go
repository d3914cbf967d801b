// Package server is the annotator as a gRPC service: sessions, information and
// metrics, with limits, an idle exit and a graceful stop.
package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"ampulla/annotator/engine"
	"ampulla/annotator/score"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Config configures a [Server]. Start from [Default].
type Config struct {
	Version string
	// Engine and Scorer make the engine of each session.
	Engine engine.Config
	Scorer score.Scorer

	// MaxSessions is how many sessions may be open at once. Each holds the
	// state of one capture, up to a few hundred megabytes for the largest.
	MaxSessions int
	// MaxMessage is the largest request, in bytes.
	MaxMessage int
	// Idle is how long the server stays without any call before it stops by
	// itself; 0 for ever.
	Idle time.Duration
	// Grace is how long open calls may go on once the server is stopping.
	Grace time.Duration
}

// Default returns the limits that are used unless configured otherwise.
func Default() Config {
	return Config{
		Engine:      engine.Default(),
		MaxSessions: 32,
		MaxMessage:  8 << 20,
		Idle:        10 * time.Minute,
		Grace:       2 * time.Second,
	}
}

// Server answers the calls of package annotator.v1. It is safe for concurrent
// use.
type Server struct {
	annotatorv1.UnimplementedAnnotatorServer
	cfg     Config
	started time.Time
	slots   chan struct{} // one for each open session
	counters

	mu     sync.Mutex
	active int       // calls under way
	since  time.Time // when active became 0
}

// counters are what Metrics reports.
type counters struct {
	sessions, refused, strangers, frames, flagged, busy atomic.Uint64
}

// New returns a Server that is not yet listening.
func New(cfg Config) (*Server, error) {
	if cfg.MaxSessions < 1 || cfg.MaxMessage < 1<<16 {
		return nil, errors.New("server: at least one session and messages of 64 KiB")
	}
	now := time.Now()
	return &Server{cfg: cfg, started: now, since: now, slots: make(chan struct{}, cfg.MaxSessions)}, nil
}

// Stranger counts a connection that was refused because another user made it;
// see package socket.
func (s *Server) Stranger() { s.strangers.Add(1) }

// Endpoint is one listener with what its callers have to show.
type Endpoint struct {
	Listener net.Listener
	// Credentials is TLS for listeners that leave the machine's user; nil for
	// the unix socket, where the kernel vouches for the caller.
	Credentials credentials.TransportCredentials
	// Token is asked of every call as "authorization: Bearer <token>"; empty
	// for none.
	Token string
}

// Serve answers calls on all endpoints until ctx ends, the server was idle for
// long enough, or an endpoint fails. It closes the listeners, and lets calls
// that are under way finish for Config.Grace.
func (s *Server) Serve(ctx context.Context, endpoints ...Endpoint) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	vitals := health.NewServer()
	var (
		servers []*grpc.Server
		running sync.WaitGroup
	)
	for _, e := range endpoints {
		g := s.grpc(e, vitals)
		servers = append(servers, g)
		running.Go(func() {
			if err := g.Serve(e.Listener); err != nil {
				cancel(fmt.Errorf("serve %s: %w", e.Listener.Addr(), err))
			}
		})
	}
	running.Go(func() { s.watchIdle(ctx, cancel) })
	<-ctx.Done()
	vitals.Shutdown()
	for _, g := range servers {
		hard := time.AfterFunc(s.cfg.Grace, g.Stop)
		g.GracefulStop()
		hard.Stop()
	}
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, errIdle) {
		return cause
	}
	return nil
}

var errIdle = errors.New("idle")

// watchIdle stops the server when nobody has called for Config.Idle.
func (s *Server) watchIdle(ctx context.Context, stop context.CancelCauseFunc) {
	if s.cfg.Idle <= 0 {
		return
	}
	for wait := s.cfg.Idle; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		s.mu.Lock()
		left := s.cfg.Idle
		if s.active == 0 {
			left -= time.Since(s.since)
		}
		s.mu.Unlock()
		if left <= 0 {
			stop(errIdle)
			return
		}
		wait = left
	}
}

// grpc makes the server of one endpoint.
func (s *Server) grpc(e Endpoint, vitals *health.Server) *grpc.Server {
	const window = 4 << 20 // bytes; fixed windows save a ping per exchange
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.cfg.MaxMessage),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.MaxConcurrentStreams(uint32(s.cfg.MaxSessions) + 16),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := authorize(ctx, e.Token); err != nil {
				return nil, err
			}
			defer s.enter()()
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := authorize(stream.Context(), e.Token); err != nil {
				return err
			}
			defer s.enter()()
			return handler(srv, stream)
		}),
	}
	if e.Credentials != nil {
		options = append(options, grpc.Creds(e.Credentials))
	}
	g := grpc.NewServer(options...)
	annotatorv1.RegisterAnnotatorServer(g, s)
	healthv1.RegisterHealthServer(g, vitals)
	vitals.SetServingStatus(annotatorv1.Annotator_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	reflection.Register(g)
	return g
}

// enter notes that a call begins, and returns what notes its end.
func (s *Server) enter() (leave func()) {
	s.mu.Lock()
	s.active++
	s.mu.Unlock()
	return func() {
		s.mu.Lock()
		s.active--
		s.since = time.Now()
		s.mu.Unlock()
	}
}

// authorize compares the caller's token in constant time.
func authorize(ctx context.Context, token string) error {
	if token == "" {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	for _, value := range md.Get("authorization") {
		given, ok := strings.CutPrefix(value, "Bearer ")
		if ok && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1 {
			return nil
		}
	}
	return status.Error(codes.Unauthenticated, "no valid token in the authorization header")
}

// GetInfo tells version, models and limits.
func (s *Server) GetInfo(context.Context, *annotatorv1.GetInfoRequest) (*annotatorv1.Info, error) {
	m := s.cfg.Scorer.Manifest()
	return &annotatorv1.Info{
		Version:          s.cfg.Version,
		Model:            m.Version,
		ClassifierSha256: m.Classifier.SHA256,
		AnomalySha256:    m.Anomaly.SHA256,
		Classes:          m.Classifier.Classes,
		MaxSessions:      uint32(s.cfg.MaxSessions),
		MaxMessageBytes:  uint32(s.cfg.MaxMessage),
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
	now := time.Now()
	return &annotatorv1.Metrics{
		TimeNs:             now.UnixNano(),
		Sessions:           uint32(len(s.slots)),
		SessionsTotal:      s.sessions.Load(),
		SessionsRefused:    s.refused.Load(),
		StrangersTotal:     s.strangers.Load(),
		FramesTotal:        s.frames.Load(),
		FlaggedTotal:       s.flagged.Load(),
		HeapBytes:          memory.HeapAlloc,
		ProcessNanoseconds: s.busy.Load(),
		UptimeSeconds:      uint64(now.Sub(s.started).Seconds()),
	}
}
