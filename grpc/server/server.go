// Package server is the annotator as a gRPC service: sessions, whole files,
// captures, information and metrics, with limits, an idle exit and a graceful stop.
package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
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

	"ampulla/annotator/baseline"
	"ampulla/annotator/dumpcap"
	"ampulla/annotator/engine"
	"ampulla/annotator/feedback"
	"ampulla/annotator/score"
	"ampulla/grpc/wire"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Config configures a [Server]. Start from [Default].
type Config struct {
	Version string
	// Engine and Scorer make the engine of each session.
	Engine engine.Config
	Scorer score.Scorer
	// Baseline, if set, is asked at the beginning of each session for what it is
	// measured against, in the place of Engine.Baseline and of the same models. It is
	// called concurrently.
	Baseline func() *baseline.Baseline
	// BaselineFile is where that was read from, for people.
	BaselineFile string
	// Changed, if set, is told when the network begins to differ from the baseline,
	// once for each kind of change and again when there is twice as much of it. It
	// is called concurrently.
	Changed func(baseline.Change)
	// Feedback has the rules that sessions go by and clients add to; nil for none.
	Feedback *feedback.File

	// MaxSessions is how many sessions may be open at once, analyses and
	// captures included. Each holds the state of one capture, up to 250 MB.
	MaxSessions int
	// MaxMessage is the largest request, in bytes.
	MaxMessage int
	// MaxPackets is how many frames of a file or of a capture may be held back
	// to be judged together; more than rewrite.DefaultMaxFrames never are.
	MaxPackets int
	// PacketBuffer is how many bytes of a capture may wait to be judged: dumpcap
	// goes on although the engine needs a while.
	PacketBuffer int
	// MaxMemory is how many bytes of memory may be in use. Beyond it, sessions
	// are refused, and those that go on end; 0 for no limit.
	MaxMemory uint64
	// Idle is how long the server stays without any call before it stops by
	// itself; 0 for ever.
	Idle time.Duration
	// Grace is how long open calls may go on once the server is stopping.
	Grace time.Duration

	// Replaced tells whether the program on disk is no longer the one that
	// runs; nil for never. Such a server takes no more sessions and ends with
	// its last one, so that the new program can be started.
	Replaced func() bool
	// Observe, if set, is told of each call that has ended: its full name, how it
	// ended, and how long it took. It is called concurrently.
	Observe func(method string, code codes.Code, d time.Duration)
	// Dumpcap is the program by which to capture; if empty, that of the
	// installed Wireshark.
	Dumpcap dumpcap.Program

	// SocketKept means that the listener is somebody else's, such as systemd's,
	// who starts the new program only once this one has ended. A replaced
	// server then goes on taking sessions while any is open.
	SocketKept bool
}

// Default returns the limits that are used unless configured otherwise.
func Default() Config {
	return Config{
		Engine:       engine.Default(),
		MaxSessions:  32,
		MaxMessage:   8 << 20,
		MaxPackets:   10_000,
		PacketBuffer: 256 << 20,
		MaxMemory:    4 << 30,
		Idle:         10 * time.Minute,
		Grace:        2 * time.Second,
	}
}

// Server answers the calls of package annotator.v1. It is safe for concurrent
// use.
type Server struct {
	annotatorv1.UnimplementedAnnotatorServer
	cfg     Config
	started time.Time
	counters
	captures captures
	own      ownBaseline

	mu        sync.Mutex
	active    int               // calls under way
	since     time.Time         // when active became 0
	open      int               // sessions
	clients   map[string]uint32 // that opened them
	listeners []net.Listener
	retired   bool          // replaced, and no longer listening
	vacant    chan struct{} // closed when retired and no session is open
	stop      context.CancelCauseFunc
}

// counters are what Metrics reports.
type counters struct {
	sessions, refused, strangers, frames, flagged, unjudged, busy atomic.Uint64
}

// New returns a Server that is not yet listening.
func New(cfg Config) (*Server, error) {
	if cfg.MaxSessions < 1 || cfg.MaxPackets < 1 || cfg.PacketBuffer < 1<<16 || cfg.MaxMessage < 1<<16 {
		return nil, errors.New("server: at least one session, one packet, and 64 KiB of buffer and messages")
	}
	if _, err := engine.New(cfg.Engine, cfg.Scorer); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	now := time.Now()
	return &Server{cfg: cfg, started: now, since: now, clients: map[string]uint32{}, vacant: make(chan struct{})}, nil
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

// Why a server stops by itself.
var (
	errIdle     = errors.New("idle")
	errReplaced = errors.New("replaced")
)

// Serve answers calls on all endpoints until ctx ends, the server was idle for
// long enough or replaced, or an endpoint fails. It closes the listeners, and
// lets calls that are under way finish for Config.Grace. It is called once.
func (s *Server) Serve(ctx context.Context, endpoints ...Endpoint) error {
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	vitals := health.NewServer()
	var (
		servers []*grpc.Server
		running sync.WaitGroup
	)
	s.mu.Lock()
	s.stop = stop
	for _, e := range endpoints {
		s.listeners = append(s.listeners, s.guard(e.Listener))
		servers = append(servers, s.grpc(e, vitals))
	}
	s.mu.Unlock()
	for i, g := range servers {
		running.Go(func() {
			if err := g.Serve(s.listeners[i]); err != nil {
				stop(fmt.Errorf("serve %s: %w", s.listeners[i].Addr(), err))
			}
		})
	}
	running.Go(func() { s.watchIdle(serving, stop) })
	<-serving.Done()
	vitals.Shutdown()
	cause := context.Cause(serving)
	if cause == errReplaced {
		select {
		case <-s.vacant:
		case <-ctx.Done():
		}
	}
	s.wind(servers)
	running.Wait()
	for _, expected := range []error{context.Canceled, errIdle, errReplaced} {
		if errors.Is(cause, expected) {
			return nil
		}
	}
	return cause
}

// wind ends captures, lets calls finish for Config.Grace, and ends those that do
// not.
func (s *Server) wind(servers []*grpc.Server) {
	var winding sync.WaitGroup
	winding.Go(func() { s.captures.stop(s.cfg.Grace) })
	for _, g := range servers {
		winding.Go(func() {
			hard := time.AfterFunc(s.cfg.Grace, g.Stop)
			defer hard.Stop()
			g.GracefulStop()
		})
	}
	winding.Wait()
}

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
		grpc.ForceServerCodecV2(wire.NewCodec()),
		grpc.MaxRecvMsgSize(s.cfg.MaxMessage),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.MaxConcurrentStreams(uint32(s.cfg.MaxSessions) + 16),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
			defer s.observe(info.FullMethod, &err)()
			if err := authorize(ctx, e.Token); err != nil {
				return nil, err
			}
			defer s.enter()()
			return handler(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer s.observe(info.FullMethod, &err)()
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

// observe notes when a call begins, and returns what reports its end.
func (s *Server) observe(method string, err *error) (end func()) {
	if s.cfg.Observe == nil {
		return func() {}
	}
	begun := time.Now()
	return func() { s.cfg.Observe(method, status.Code(*err), time.Since(begun)) }
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
