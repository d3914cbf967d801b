package server_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/testing/protocmp"

	"ampulla/annotator/baseline"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
	"ampulla/grpc/server"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// judged returns the verdicts of an engine on frames.
func judged(t *testing.T, cfg engine.Config, frames []*annotatorv1.Frame) []verdict.Verdict {
	t.Helper()
	e, err := engine.New(cfg, scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	var list []packet.Frame
	for _, f := range frames {
		list = append(list, packet.Frame{Time: f.GetTimeNs(), LinkType: uint16(f.GetLinkType()), Length: f.GetLength(), Data: f.GetData()})
	}
	verdicts, err := e.Process(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return verdicts
}

// learned returns the baseline of a capture, and a file of it.
func learned(t *testing.T, frames []*annotatorv1.Frame) (*baseline.Baseline, string) {
	t.Helper()
	cfg := engine.Default()
	cfg.Learner = baseline.NewLearner(engine.Identity(scoretest.Hash{}.Manifest()))
	judged(t, cfg, frames)
	b := cfg.Learner.Baseline()
	path := filepath.Join(t.TempDir(), "office.baseline")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := b.Write(file); err != nil {
		t.Fatal(err)
	}
	return b, path
}

// outcome is what a baseline may change of a verdict.
type outcome struct {
	score  uint32
	level  annotatorv1.Level
	kind   string
	reason string
}

// TestSessionBaseline holds sessions to the verdicts of an engine with the same
// baseline, be it the server's or one that the client names.
func TestSessionBaseline(t *testing.T) {
	frames := captureFrames(t, "demo.pcapng", 4000)
	b, path := learned(t, frames)
	levels := map[verdict.Level]annotatorv1.Level{
		verdict.Normal: annotatorv1.Level_LEVEL_NORMAL, verdict.Suspicious: annotatorv1.Level_LEVEL_SUSPICIOUS,
		verdict.Anomalous: annotatorv1.Level_LEVEL_ANOMALOUS, verdict.Learning: annotatorv1.Level_LEVEL_LEARNING,
	}
	of := func(cfg engine.Config) (list []outcome) {
		for _, v := range judged(t, cfg, frames) {
			list = append(list, outcome{uint32(v.Score*1000 + 0.5), levels[v.Level], string(v.Type), v.Reason})
		}
		return list
	}
	cfg := engine.Default()
	plain := of(cfg)
	cfg.Baseline = b
	want := of(cfg)
	if cmp.Equal(plain, want, cmp.AllowUnexported(outcome{})) {
		t.Fatal("the baseline changes nothing")
	}
	tolerant, err := b.Threshold(1000)
	if err != nil {
		t.Fatal(err)
	}
	own := serve(t, func(c *server.Config) { c.Engine.Baseline = b })
	none := serve(t, nil)
	for _, tt := range []struct {
		name      string
		client    annotatorv1.AnnotatorClient
		options   *annotatorv1.SessionOptions
		want      []outcome
		hash      string
		threshold float64
	}{
		{"nobody's", none, &annotatorv1.SessionOptions{}, plain, "", 0.8},
		{"the server's", own, &annotatorv1.SessionOptions{}, want, b.Hash(), 0.8},
		{"the client's", none, &annotatorv1.SessionOptions{Baseline: path, Threshold: new(0.0)}, want, b.Hash(), 0},
		{"alarms an hour", none, &annotatorv1.SessionOptions{Baseline: path, AlarmsPerHour: 1000}, want, b.Hash(), tolerant},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls, started, err := open(t, tt.client, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if started.GetBaselineSha256() != tt.hash || started.GetThreshold() != tt.threshold {
				t.Errorf("started %v, want %s and threshold %v", started, tt.hash, tt.threshold)
			}
			verdicts, err := ask(calls, frames...)
			if err != nil {
				t.Fatal(err)
			}
			var got []outcome
			for _, v := range verdicts {
				got = append(got, outcome{v.GetScorePermille(), v.GetLevel(), v.GetType(), v.GetReason()})
				if v.GetFlagged() != (v.GetScorePermille() > uint32(1000*tt.threshold+0.5)) {
					t.Errorf("frame %d: score %d, flagged %v", v.GetFrame(), v.GetScorePermille(), v.GetFlagged())
				}
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestBadBaseline: what is no baseline, or not for everybody, is refused with the
// reason.
func TestBadBaseline(t *testing.T) {
	_, path := learned(t, captureFrames(t, "demo.pcapng", 100))
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	file, err := os.Create(other)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	older := baseline.New(baseline.Identity{Models: "older", Anomaly: "00", Features: "1"})
	if err := older.Write(file); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, filepath.Join(dir, "run", "a.sock"), nil, server.Endpoint{Listener: listener})
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	local, remote := annotatorv1.NewAnnotatorClient(dial(t, r.path)), annotatorv1.NewAnnotatorClient(conn)
	for _, tt := range []struct {
		name   string
		client annotatorv1.AnnotatorClient
		option *annotatorv1.SessionOptions
		code   codes.Code
		text   string
	}{
		{"fine", local, &annotatorv1.SessionOptions{Baseline: path}, codes.OK, ""},
		{"over TCP", remote, &annotatorv1.SessionOptions{Baseline: path}, codes.PermissionDenied, "unix socket only"},
		{"no file", local, &annotatorv1.SessionOptions{Baseline: filepath.Join(dir, "x")}, codes.NotFound, "no such file"},
		{"a folder", local, &annotatorv1.SessionOptions{Baseline: dir}, codes.FailedPrecondition, "is not a regular file"},
		{"a device", local, &annotatorv1.SessionOptions{Baseline: "/dev/zero"}, codes.FailedPrecondition, "is not a regular file"},
		{"a capture", local, &annotatorv1.SessionOptions{Baseline: capturePath(t, "demo.pcapng")}, codes.FailedPrecondition, "not a baseline"},
		{"other models", local, &annotatorv1.SessionOptions{Baseline: other}, codes.FailedPrecondition, "learned with models older"},
		{"too little learned", local, &annotatorv1.SessionOptions{Baseline: path, AlarmsPerHour: 0.001}, codes.FailedPrecondition, "hours were learned"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := open(t, tt.client, tt.option)
			checkStatus(t, err, tt.code, tt.text)
		})
	}
	cfg := server.Default()
	cfg.Scorer, cfg.Engine.Baseline = scoretest.Hash{}, older
	if _, err := server.New(cfg); err == nil {
		t.Error("a server with a baseline of other models")
	}
}

// shifted returns frames as if the first one came at another time.
func shifted(frames []*annotatorv1.Frame, first time.Time) []*annotatorv1.Frame {
	by := first.UnixNano() - frames[0].GetTimeNs()
	for _, f := range frames {
		f.TimeNs += by
	}
	return frames
}

// TestDrift: what sessions show of today is compared with the server's baseline.
func TestDrift(t *testing.T) {
	const most = 4000
	b, path := learned(t, shifted(captureFrames(t, "benign_office.pcapng", most), time.Now().AddDate(0, 0, -7)))
	told := make(chan baseline.Change, 10)
	client := serve(t, func(c *server.Config) {
		c.Engine.Baseline, c.BaselineFile = b, path
		c.Changed = func(change baseline.Change) { told <- change }
	})
	show := func(frames []*annotatorv1.Frame, options *annotatorv1.SessionOptions) {
		t.Helper()
		calls, _, err := open(t, client, options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ask(calls, frames...); err != nil {
			t.Fatal(err)
		}
		_ = calls.CloseSend()
		if _, err := calls.Recv(); !errors.Is(err, io.EOF) { // and with that the session is over
			t.Fatal(err)
		}
	}
	state := func() *annotatorv1.Baseline {
		t.Helper()
		info, err := client.GetInfo(t.Context(), &annotatorv1.GetInfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return info.GetBaseline()
	}
	want := &annotatorv1.Baseline{Sha256: b.Hash(), File: path, Hours: new(b.Totals()).Hours()}
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, state(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("at first")
	today := time.Now().Add(-10 * time.Minute)
	_, other := learned(t, captureFrames(t, "demo.pcapng", most))
	show(captureFrames(t, "demo.pcapng", most), nil)
	check("after a capture of long ago")
	show(shifted(captureFrames(t, "demo.pcapng", most), today), &annotatorv1.SessionOptions{Baseline: other})
	check("after one that is measured against another")

	same := shifted(captureFrames(t, "benign_office.pcapng", most), today)
	show(same, nil)
	want.Frames = uint64(len(same))
	check("after the same")

	show(shifted(captureFrames(t, "demo.pcapng", most), today), nil)
	got := state()
	if got.GetFrames() <= want.GetFrames() || len(got.GetChanges()) == 0 || len(told) != len(got.GetChanges()) {
		t.Fatalf("%d told, state %v", len(told), got)
	}
	for _, c := range got.GetChanges() {
		if change := (baseline.Change{What: c.GetWhat(), Value: c.GetValue(), Text: c.GetText()}); change != <-told {
			t.Errorf("%v is not what was told", change)
		}
	}
	if c := got.GetChanges()[0]; c.GetWhat() != "hosts" || !strings.HasPrefix(c.GetText(), "1 new host: 192.168.40.66") {
		t.Errorf("%v", c)
	}
}

// TestNewBaseline: a baseline that was learned meanwhile is that of the sessions
// that begin from then on, and nothing was seen beside it yet.
func TestNewBaseline(t *testing.T) {
	frames := shifted(captureFrames(t, "demo.pcapng", 1000), time.Now().Add(-10*time.Minute))
	first, _ := learned(t, frames)
	second, _ := learned(t, frames[:500])
	var current atomic.Pointer[baseline.Baseline]
	current.Store(first)
	client := serve(t, func(c *server.Config) { c.Engine.Baseline, c.Baseline = first, current.Load })
	check := func(b *baseline.Baseline, seen uint64) {
		t.Helper()
		info, err := client.GetInfo(t.Context(), &annotatorv1.GetInfoRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := info.GetBaseline(); got.GetSha256() != b.Hash() || got.GetFrames() != seen {
			t.Errorf("%v, want %s and %d frames", got, b.Hash(), seen)
		}
	}
	begin := func(b *baseline.Baseline) session {
		t.Helper()
		calls, started, err := open(t, client, nil)
		if err != nil {
			t.Fatal(err)
		}
		if started.GetBaselineSha256() != b.Hash() {
			t.Errorf("%v, want %s", started, b.Hash())
		}
		if _, err := ask(calls, frames...); err != nil {
			t.Fatal(err)
		}
		return calls
	}
	end := func(calls session) {
		t.Helper()
		_ = calls.CloseSend()
		if _, err := calls.Recv(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	end(begin(first))
	check(first, 1000)
	earlier := begin(first)
	current.Store(second)
	check(second, 0)
	end(earlier) // stays with what it began with
	check(second, 0)
	end(begin(second))
	check(second, 1000)
}

// TestDriftMeanwhile: a session that does not end is compared, too.
func TestDriftMeanwhile(t *testing.T) {
	b, _ := learned(t, captureFrames(t, "benign_office.pcapng", 4000))
	told := make(chan baseline.Change, 10)
	client := serve(t, func(c *server.Config) {
		c.Engine.Baseline = b
		c.Changed = func(change baseline.Change) { told <- change }
	})
	calls, _, err := open(t, client, nil)
	if err != nil {
		t.Fatal(err)
	}
	frames := shifted(captureFrames(t, "demo.pcapng", 3000), time.Now().Add(-10*time.Minute))
	for range 25 {
		if _, err := ask(calls, frames...); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) == 0 {
		t.Error("nothing told")
	}
}
