package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
	"ampulla/grpc/server"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// realDumpcap skips a test where nobody can capture from the loopback interface.
func realDumpcap(t *testing.T) {
	t.Helper()
	program, err := dumpcap.Find()
	if err != nil {
		t.Skip(err)
	}
	capture, err := program.Start(t.Context(), dumpcap.Config{Interfaces: []string{"lo"}})
	if err != nil {
		t.Skip(err)
	}
	_ = capture.Close()
}

// fakeDumpcap makes a dumpcap of a shell script.
func fakeDumpcap(t *testing.T, script string) func(*server.Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dumpcap")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return func(c *server.Config) { c.Dumpcap = dumpcap.Program(path) }
}

// sink opens a port of the loopback interface and returns the filter for what is
// sent to it.
func sink(t *testing.T) (conn net.Conn, filter string) {
	t.Helper()
	listener, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	if conn, err = net.Dial("udp", listener.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, fmt.Sprintf("udp dst port %d", listener.LocalAddr().(*net.UDPAddr).Port)
}

// framesOf returns the data of the frames of a capture and the comments of each.
func framesOf(t *testing.T, path string) (data, comments []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for r := pcapng.NewReader(file); ; {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return data, comments
		}
		if err != nil {
			t.Fatal(err)
		}
		if !b.IsFrame() {
			continue
		}
		data = append(data, string(b.Data()))
		comment := ""
		for options := b.Options(); ; {
			o, ok := options.Next()
			if !ok {
				break
			}
			if o.Code == pcapng.OptComment {
				comment = string(o.Value)
			}
		}
		comments = append(comments, comment)
	}
}

