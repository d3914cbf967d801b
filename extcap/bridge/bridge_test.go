package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
	"ampulla/extcap/bridge"
	"ampulla/grpc/client"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
)

// annotator is one that can be ended and started again.
type annotator struct {
	t    *testing.T
	path string
	gate chan struct{} // the scorer waits until it is closed; nil: it does not
	stop context.CancelFunc
	done chan error
}

func newAnnotator(t *testing.T) *annotator {
	a := &annotator{t: t, path: filepath.Join(t.TempDir(), "run", "a.sock")}
	t.Cleanup(a.end)
	return a
}

// gated is a scorer that waits.
type gated struct {
	scoretest.Hash
	gate chan struct{}
}

func (g gated) Anomaly(rows, out []float32) error {
	if g.gate != nil {
		<-g.gate
	}
	return g.Hash.Anomaly(rows, out)
}

// start may be called from the goroutine of a feed, as wait may.
func (a *annotator) start() {
	a.t.Helper()
	cfg := server.Default()
	cfg.Version, cfg.Scorer, cfg.Grace = "test", gated{gate: a.gate}, time.Millisecond
	s, err := server.New(cfg)
	if err != nil {
		a.t.Error(err)
		return
	}
	listener, err := socket.Listen(a.path, s.Stranger)
	if err != nil {
		a.t.Error(err)
		return
	}
	var ctx context.Context
	ctx, a.stop = context.WithCancel(context.Background())
	a.done = make(chan error, 1)
	go func() { a.done <- s.Serve(ctx, server.Endpoint{Listener: listener}) }()
}

func (a *annotator) end() {
	if a.stop == nil {
		return
	}
	a.stop()
	<-a.done
	a.stop = nil
}

// config connects to the annotator.
func (a *annotator) config() bridge.Config {
	a.t.Helper()
	conn, err := client.Dial(a.t.Context(), client.Config{Address: "unix:" + a.path, Program: client.NoStart})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = conn.Close() })
	options := bridge.SessionOptions("test")
	session, err := client.Open(a.t.Context(), conn, options)
	if err != nil {
		a.t.Fatal(err)
	}
	return bridge.Config{
		Conn: conn, Session: session, Options: options, Threshold: 0.8, MaxBlock: 262_144,
		Provenance: verdict.Provenance{Version: "test", Model: "hash", Threshold: 0.8, Comments: "flagged"},
		Deadline:   time.Minute, // the machine that runs the tests may be slow
	}
}

// demo returns a capture of the project's own.
func demo(t testing.TB) []byte {
	t.Helper()
	capture, err := os.ReadFile(filepath.Join(filepath.Dir(capturetest.Own(t)[0]), "port_scan_syn.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	return capture
}

// strip takes all comments of ours out, and the statistics blocks.
func strip(t testing.TB, capture []byte) []byte {
	t.Helper()
	var stripped, rest bytes.Buffer
	if _, err := rewrite.Strip(context.Background(), bytes.NewReader(capture), &stripped); err != nil {
		t.Fatal(err)
	}
	for r := pcapng.NewReader(&stripped); ; {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rest.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.Type != pcapng.TypeStatistics {
			rest.Write(b.Raw)
		}
	}
}

// TestSameVerdicts checks that a capture comes out as annotate would write it,
// with a statistics block at the end.
func TestSameVerdicts(t *testing.T) {
	a := newAnnotator(t)
	a.start()
	for _, path := range capturetest.Own(t) {
		in, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, comments := range []rewrite.Comments{rewrite.CommentFlagged, rewrite.CommentAll} {
			cfg := a.config()
			cfg.Comments = comments
			var got bytes.Buffer
			b := bridge.New(cfg)
			if err := b.Run(t.Context(), bytes.NewReader(in), &got); err != nil {
				t.Fatal(err)
			}
			e, err := engine.New(engine.Default(), scoretest.Hash{})
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			counts, err := rewrite.Annotate(t.Context(), bytes.NewReader(in), &want, rewrite.Config{
				Engine: e, Comments: comments, Threshold: cfg.Threshold, Provenance: cfg.Provenance})
			if err != nil {
				t.Fatal(err)
			}
			rest, ok := bytes.CutPrefix(got.Bytes(), want.Bytes())
			if !ok || len(rest) == 0 || !bytes.Contains(rest, []byte(b.Stats().Comment())) {
				t.Errorf("%s, %s: %d bytes, want %d and a statistics block; %v", path, comments, got.Len(), want.Len(), b.Stats())
			}
			if s := b.Stats(); s.Frames != counts.Frames || s.Flagged != counts.Flagged || s.Unjudged() != 0 {
				t.Errorf("%s: %+v, want %+v", path, s, counts)
			}
		}
	}
}

// feed yields a capture in parts; between them it calls steps.
type feed struct {
	parts [][]byte
	steps []func()
}

func (f *feed) Read(p []byte) (int, error) {
	for len(f.parts[0]) == 0 {
		if len(f.parts) == 1 {
			return 0, io.EOF
		}
		f.parts = f.parts[1:]
		f.steps[0]()
		f.steps = f.steps[1:]
	}
	n := copy(p, f.parts[0])
	f.parts[0] = f.parts[0][n:]
	return n, nil
}

// wait waits until done; the test fails when it takes for ever. It may be called
// from the goroutine of a feed, which has to go on for the bridge to end.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 3000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("waited too long until %s", what)
}

// cut cuts a capture into parts after about so many bytes, between blocks.
func cut(t *testing.T, capture []byte, after ...int) [][]byte {
	t.Helper()
	var parts [][]byte
	begin := 0
	for r := pcapng.NewReader(bytes.NewReader(capture)); ; {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return append(parts, capture[begin:])
		}
		if err != nil {
			t.Fatal(err)
		}
		if end := int(b.Offset) + len(b.Raw); len(after) > 0 && end >= after[0] {
			parts, after = append(parts, capture[begin:end]), after[1:]
			begin = end
		}
	}
}

