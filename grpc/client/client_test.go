package client_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// serve runs an annotator until the test ends and returns its address.
func serve(t testing.TB, change func(*server.Config)) string {
	t.Helper()
	cfg := server.Default()
	cfg.Version, cfg.Scorer = "test", scoretest.Hash{}
	if change != nil {
		change(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	listener, err := socket.Listen(path, s.Stranger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, server.Endpoint{Listener: listener}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return "unix:" + path
}

// patient is how long a test waits for what must come.
const patient = time.Minute

func dial(t testing.TB, address string) *client.Conn {
	t.Helper()
	conn, err := client.Dial(t.Context(), client.Config{Address: address, Program: client.NoStart})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func open(t testing.TB, address string, options client.Options) *client.Session {
	t.Helper()
	session, err := client.Open(t.Context(), dial(t, address), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

// capture returns the frames of one of our captures and their verdicts.
func capture(t testing.TB, name string) ([]packet.Frame, []verdict.Verdict) {
	t.Helper()
	file, err := os.Open(filepath.Join(filepath.Dir(capturetest.Own(t)[0]), name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var frames []packet.Frame
	for r := pcapng.NewReader(file); ; {
		block, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if block.IsFrame() {
			f := block.Frame()
			f.Data = slices.Clone(f.Data)
			frames = append(frames, f)
		}
	}
	e, err := engine.New(engine.Default(), scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := e.Process(frames, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range verdicts {
		verdicts[i].Time = 0 // the caller knows it
	}
	return frames, verdicts
}

// TestSameVerdicts checks the one rule through gRPC, whether frames are asked
// for one by one or all at the end.
func TestSameVerdicts(t *testing.T) {
	address := serve(t, nil)
	frames, want := capture(t, "port_scan_syn.pcapng")
	check := func(t *testing.T, s *client.Session, n int, want verdict.Verdict) {
		t.Helper()
		if err := s.Await(uint64(n), patient); err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.Poll(uint64(n))
		if !ok || err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	}
	t.Run("one by one", func(t *testing.T) {
		s := open(t, address, client.Options{})
		for i, f := range frames {
			if err := s.Queue(f); err != nil {
				t.Fatal(err)
			}
			check(t, s, i+1, want[i])
		}
	})
	t.Run("terse", func(t *testing.T) {
		s := open(t, address, client.Options{Terse: true})
		for i, f := range frames {
			if err := s.Queue(f); err != nil {
				t.Fatal(err)
			}
			short := want[i]
			short.Reason, short.CommunityID = "", ""
			check(t, s, i+1, short)
		}
	})
	t.Run("at the end", func(t *testing.T) {
		s := open(t, address, client.Options{})
		for _, f := range frames {
			if err := s.Queue(f); err != nil {
				t.Fatal(err)
			}
		}
		for n := len(frames); n >= 1; n-- {
			check(t, s, n, want[n-1])
		}
		if _, _, err := s.Poll(uint64(len(frames)) + 1); !errors.Is(err, client.ErrUnknownFrame) {
			t.Errorf("a frame too many: %v", err)
		}
		if err := s.Await(uint64(len(frames))+1, patient); !errors.Is(err, client.ErrUnknownFrame) {
			t.Errorf("waiting for a frame too many: %v", err)
		}
	})
}

// slow delays an annotator's answers by stopping its scorer.
type slow struct {
	scoretest.Hash
	gate chan struct{}
}

func (s slow) Anomaly(rows, out []float32) error {
	<-s.gate
	return s.Hash.Anomaly(rows, out)
}

// TestPatience checks that an annotator that does not answer costs one wait,
// and that whoever waits no longer gets the verdicts once they come.
func TestPatience(t *testing.T) {
	frames, want := capture(t, "port_scan_syn.pcapng")
	gate := make(chan struct{})
	address := serve(t, func(c *server.Config) { c.Scorer = slow{gate: gate} })
	conn := dial(t, address)
	s, err := client.Open(t.Context(), conn, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, f := range frames {
		if err := s.Queue(f); err != nil {
			t.Fatal(err)
		}
	}
	last := uint64(len(frames))
	p := client.NewPatience(100 * time.Millisecond)
	waits := 0
	for range 1000 {
		err := p.Spend(s, func(d time.Duration) error { waits++; return s.Await(last, d) })
		if !errors.Is(err, client.ErrTimeout) {
			t.Fatalf("error %v", err)
		}
	}
	if waits != 1 || !p.Over() {
		t.Errorf("%d waits, over %v; want one, and then none", waits, p.Over())
	}
	close(gate)
	if err := s.Await(last, patient); err != nil {
		t.Fatal(err)
	}
	if err := p.Spend(s, func(d time.Duration) error { return s.Await(last, d) }); err != nil || p.Over() {
		t.Errorf("the annotator is at work again: %v, over %v", err, p.Over())
	}
	if got, ok, err := s.Poll(last); !ok || err != nil || got != want[last-1] {
		t.Errorf("verdict %v, %v, %v, want %v", got, ok, err, want[last-1])
	}
	counters := client.Counters{Queued: last, Sent: last, Judged: last, TimedOut: 1}
	if diff := cmp.Diff(counters, conn.Counters()); diff != "" {
		t.Error(diff)
	}
}

// TestQueueIsBounded checks that nobody can queue more than MaxQueued frames
// before the annotator has taken some.
func TestQueueIsBounded(t *testing.T) {
	frames, _ := capture(t, "port_scan_syn.pcapng")
	gate := make(chan struct{})
	address := serve(t, func(c *server.Config) { c.Scorer = slow{gate: gate}; c.Grace = time.Millisecond })
	s := open(t, address, client.Options{MaxQueued: 100})
	// What was sent makes room, until nothing more can be sent.
	last, n := uint64(0), uint64(len(frames))
	var full error
	for full == nil {
		for full = s.Queue(frames[last%n]); full == nil; full = s.Queue(frames[last%n]) {
			if last++; last == 1_000_000 {
				t.Fatal("the queue never fills")
			}
		}
		if s.AwaitRoom(100*time.Millisecond) == nil {
			full = nil
		}
	}
	if !errors.Is(full, client.ErrFull) || !s.Has(last) || s.Has(last+1) {
		t.Errorf("error %v, has %d: %v, has the next: %v", full, last, s.Has(last), s.Has(last+1))
	}
	close(gate)
	if err := s.AwaitRoom(patient); err != nil {
		t.Fatal(err)
	}
	if err := s.Queue(frames[0]); err != nil {
		t.Error(err)
	}
}

func TestLimits(t *testing.T) {
	address := serve(t, func(c *server.Config) { c.MaxSessions = 1 })
	open(t, address, client.Options{})
	conn := dial(t, address)
	if _, err := client.Open(t.Context(), conn, client.Options{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second session: %v", err)
	}
	calls, err := annotatorv1.NewAnnotatorClient(conn).WatchMetrics(t.Context(), &annotatorv1.WatchMetricsRequest{IntervalMs: 100})
	if err != nil {
		t.Fatal(err)
	}
	m, err := calls.Recv()
	if err != nil || m.GetSessions() != 1 || m.GetSessionsTotal() != 1 || m.GetSessionsRefused() != 1 {
		t.Errorf("metrics %v, %v", m, err)
	}
}

// TestBadRequests sends what the contract forbids.
func TestBadRequests(t *testing.T) {
	address := serve(t, nil)
	options := func(o *annotatorv1.SessionOptions) *annotatorv1.SessionRequest {
		return &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Options{Options: o}}
	}
	frames := func(f ...*annotatorv1.Frame) *annotatorv1.SessionRequest {
		return &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: &annotatorv1.FrameBatch{Frames: f}}}
	}
	for _, tt := range []struct {
		name     string
		requests []*annotatorv1.SessionRequest
		want     string
	}{
		{"frames first", []*annotatorv1.SessionRequest{frames(&annotatorv1.Frame{})}, "the first message must carry the options"},
		{"nothing first", []*annotatorv1.SessionRequest{{}}, "the first message must carry the options"},
		{"options twice", []*annotatorv1.SessionRequest{options(&annotatorv1.SessionOptions{}), options(&annotatorv1.SessionOptions{})}, "a batch of 0 frames"},
		{"long name", []*annotatorv1.SessionRequest{options(&annotatorv1.SessionOptions{Client: strings.Repeat("x", 101)})}, "client: 101 bytes"},
		{"terse", []*annotatorv1.SessionRequest{options(&annotatorv1.SessionOptions{TerseBelow: 1.5})}, "terse_below: 1.5"},
		{"no frames", []*annotatorv1.SessionRequest{options(&annotatorv1.SessionOptions{}), frames()}, "a batch of 0 frames"},
		{"link type", []*annotatorv1.SessionRequest{options(&annotatorv1.SessionOptions{}), frames(&annotatorv1.Frame{LinkType: 65536})}, "frame 1: link type 65536"},
		{"too many", []*annotatorv1.SessionRequest{options(&annotatorv1.SessionOptions{}), frames(make([]*annotatorv1.Frame, 4097)...)}, "a batch of 4097 frames"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls, err := annotatorv1.NewAnnotatorClient(dial(t, address)).Session(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range tt.requests {
				_ = calls.Send(r)
			}
			for err == nil {
				_, err = calls.Recv()
			}
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestDialErrors(t *testing.T) {
	for address, want := range map[string]string{
		"unix:" + filepath.Join(t.TempDir(), "none.sock"): "no such file or directory",
		"unix:":            "is neither unix:<path> nor tcp:",
		"http://localhost": "is neither unix:<path> nor tcp:",
	} {
		_, err := client.Dial(t.Context(), client.Config{Address: address, Program: client.NoStart})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// BenchmarkSession measures the way there and back without the models.
func BenchmarkSession(b *testing.B) {
	frames, _ := capture(b, "demo.pcapng")
	address := serve(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		s := open(b, address, client.Options{})
		for _, f := range frames {
			for errors.Is(s.Queue(f), client.ErrFull) {
				_ = s.AwaitRoom(patient)
			}
		}
		if err := s.Await(uint64(len(frames)), patient); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
	b.ReportMetric(float64(len(frames)*b.N)/b.Elapsed().Seconds(), "packets/s")
}
