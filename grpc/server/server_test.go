package server_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score/scoretest"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// running is a server under test.
type running struct {
	path string // of its socket
	stop context.CancelFunc
	done chan error // what Serve returned
}

// start runs a server at the socket path, and optionally on TCP.
func start(t testing.TB, path string, change func(*server.Config), more ...server.Endpoint) *running {
	t.Helper()
	cfg := server.Default()
	cfg.Version, cfg.Scorer, cfg.Grace = "test", scoretest.Hash{}, 100*time.Millisecond
	if change != nil {
		change(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := socket.Listen(path, s.Stranger)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{path, stop, make(chan error, 1)}
	go func() { r.done <- s.Serve(ctx, append(more, server.Endpoint{Listener: listener})...) }()
	t.Cleanup(stop)
	return r
}

// serve runs a server until the test ends and returns a client of it.
func serve(t testing.TB, change func(*server.Config)) annotatorv1.AnnotatorClient {
	t.Helper()
	r := start(t, filepath.Join(t.TempDir(), "run", "a.sock"), change)
	client := annotatorv1.NewAnnotatorClient(dial(t, r.path))
	t.Cleanup(func() {
		r.stop()
		if err := <-r.done; err != nil {
			t.Error(err)
		}
	})
	return client
}

// dial connects to a socket.
func dial(t testing.TB, path string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///annotator", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return socket.Dial(ctx, path) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func withOptions(o *annotatorv1.SessionOptions) *annotatorv1.SessionRequest {
	return &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Options{Options: o}}
}

func withFrames(f ...*annotatorv1.Frame) *annotatorv1.SessionRequest {
	return &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: &annotatorv1.FrameBatch{Frames: f}}}
}

type session = grpc.BidiStreamingClient[annotatorv1.SessionRequest, annotatorv1.SessionResponse]

// open begins a session and returns what the server answers to its options.
func open(t testing.TB, client annotatorv1.AnnotatorClient, options *annotatorv1.SessionOptions) (session, *annotatorv1.SessionStarted, error) {
	t.Helper()
	calls, err := client.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = calls.Send(withOptions(options))
	answer, err := calls.Recv()
	return calls, answer.GetStarted(), err
}

// ask sends frames and returns their verdicts.
func ask(calls session, frames ...*annotatorv1.Frame) ([]*annotatorv1.Verdict, error) {
	_ = calls.Send(withFrames(frames...)) // the cause comes with Recv
	answer, err := calls.Recv()
	return answer.GetVerdicts().GetVerdicts(), err
}

// capturePath names one of our captures.
func capturePath(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(filepath.Dir(capturetest.Own(t)[0]), name)
}

// captureFrames returns the first n frames of one of our captures.
func captureFrames(t testing.TB, name string, n int) []*annotatorv1.Frame {
	t.Helper()
	file, err := os.Open(capturePath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var frames []*annotatorv1.Frame
	for r := pcapng.NewReader(file); len(frames) < n; {
		block, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if block.IsFrame() {
			f := block.Frame()
			frames = append(frames, &annotatorv1.Frame{TimeNs: f.Time, LinkType: uint32(f.LinkType), Length: f.Length, Data: slices.Clone(f.Data)})
		}
	}
	return frames
}

func checkStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || err != nil && !strings.Contains(status.Convert(err).Message(), text) {
		t.Errorf("%v, want %v: %s", err, code, text)
	}
}