// log collects lines.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// TestAnnotatorDies ends the annotator amid a capture, and starts it again
// later: in between, frames go on without verdicts.
func TestAnnotatorDies(t *testing.T) {
	a := newAnnotator(t)
	a.start()
	in := demo(t)
	cfg := a.config()
	var said log
	cfg.Log = said.add
	b := bridge.New(cfg)
	offsets := []int{len(in) / 4, len(in) / 2}
	steps := []func(){
		func() {
			wait(t, "the first part is judged", func() bool { return b.Stats().Frames > 0 })
			a.end()
		},
		func() {
			wait(t, "frames go on without verdicts", func() bool { return b.Stats().Absent > 0 })
			a.start()
		},
	}
	for offset := len(in) / 2; offset < len(in); offset += 100 { // then a frame at a time
		offsets = append(offsets, offset)
		steps = append(steps, func() {
			if b.Stats().Sessions == 1 {
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	var out bytes.Buffer
	if err := b.Run(t.Context(), &feed{parts: cut(t, in, offsets...), steps: steps}, &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(strip(t, out.Bytes()), strip(t, in)) {
		t.Error("frames were changed or lost")
	}
	s := b.Stats()
	if s.Absent == 0 || s.Absent != s.Unjudged() || s.Absent >= s.Frames || s.Sessions != 2 {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{"frames go on without verdicts", "the annotator is back"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("log %q does not say %q", &said, want)
		}
	}
}

// TestSlowAnnotator lets an annotator never answer.
func TestSlowAnnotator(t *testing.T) {
	a := newAnnotator(t)
	a.gate = make(chan struct{})
	defer close(a.gate)
	a.start()
	cfg := a.config()
	cfg.Deadline = 50 * time.Millisecond
	cfg.Comments = rewrite.CommentAll
	b := bridge.New(cfg)
	in := demo(t)
	var out bytes.Buffer
	if err := b.Run(t.Context(), bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(strip(t, out.Bytes()), strip(t, in)) {
		t.Error("frames were changed or lost")
	}
	if s := b.Stats(); s.Late != s.Frames || s.Frames == 0 || s.Flagged != 0 {
		t.Errorf("%+v", s)
	}
	if bytes.Contains(out.Bytes(), []byte("score=")) {
		t.Error("a comment without a verdict")
	}
}

// TestPause pauses for the second part.
func TestPause(t *testing.T) {
	a := newAnnotator(t)
	a.start()
	in := demo(t)
	cfg := a.config()
	cfg.TooLong = func() uint64 { return 17 }
	b := bridge.New(cfg)
	src := &feed{parts: cut(t, in, len(in)/2), steps: []func(){func() {
		wait(t, "the first part is judged", func() bool { return b.Stats().Frames > 0 })
		b.Pause(true)
	}}}
	var out bytes.Buffer
	if err := b.Run(t.Context(), src, &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out.Bytes(), []byte("toolong=17 dropped=0 late=0")) {
		t.Error("the statistics do not tell what the source left out")
	}
	if s := b.Stats(); s.Paused == 0 || s.Paused >= s.Frames || s.Paused != s.Unjudged() {
		t.Errorf("%+v", s)
	}
}

// TestThreshold moves the threshold for the second part.
func TestThreshold(t *testing.T) {
	a := newAnnotator(t)
	a.start()
	in := demo(t)
	b := bridge.New(a.config())
	b.SetThreshold(1)
	src := &feed{parts: cut(t, in, len(in)/2), steps: []func(){func() {
		wait(t, "the first part is judged", func() bool { return b.Stats().Frames > 0 })
		if n := b.Stats().Flagged; n != 0 {
			t.Errorf("%d frames score more than 1", n)
		}
		b.SetThreshold(0)
	}}}
	if err := b.Run(t.Context(), src, io.Discard); err != nil {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Flagged == 0 || b.Threshold() != 0 {
		t.Errorf("%+v", s)
	}
}

// TestReport checks that what is told of the findings is what the comments say.
func TestReport(t *testing.T) {
	a := newAnnotator(t)
	a.start()
	cfg := a.config()
	cfg.Threshold = 0.5
	b := bridge.New(cfg)
	if got := b.Report(); got != "0 frames, 0 flagged." {
		t.Errorf("before the first frame: %s", got)
	}
	var out bytes.Buffer
	if err := b.Run(t.Context(), bytes.NewReader(demo(t)), &out); err != nil {
		t.Fatal(err)
	}
	report, told := b.Report(), 0
	for _, kind := range verdict.Types {
		n := bytes.Count(out.Bytes(), []byte(" type="+kind+" "))
		told += n
		paragraph := fmt.Sprintf("\n\n%s: %d frames, ", kind.Words(), n)
		filter := fmt.Sprintf("\nFilter: ai.anomaly.type == %q", kind)
		if strings.Contains(report, paragraph) != (n > 0) || strings.Contains(report, filter) != (n > 0) {
			t.Errorf("%d frames of type %s are told otherwise", n, kind)
		}
	}
	if told == 0 || uint64(told) != b.Stats().Flagged {
		t.Errorf("%d frames flagged, %d of them of a type", b.Stats().Flagged, told)
	}
	if t.Failed() {
		t.Log(report)
	}
}

// gone is a reader of the capture that ends at once.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// TestEnds checks that an error on either side comes out, behind all frames
// where it is the source's, and nothing is left running.
func TestEnds(t *testing.T) {
	a := newAnnotator(t)
	a.start()
	if err := bridge.New(a.config()).Run(t.Context(), bytes.NewReader(demo(t)), gone{}); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("reader gone: %v", err)
	}
	died := errors.New("the source has died")
	in := demo(t)
	half := cut(t, in, len(in)/2)[0]
	var out bytes.Buffer
	err := bridge.New(a.config()).Run(t.Context(), io.MultiReader(bytes.NewReader(half), failing{died}), &out)
	if !errors.Is(err, died) {
		t.Errorf("source gone: %v", err)
	}
	if !bytes.Equal(strip(t, out.Bytes()), strip(t, half)) {
		t.Error("frames before the end were lost")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestStats(t *testing.T) {
	s := bridge.Stats{Frames: 1000, Flagged: 7, Omitted: 3, TooLong: 1, Dropped: 4, Late: 20, Absent: 10, Paused: 5, Sessions: 2}
	want := "1000 frames, 7 flagged, 3 left out as not flagged, 1 left out as too long for Wireshark's pipe, " +
		"4 lost by the kernel as nobody took them in time, 20 without a verdict as the annotator was too slow, " +
		"10 without a verdict as there was no annotator, 5 without a verdict as scoring was paused"
	if got := s.String(); got != want {
		t.Errorf("got %q", got)
	}
	if c := s.Comment(); !verdict.IsOurs(c) || s.Unjudged() != 35 {
		t.Errorf("comment %q", c)
	}
	if got := fmt.Sprint(bridge.Stats{Frames: 1}); got != "1 frames, 0 flagged" {
		t.Errorf("got %q", got)
	}
}