// TestCapture captures from the loopback interface and checks the file: every
// frame with its verdict, and the counts.
func TestCapture(t *testing.T) {
	realDumpcap(t)
	client := serve(t, nil)
	conn, filter := sink(t)
	started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{
		Interfaces: []string{"lo"}, Filter: filter, Output: filepath.Join(t.TempDir(), "a.pcapng"),
		Comments: annotatorv1.Selection_SELECTION_ALL, Session: &annotatorv1.SessionOptions{Threshold: new(0.05)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if started.GetState() != annotatorv1.Capture_STATE_RUNNING || started.GetStartedNs() == 0 || metrics(t, client).GetSessions() != 1 {
		t.Errorf("started: %v", started)
	}
	id := &annotatorv1.CaptureId{Id: started.GetId()}
	watch, err := client.WatchCapture(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	const count = 50
	for i := range count {
		if _, err := fmt.Fprintf(conn, "datagram %d", i); err != nil {
			t.Fatal(err)
		}
	}
	last := started
	for last.GetFrames() < count {
		if last, err = watch.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if last.GetState() != annotatorv1.Capture_STATE_RUNNING || last.GetBytesWritten() == 0 {
		t.Errorf("watched: %v", last)
	}
	ended, err := client.StopCapture(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		var state *annotatorv1.Capture
		if state, err = watch.Recv(); err == nil {
			last = state
		}
	}
	if !errors.Is(err, io.EOF) || !proto.Equal(last, ended) {
		t.Errorf("last seen: %v, %v", last, err)
	}
	info, err := os.Stat(started.GetOptions().GetOutput())
	if err != nil {
		t.Fatal(err)
	}
	if ended.GetState() != annotatorv1.Capture_STATE_DONE || ended.GetError() != "" || ended.GetFrames() != count ||
		ended.GetEndedNs() < ended.GetStartedNs() || ended.GetBytesWritten() != uint64(info.Size()) || info.Mode().Perm() != 0o600 {
		t.Errorf("ended: %v, mode %v", ended, info.Mode())
	}
	checkCaptured(t, started.GetOptions().GetOutput(), ended)
	if list, err := client.ListCaptures(t.Context(), &annotatorv1.ListCapturesRequest{}); err != nil || len(list.GetCaptures()) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	waitVacant(t, client)
}

// checkCaptured compares the file with what was sent, and with what was said of
// it.
func checkCaptured(t *testing.T, path string, ended *annotatorv1.Capture) {
	t.Helper()
	data, comments := framesOf(t, path)
	flagged := uint64(0)
	for i := range data {
		if want := fmt.Sprintf("datagram %d", i); !strings.HasSuffix(data[i], want) {
			t.Errorf("frame %d is not %s", i+1, want)
		}
		v, err := verdict.ParseComment(comments[i])
		if err != nil {
			t.Errorf("frame %d: comment %q: %v", i+1, comments[i], err)
		}
		if v.Score > 0.05 {
			flagged++
		}
	}
	if uint64(len(data)) != ended.GetFrames() || flagged != ended.GetFlagged() || flagged == 0 {
		t.Errorf("%d frames, %d flagged in the file of %v", len(data), flagged, ended)
	}
}

// TestCaptureLimit lets a capture end by itself.
func TestCaptureLimit(t *testing.T) {
	realDumpcap(t)
	client := serve(t, nil)
	conn, filter := sink(t)
	started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{
		Interfaces: []string{"lo"}, Filter: filter, Output: filepath.Join(t.TempDir(), "a.pcapng"), MaxFrames: 3, SnapLength: 50,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_, _ = conn.Write(make([]byte, 100))
	}
	ended := awaitEnd(t, client, started)
	data, _ := framesOf(t, started.GetOptions().GetOutput())
	if ended.GetState() != annotatorv1.Capture_STATE_DONE || ended.GetFrames() != 3 || len(data) != 3 || len(data[0]) != 50 {
		t.Errorf("%v, %d frames in the file", ended, len(data))
	}
}

// awaitEnd watches a capture until it is over.
func awaitEnd(t *testing.T, client annotatorv1.AnnotatorClient, c *annotatorv1.Capture) *annotatorv1.Capture {
	t.Helper()
	watch, err := client.WatchCapture(t.Context(), &annotatorv1.CaptureId{Id: c.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		state, err := watch.Recv()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		c = state
	}
}

// TestForgottenCaptures checks that the server remembers some captures that are
// over, and not all.
func TestForgottenCaptures(t *testing.T) {
	client := serve(t, fakeDumpcap(t, "cat "+capturePath(t, "arp_spoof.pcapng")))
	dir := t.TempDir()
	const count = 103
	for i := range count {
		started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{
			Interfaces: []string{"any"}, Output: filepath.Join(dir, fmt.Sprint(i, ".pcapng")), MaxSeconds: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if ended := awaitEnd(t, client, started); ended.GetState() != annotatorv1.Capture_STATE_DONE {
			t.Fatal(ended)
		}
	}
	list, err := client.ListCaptures(t.Context(), &annotatorv1.ListCapturesRequest{})
	if got := list.GetCaptures(); err != nil || len(got) != 101 || got[0].GetId() != count-100 || got[100].GetId() != count {
		t.Errorf("%d captures from %d on, %v", len(got), got[0].GetId(), err)
	}
}

// TestCaptureStopsWithServer stops the server in the middle of a capture: what
// was captured is in the file.
func TestCaptureStopsWithServer(t *testing.T) {
	realDumpcap(t)
	r := start(t, filepath.Join(t.TempDir(), "run", "a.sock"), func(c *server.Config) { c.Grace = 20 * time.Second })
	client := annotatorv1.NewAnnotatorClient(dial(t, r.path))
	conn, filter := sink(t)
	path := filepath.Join(t.TempDir(), "a.pcapng")
	started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{Interfaces: []string{"lo"}, Filter: filter, Output: path})
	if err != nil {
		t.Fatal(err)
	}
	watch, err := client.WatchCapture(t.Context(), &annotatorv1.CaptureId{Id: started.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write([]byte("x"))
	for state := started; state.GetFrames() == 0; {
		if state, err = watch.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if data, _ := framesOf(t, path); len(data) != 1 {
		t.Errorf("%d frames", len(data))
	}
}

func TestListInterfaces(t *testing.T) {
	if _, err := dumpcap.Find(); err != nil {
		t.Skip(err)
	}
	list, err := serve(t, nil).ListInterfaces(t.Context(), &annotatorv1.ListInterfacesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list.GetInterfaces() {
		if i.GetName() == "lo" && i.GetLoopback() {
			return
		}
	}
	t.Errorf("no lo among %v", list)
}

func TestCaptureErrors(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.pcapng")
	if err := os.WriteFile(there, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	fine := func() *annotatorv1.CaptureOptions {
		return &annotatorv1.CaptureOptions{Interfaces: []string{"lo"}, Output: filepath.Join(dir, "new.pcapng")}
	}
	refusing := fakeDumpcap(t, `echo "dumpcap: You do not have permission to capture on device \"lo\"." >&2; exit 1`)
	for _, tt := range []struct {
		name   string
		real   bool // dumpcap
		change func(*annotatorv1.CaptureOptions)
		code   codes.Code
		text   string
	}{
		{"large", false, func(o *annotatorv1.CaptureOptions) { o.Filter = strings.Repeat("x", 1<<16) }, codes.InvalidArgument, "more than 65536"},
		{"no interface", false, func(o *annotatorv1.CaptureOptions) { o.Interfaces = nil }, codes.InvalidArgument, "interfaces: 0 is not between"},
		{"no name", false, func(o *annotatorv1.CaptureOptions) { o.Interfaces = []string{""} }, codes.InvalidArgument, "a name is empty"},
		{"snap length", false, func(o *annotatorv1.CaptureOptions) { o.SnapLength = 1 << 20 }, codes.InvalidArgument, "snap_length: 1048576"},
		{"limit", false, func(o *annotatorv1.CaptureOptions) { o.MaxSeconds = 1 << 31 }, codes.InvalidArgument, "max_seconds"},
		{"selection", false, func(o *annotatorv1.CaptureOptions) { o.Comments = 9 }, codes.InvalidArgument, "no selection 9"},
		{"no output", false, func(o *annotatorv1.CaptureOptions) { o.Output = "" }, codes.InvalidArgument, "is not an absolute path"},
		{"pcap", false, func(o *annotatorv1.CaptureOptions) { o.Output = "/tmp/a.pcap" }, codes.InvalidArgument, "cannot hold comments"},
		{"there", false, func(o *annotatorv1.CaptureOptions) { o.Output = there }, codes.AlreadyExists, "file exists"},
		{"no folder", false, func(o *annotatorv1.CaptureOptions) { o.Output = filepath.Join(dir, "x", "y") }, codes.NotFound, "no such file"},
		{"session", false, func(o *annotatorv1.CaptureOptions) { o.Session = &annotatorv1.SessionOptions{Baseline: "x"} }, codes.InvalidArgument, "baseline"},
		{"no right", false, func(*annotatorv1.CaptureOptions) {}, codes.PermissionDenied, "; "},
		{"interface", true, func(o *annotatorv1.CaptureOptions) { o.Interfaces = []string{"nosuch0"} }, codes.FailedPrecondition, `no device named "nosuch0"`},
		{"filter", true, func(o *annotatorv1.CaptureOptions) { o.Filter = "tcp foo" }, codes.InvalidArgument, `Invalid capture filter "tcp foo"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := refusing
			if tt.real {
				realDumpcap(t)
				change = nil
			}
			options := fine()
			tt.change(options)
			client := serve(t, change)
			_, err := client.StartCapture(t.Context(), options)
			checkStatus(t, err, tt.code, tt.text)
			if n := metrics(t, client).GetSessions(); n != 0 {
				t.Errorf("%d sessions are left", n)
			}
		})
	}
	if names := folder(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	_, err := serve(t, nil).StopCapture(t.Context(), &annotatorv1.CaptureId{Id: 7})
	checkStatus(t, err, codes.NotFound, "there is no capture 7")
}

// TestCaptureFails lets dumpcap fail in the midst of a frame: what came before
// is in the file.
func TestCaptureFails(t *testing.T) {
	capture := capturePath(t, "port_scan_syn.pcapng")
	client := serve(t, fakeDumpcap(t, fmt.Sprintf("head -c 5000 %s; echo 'dumpcap: The interface went down.' >&2; exit 1", capture)))
	path := filepath.Join(t.TempDir(), "a.pcapng")
	started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{Interfaces: []string{"any"}, Output: path})
	if err != nil {
		t.Fatal(err)
	}
	ended := awaitEnd(t, client, started)
	data, _ := framesOf(t, path)
	if ended.GetState() != annotatorv1.Capture_STATE_FAILED || !strings.Contains(ended.GetError(), "The interface went down") ||
		len(data) == 0 || ended.GetFrames() != uint64(len(data)) {
		t.Errorf("%v, %d frames", ended, len(data))
	}
}

// gated is a scorer that waits for its gate and then may fail.
type gated struct {
	scoretest.Hash
	gate chan struct{}
}

func (g gated) Anomaly(rows, out []float32) error {
	<-g.gate
	return g.Hash.Anomaly(rows, out)
}

// TestCaptureOverload captures 28 MB while the engine does not move, so that most
// of it is waiting: nothing is lost, and what could not be judged is counted.
func TestCaptureOverload(t *testing.T) {
	capture := capturePath(t, "icmp_tunnel.pcapng")
	one, _ := framesOf(t, capture)
	size := len(readFile(t, capture))
	copies := 28 << 20 / size
	read := filepath.Join(t.TempDir(), "read") // made when all was read
	script := fmt.Sprintf("for i in $(seq %d); do cat %s; done; touch %s", copies, capture, read)
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	defer open()
	client := serve(t, func(c *server.Config) {
		fakeDumpcap(t, script)(c)
		c.Scorer, c.PacketBuffer = gated{gate: gate}, 64<<20 // a half of the half that waits goes without
	})
	path := filepath.Join(t.TempDir(), "a.pcapng")
	started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{
		Interfaces: []string{"any"}, Output: path, Comments: annotatorv1.Selection_SELECTION_NONE, MaxSeconds: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	for ctx, cancel := context.WithTimeout(t.Context(), time.Minute); ; time.Sleep(10 * time.Millisecond) {
		defer cancel()
		if _, err := os.Stat(read); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("dumpcap has to wait")
		}
	}
	open()
	ended := awaitEnd(t, client, started)
	if want := uint64(len(one) * copies); ended.GetState() != annotatorv1.Capture_STATE_DONE || ended.GetFrames() != want ||
		ended.GetUnjudged() == 0 || ended.GetUnjudged() == want {
		t.Errorf("%v, want %d frames", ended, want)
	}
	if data, _ := framesOf(t, path); len(data) != len(one)*copies {
		t.Errorf("%d frames in the file, want %d", len(data), len(one)*copies)
	}
}

// TestCaptureWithoutEngine lets the engine fail: the capture goes on.
func TestCaptureWithoutEngine(t *testing.T) {
	capture := capturePath(t, "demo.pcapng")
	client := serve(t, func(c *server.Config) {
		fakeDumpcap(t, "cat "+capture)(c)
		c.Scorer = scoretest.Hash{Err: errors.New("out of order")}
	})
	path := filepath.Join(t.TempDir(), "a.pcapng")
	started, err := client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{Interfaces: []string{"any"}, Output: path, MaxSeconds: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ended := awaitEnd(t, client, started)
	if ended.GetState() != annotatorv1.Capture_STATE_DONE || ended.GetUnjudged() != ended.GetFrames() || !strings.Contains(ended.GetError(), "out of order") {
		t.Error(ended)
	}
	want, _ := framesOf(t, capture)
	got, _ := framesOf(t, path)
	if !bytes.Equal([]byte(strings.Join(want, "")), []byte(strings.Join(got, ""))) {
		t.Errorf("%d frames of %d", len(got), len(want))
	}
}