func TestSessionOptions(t *testing.T) {
	client := serve(t, nil)
	long := strings.Repeat("x", 101)
	for _, tt := range []struct {
		name    string
		options *annotatorv1.SessionOptions
		code    codes.Code
		text    string
	}{
		{"none", &annotatorv1.SessionOptions{}, codes.OK, ""},
		{"all", &annotatorv1.SessionOptions{Client: "me", TerseBelow: 1, Threshold: new(0.0), Models: []string{"other", "hash"}}, codes.OK, ""},
		{"long name", &annotatorv1.SessionOptions{Client: long}, codes.InvalidArgument, "client: 101 bytes"},
		{"terse", &annotatorv1.SessionOptions{TerseBelow: -1}, codes.InvalidArgument, "terse_below: -1"},
		{"threshold", &annotatorv1.SessionOptions{Threshold: new(1.1)}, codes.InvalidArgument, "threshold: 1.1"},
		{"other models", &annotatorv1.SessionOptions{Models: []string{"a", "b"}}, codes.FailedPrecondition, `this annotator has hash, not ["a" "b"]`},
		{"many models", &annotatorv1.SessionOptions{Models: make([]string, 17)}, codes.InvalidArgument, "models: 17"},
		{"long model", &annotatorv1.SessionOptions{Models: []string{"hash", long}}, codes.InvalidArgument, "models: a name of more than 100 bytes"},
		{"baseline", &annotatorv1.SessionOptions{Baseline: "office"}, codes.InvalidArgument, "baseline: office is not an absolute path"},
		{"alarms", &annotatorv1.SessionOptions{AlarmsPerHour: 1}, codes.FailedPrecondition, "alarms_per_hour: there is no baseline that tells"},
		{"no alarms", &annotatorv1.SessionOptions{AlarmsPerHour: -1}, codes.InvalidArgument, "alarms_per_hour: -1 is not more than 0"},
		{"endless alarms", &annotatorv1.SessionOptions{AlarmsPerHour: math.Inf(1)}, codes.InvalidArgument, "alarms_per_hour: +Inf"},
		{"alarms and threshold", &annotatorv1.SessionOptions{AlarmsPerHour: 1, Threshold: new(0.8)}, codes.InvalidArgument, "there is a threshold as well"},
		{"large", &annotatorv1.SessionOptions{Models: []string{strings.Repeat("x", 1<<16)}}, codes.InvalidArgument, "options of 65540 bytes, more than 65536"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, started, err := open(t, client, tt.options)
			checkStatus(t, err, tt.code, tt.text)
			want := &annotatorv1.SessionStarted{Version: "test", Model: "hash", Contract: annotatorv1.Contract, Threshold: 0.8}
			if tt.options.Threshold != nil {
				want.Threshold = tt.options.GetThreshold()
			}
			if err == nil && !proto.Equal(started, want) {
				t.Errorf("started %v, want %v", started, want)
			}
		})
	}
}

// TestClients checks that metrics tell whose sessions are open.
func TestClients(t *testing.T) {
	client := serve(t, nil)
	var sessions []session
	for _, name := range []string{"lua", "tool", "lua"} {
		calls, _, err := open(t, client, &annotatorv1.SessionOptions{Client: name})
		if err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, calls)
	}
	if diff := cmp.Diff(map[string]uint32{"lua": 2, "tool": 1}, metrics(t, client).GetSessionsByClient()); diff != "" {
		t.Error(diff)
	}
	for _, calls := range sessions {
		_ = calls.CloseSend()
	}
	waitVacant(t, client)
	if n := len(metrics(t, client).GetSessionsByClient()); n != 0 {
		t.Errorf("%d clients are left", n)
	}
}

// TestCancelled gives sessions up with requests at every place: not received, not
// judged, not answered since nobody reads. Each has to end.
func TestCancelled(t *testing.T) {
	client := serve(t, nil)
	frames := captureFrames(t, "demo.pcapng", 1000)
	for n := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		calls, err := client.Session(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = calls.Send(withOptions(&annotatorv1.SessionOptions{}))
		if _, err := calls.Recv(); err != nil {
			t.Fatal(err)
		}
		for range n {
			_ = calls.Send(withFrames(frames...))
		}
		if n%2 == 0 {
			_ = calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Incidents{Incidents: &annotatorv1.IncidentsRequest{}}})
		}
		cancel()
	}
	waitVacant(t, client)
}

// TestThreshold checks that the threshold decides what is flagged, in the
// verdicts and in the metrics.
func TestThreshold(t *testing.T) {
	frames := captureFrames(t, "demo.pcapng", 1000)
	for _, threshold := range []*float64{nil, new(0.0), new(0.3), new(0.8), new(1.0)} {
		client := serve(t, nil)
		calls, _, err := open(t, client, &annotatorv1.SessionOptions{Threshold: threshold})
		if err != nil {
			t.Fatal(err)
		}
		verdicts, err := ask(calls, frames...)
		if err != nil || len(verdicts) != len(frames) {
			t.Fatal(len(verdicts), err)
		}
		limit := 0.8
		if threshold != nil {
			limit = *threshold
		}
		flagged := uint64(0)
		for _, v := range verdicts {
			if want := float64(v.GetScorePermille())/1000 > limit; v.GetFlagged() != want {
				t.Fatalf("threshold %v: frame %d, score %d: flagged %v", limit, v.GetFrame(), v.GetScorePermille(), v.GetFlagged())
			}
			if v.GetFlagged() {
				flagged++
			}
		}
		m := metrics(t, client)
		if m.GetFlaggedTotal() != flagged || m.GetFramesTotal() != uint64(len(frames)) {
			t.Errorf("threshold %v: metrics count %d of %d frames, verdicts %d of %d",
				limit, m.GetFlaggedTotal(), m.GetFramesTotal(), flagged, len(frames))
		}
	}
}

func metrics(t *testing.T, client annotatorv1.AnnotatorClient) *annotatorv1.Metrics {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls, err := client.WatchMetrics(ctx, &annotatorv1.WatchMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := calls.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInfo(t *testing.T) {
	client := serve(t, func(c *server.Config) { c.MaxMemory = 1 << 40; c.Replaced = func() bool { return true } })
	info, err := client.GetInfo(t.Context(), &annotatorv1.GetInfoRequest{})
	want := &annotatorv1.Info{
		Version: "test", Contract: annotatorv1.Contract, Replaced: true, Model: "hash",
		MaxSessions: 32, MaxMessageBytes: 8 << 20, MaxMemoryBytes: 1 << 40,
	}
	if err != nil || !proto.Equal(info, want) {
		t.Errorf("%v, %v, want %v", info, err, want)
	}
}

func TestMessageLimit(t *testing.T) {
	client := serve(t, func(c *server.Config) { c.MaxMessage = 1 << 16 })
	calls, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ask(calls, &annotatorv1.Frame{Data: make([]byte, 1<<16)})
	checkStatus(t, err, codes.ResourceExhausted, "larger than max")
}

// TestDecodedSize sends a million empty frames in one message: they are refused
// before they are decoded, which would take fifty times the memory.
func TestDecodedSize(t *testing.T) {
	client := serve(t, nil)
	calls, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	request := withFrames(slices.Repeat([]*annotatorv1.Frame{{}}, 1_000_000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = calls.Send(request)
	_, err = calls.Recv()
	runtime.ReadMemStats(&after)
	checkStatus(t, err, codes.InvalidArgument, "a batch of 1000000 frames")
	if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 40 {
		t.Errorf("%d MB were taken for a message of 2 MB", n)
	}
}

// TestMemoryLimit checks that sessions are refused, and those that are open end,
// when too much memory is in use.
func TestMemoryLimit(t *testing.T) {
	client := serve(t, func(c *server.Config) { c.MaxMemory = 256 << 20 })
	calls, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	frames := captureFrames(t, "demo.pcapng", 10)
	if _, err := ask(calls, frames...); err != nil {
		t.Fatal(err)
	}
	ballast := make([]byte, 512<<20)
	runtime.GC()
	_, err = ask(calls, frames...)
	checkStatus(t, err, codes.ResourceExhausted, "MB of memory are in use, more than 256")
	_, _, err = open(t, client, &annotatorv1.SessionOptions{})
	checkStatus(t, err, codes.ResourceExhausted, "MB of memory are in use, more than 256")
	if n := metrics(t, client).GetSessionsRefused(); n != 1 {
		t.Errorf("%d sessions refused", n)
	}
	runtime.KeepAlive(ballast)
	runtime.GC()
	if _, _, err = open(t, client, &annotatorv1.SessionOptions{}); err != nil {
		t.Errorf("when the memory is free again: %v", err)
	}
}

// TestConnectionLimit opens connections until the server closes one at once, and
// checks that there is room again when others are gone.
func TestConnectionLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	start(t, path, func(c *server.Config) { c.MaxSessions = 1 })
	var conns []net.Conn
	for range 4 {
		conns = append(conns, connect(t, path))
	}
	for _, conn := range conns {
		if !greeted(conn) {
			t.Fatal("a connection within the limit is closed")
		}
	}
	if greeted(connect(t, path)) {
		t.Error("a connection too many is served")
	}
	_ = conns[0].Close()
	for range 1000 {
		if greeted(connect(t, path)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("there is never room again")
}

func connect(t testing.TB, path string) net.Conn {
	t.Helper()
	conn, err := socket.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// greeted sends the preface of HTTP/2 with empty settings (RFC 9113 section 3.4)
// and tells whether settings come back.
func greeted(conn net.Conn) bool {
	_, _ = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	_, err := io.ReadFull(conn, make([]byte, 9))
	return err == nil
}

// TestReplaced replaces the server's program while a session is open: the
// session goes on, newcomers are sent away and find the successor, and the
// server ends with the session.
func TestReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	var replaced atomic.Bool
	old := start(t, path, func(c *server.Config) { c.Replaced = replaced.Load; c.Grace = time.Hour })
	conn := dial(t, path)
	client := annotatorv1.NewAnnotatorClient(conn)
	calls, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replaced.Store(true)
	for range 2 {
		_, _, err = open(t, client, &annotatorv1.SessionOptions{})
		checkStatus(t, err, codes.Unavailable, "the annotator was updated: connect again")
	}
	// The lock is free at once: no wait here.
	start(t, path, func(c *server.Config) { c.Version = "successor" })
	_, started, err := open(t, annotatorv1.NewAnnotatorClient(dial(t, path)), &annotatorv1.SessionOptions{})
	if err != nil || started.GetVersion() != "successor" {
		t.Errorf("%v, %v", started, err)
	}
	frames := captureFrames(t, "demo.pcapng", 10)
	if verdicts, err := ask(calls, frames...); err != nil || len(verdicts) != len(frames) {
		t.Errorf("the session that was open: %d verdicts, %v", len(verdicts), err)
	}
	select {
	case err := <-old.done:
		t.Fatal("the server ended before its session: ", err)
	default:
	}
	_ = calls.CloseSend()
	for err == nil {
		_, err = calls.Recv()
	}
	_ = conn.Close()
	if err := <-old.done; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error("the server takes its successor's socket away: ", err)
	}
}

// TestReplacedSocketKept is the same where systemd keeps the socket: sessions
// are taken as long as another one is open.
func TestReplacedSocketKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	var replaced atomic.Bool
	old := start(t, path, func(c *server.Config) { c.Replaced = replaced.Load; c.SocketKept = true })
	client := annotatorv1.NewAnnotatorClient(dial(t, path))
	first, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replaced.Store(true)
	second, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal("while a session is open: ", err)
	}
	for _, calls := range []session{first, second} {
		_ = calls.CloseSend()
		if _, err := calls.Recv(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	_, _, err = open(t, client, &annotatorv1.SessionOptions{})
	checkStatus(t, err, codes.Unavailable, "the annotator was updated: connect again")
	if err := <-old.done; err != nil {
		t.Error(err)
	}
}

// TestReplacedAndStopped stops a replaced server that waits for a session.
func TestReplacedAndStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	var replaced atomic.Bool
	old := start(t, path, func(c *server.Config) { c.Replaced = replaced.Load })
	client := annotatorv1.NewAnnotatorClient(dial(t, path))
	if _, _, err := open(t, client, &annotatorv1.SessionOptions{}); err != nil {
		t.Fatal(err)
	}
	replaced.Store(true)
	_, _, err := open(t, client, &annotatorv1.SessionOptions{})
	checkStatus(t, err, codes.Unavailable, "")
	old.stop()
	if err := <-old.done; err != nil {
		t.Error(err)
	}
}
