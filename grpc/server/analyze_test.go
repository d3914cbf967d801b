package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/score/scoretest"
	"ampulla/annotator/verdict"
	"ampulla/grpc/server"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// analyzed is what one analysis answers.
type analyzed struct {
	progress []*annotatorv1.AnalyzeProgress
	verdicts []*annotatorv1.Verdict
	summary  *annotatorv1.AnalyzeSummary
}

// analyze runs an analysis to its end. The file goes out in chunks unless the
// options name a path.
func analyze(t testing.TB, client annotatorv1.AnnotatorClient, options *annotatorv1.AnalyzeOptions, file []byte) (analyzed, error) {
	t.Helper()
	calls, err := client.Analyze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = calls.Send(analyzeOptions(options))
		for len(file) > 0 {
			n := min(len(file), 50_000)
			if calls.Send(chunk(file[:n])) != nil {
				return
			}
			file = file[n:]
		}
		_ = calls.CloseSend()
	}()
	var got analyzed
	for {
		answer, err := calls.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if got.summary != nil {
			t.Error("something behind the summary: ", answer)
		}
		if p := answer.GetProgress(); p != nil {
			got.progress = append(got.progress, p)
		}
		got.verdicts = append(got.verdicts, answer.GetVerdicts().GetVerdicts()...)
		got.summary = answer.GetSummary()
	}
}

func analyzeOptions(o *annotatorv1.AnalyzeOptions) *annotatorv1.AnalyzeRequest {
	return &annotatorv1.AnalyzeRequest{Message: &annotatorv1.AnalyzeRequest_Options{Options: o}}
}

func chunk(b []byte) *annotatorv1.AnalyzeRequest {
	return &annotatorv1.AnalyzeRequest{Message: &annotatorv1.AnalyzeRequest_Chunk{Chunk: b}}
}

// expected is what the pipeline itself makes of a capture.
func expected(t testing.TB, in []byte, threshold float64, comments rewrite.Comments) (out []byte, verdicts []verdict.Verdict) {
	t.Helper()
	e, err := engine.New(engine.Default(), scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	_, err = rewrite.Annotate(t.Context(), bytes.NewReader(in), &buf, rewrite.Config{
		Engine: e, Threshold: threshold, Comments: comments,
		Provenance: scoretest.Hash{}.Manifest().Provenance("test", threshold, string(comments)),
		OnVerdict:  func(v *verdict.Verdict) error { verdicts = append(verdicts, *v); return nil },
	})
	if err != nil {
		t.Log(err)
	}
	return buf.Bytes(), verdicts
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAnalyze checks verdicts, summary and output against the pipeline itself,
// for a file that is named and one that is sent, whole and cut off.
func TestAnalyze(t *testing.T) {
	client := serve(t, nil)
	path := capturePath(t, "demo.pcapng")
	whole := readFile(t, path)
	cut := whole[:len(whole)/2]
	cutPath := filepath.Join(t.TempDir(), "cut.pcapng")
	if err := os.WriteFile(cutPath, cut, 0o600); err != nil {
		t.Fatal(err)
	}
	const threshold = 0.97
	for _, tt := range []struct {
		name     string
		options  *annotatorv1.AnalyzeOptions
		sent, in []byte
		comments rewrite.Comments
	}{
		{"named", &annotatorv1.AnalyzeOptions{Path: path}, nil, whole, rewrite.CommentFlagged},
		{"sent", &annotatorv1.AnalyzeOptions{Size: uint64(len(whole))}, whole, whole, rewrite.CommentFlagged},
		{"all", &annotatorv1.AnalyzeOptions{
			Path: path, Verdicts: annotatorv1.Selection_SELECTION_ALL, Comments: annotatorv1.Selection_SELECTION_ALL,
		}, nil, whole, rewrite.CommentAll},
		{"none", &annotatorv1.AnalyzeOptions{
			Path: path, Verdicts: annotatorv1.Selection_SELECTION_NONE, Comments: annotatorv1.Selection_SELECTION_NONE,
		}, nil, whole, rewrite.CommentNone},
		{"cut, named", &annotatorv1.AnalyzeOptions{Path: cutPath}, nil, cut, rewrite.CommentFlagged},
		{"cut, sent", &annotatorv1.AnalyzeOptions{}, cut, cut, rewrite.CommentFlagged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.Session = &annotatorv1.SessionOptions{Threshold: new(threshold)}
			tt.options.Output = filepath.Join(t.TempDir(), "out.pcapng")
			got, err := analyze(t, client, tt.options, tt.sent)
			if err != nil {
				t.Fatal(err)
			}
			out, verdicts := expected(t, tt.in, threshold, tt.comments)
			if !bytes.Equal(readFile(t, tt.options.Output), out) {
				t.Error("the output is not what annotate writes")
			}
			if diff := cmp.Diff(summaryOf(verdicts, threshold), got.summary, protocmp.Transform(),
				protocmp.IgnoreFields(&annotatorv1.AnalyzeSummary{}, "broken", "output", "flows", "incidents")); diff != "" {
				t.Error(diff)
			}
			if broken := got.summary.GetBroken(); (broken != nil) != (len(tt.in) < len(whole)) ||
				broken != nil && (broken.GetBlock() < 2 || broken.GetOffset() > uint64(len(cut)) || broken.GetCause() == "") {
				t.Errorf("broken: %v", broken)
			}
			if got.summary.GetOutput() != tt.options.GetOutput() || got.summary.GetFlows() == 0 {
				t.Errorf("output %q, %d flows", got.summary.GetOutput(), got.summary.GetFlows())
			}
			checkVerdicts(t, got.verdicts, verdicts, threshold, tt.options.GetVerdicts())
			checkProgress(t, got, tt.options, uint64(len(tt.in)))
		})
	}
}

// summaryOf counts verdicts.
func summaryOf(verdicts []verdict.Verdict, threshold float64) *annotatorv1.AnalyzeSummary {
	sum := &annotatorv1.AnalyzeSummary{
		Frames: uint64(len(verdicts)), FlaggedByType: map[string]uint64{}, FramesByClass: map[string]uint64{},
		FirstNs: verdicts[0].Time, LastNs: verdicts[0].Time, Threshold: threshold,
	}
	for _, v := range verdicts {
		sum.FirstNs, sum.LastNs = min(sum.FirstNs, v.Time), max(sum.LastNs, v.Time)
		sum.FramesByClass[v.Class]++
		if v.Score > threshold {
			sum.Flagged++
			sum.FlaggedByType[string(v.Type)]++
		}
	}
	return sum
}

func checkVerdicts(t *testing.T, got []*annotatorv1.Verdict, all []verdict.Verdict, threshold float64, selection annotatorv1.Selection) {
	t.Helper()
	for _, v := range all {
		if selection == annotatorv1.Selection_SELECTION_NONE ||
			selection == annotatorv1.Selection_SELECTION_UNSPECIFIED && v.Score <= threshold {
			continue
		}
		if len(got) == 0 {
			t.Fatalf("no verdict of frame %d", v.Frame)
		}
		if g := got[0]; g.GetFrame() != v.Frame || g.GetClass() != v.Class || g.GetReason() != v.Reason || g.GetFlagged() != (v.Score > threshold) {
			t.Fatalf("%v, want %v", g, v)
		}
		got = got[1:]
	}
	if len(got) > 0 {
		t.Errorf("%d verdicts too many", len(got))
	}
}

func checkProgress(t *testing.T, got analyzed, options *annotatorv1.AnalyzeOptions, size uint64) {
	t.Helper()
	if len(got.progress) == 0 {
		t.Fatal("no progress")
	}
	total := size
	if options.GetPath() == "" {
		total = options.GetSize()
	}
	last := &annotatorv1.AnalyzeProgress{}
	for _, p := range got.progress {
		if p.GetBytesTotal() != total || p.GetBytesRead() < last.GetBytesRead() || p.GetBytesRead() > size ||
			p.GetFrames() < last.GetFrames() || p.GetFlagged() > p.GetFrames() {
			t.Errorf("progress %v behind %v, %d bytes in all", p, last, total)
		}
		last = p
	}
}

// TestAnalyzeCompressed checks that progress counts the bytes of the file as it
// is.
func TestAnalyzeCompressed(t *testing.T) {
	client := serve(t, nil)
	in := readFile(t, capturePath(t, "demo.pcapng"))
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(in)
	_ = w.Close()
	size := uint64(packed.Len())
	got, err := analyze(t, client, &annotatorv1.AnalyzeOptions{Size: size}, packed.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	_, verdicts := expected(t, in, verdict.AnomalousScore, rewrite.CommentFlagged)
	if got.summary.GetFrames() != uint64(len(verdicts)) {
		t.Errorf("%d frames, want %d", got.summary.GetFrames(), len(verdicts))
	}
	checkProgress(t, got, &annotatorv1.AnalyzeOptions{Size: size}, size)
}

// TestAnalyzeInPlace replaces the capture by its output; one that breaks off
// stays.
func TestAnalyzeInPlace(t *testing.T) {
	client := serve(t, nil)
	whole := readFile(t, capturePath(t, "port_scan_syn.pcapng"))
	for name, in := range map[string][]byte{"whole": whole, "cut": whole[:len(whole)-10]} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.pcapng")
			if err := os.WriteFile(path, in, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := analyze(t, client, &annotatorv1.AnalyzeOptions{Path: path, Output: path}, nil)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := expected(t, in, verdict.AnomalousScore, rewrite.CommentFlagged)
			want := path
			if name == "cut" {
				want = path + ".partial"
				if !bytes.Equal(readFile(t, path), in) {
					t.Error("the broken capture was replaced")
				}
			}
			if got.summary.GetOutput() != want || !bytes.Equal(readFile(t, want), out) {
				t.Errorf("output %q, want %q", got.summary.GetOutput(), want)
			}
		})
	}
}

func TestAnalyzeErrors(t *testing.T) {
	client := serve(t, nil)
	dir := t.TempDir()
	path := capturePath(t, "port_scan_syn.pcapng")
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		options *annotatorv1.AnalyzeOptions
		file    []byte
		code    codes.Code
		text    string
	}{
		{"no file", &annotatorv1.AnalyzeOptions{Path: filepath.Join(dir, "none")}, nil, codes.NotFound, "no such file"},
		{"relative", &annotatorv1.AnalyzeOptions{Path: "a.pcapng"}, nil, codes.InvalidArgument, "path: a.pcapng is not an absolute path"},
		{"relative output", &annotatorv1.AnalyzeOptions{Path: path, Output: "-"}, nil, codes.InvalidArgument, "output: - is not an absolute path"},
		{"folder", &annotatorv1.AnalyzeOptions{Path: dir}, nil, codes.FailedPrecondition, "is not a regular file"},
		{"fifo", &annotatorv1.AnalyzeOptions{Path: fifo}, nil, codes.FailedPrecondition, "is not a regular file"},
		{"device", &annotatorv1.AnalyzeOptions{Path: "/dev/zero"}, nil, codes.FailedPrecondition, "is not a regular file"},
		{"to a fifo", &annotatorv1.AnalyzeOptions{Path: path, Output: fifo}, nil, codes.FailedPrecondition, "is not a regular file"},
		{"to nowhere", &annotatorv1.AnalyzeOptions{Path: path, Output: filepath.Join(dir, "x", "y")}, nil, codes.NotFound, "no such file"},
		{"to pcap", &annotatorv1.AnalyzeOptions{Path: path, Output: filepath.Join(dir, "a.pcap")}, nil, codes.InvalidArgument, "a pcap file cannot hold comments"},
		{"text", &annotatorv1.AnalyzeOptions{}, []byte("dear annotator"), codes.InvalidArgument, "not a pcap or pcapng capture"},
		{"selection", &annotatorv1.AnalyzeOptions{Verdicts: 17}, nil, codes.InvalidArgument, "verdicts: there is no selection 17"},
		{"session", &annotatorv1.AnalyzeOptions{Session: &annotatorv1.SessionOptions{Threshold: new(-1.0)}}, nil, codes.InvalidArgument, "threshold: -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := analyze(t, client, tt.options, tt.file)
			checkStatus(t, err, tt.code, tt.text)
		})
	}
	if names := folder(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}

func folder(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAnalyzeWithoutOptions(t *testing.T) {
	calls, err := serve(t, nil).Analyze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = calls.Send(chunk([]byte{1}))
	_, err = calls.Recv()
	checkStatus(t, err, codes.InvalidArgument, "the first message must carry the options")
}

// TestAnalyzeEmptyFile checks that an empty file is a capture that breaks off at
// once, as everywhere.
func TestAnalyzeEmptyFile(t *testing.T) {
	got, err := analyze(t, serve(t, nil), &annotatorv1.AnalyzeOptions{}, nil)
	want := &annotatorv1.AnalyzeSummary{
		Broken: &annotatorv1.Break{Block: 1, Cause: "input is empty"}, Incidents: &annotatorv1.IncidentList{}, Threshold: verdict.AnomalousScore,
	}
	if err != nil || !proto.Equal(got.summary, want) {
		t.Errorf("%v, %v", got.summary, err)
	}
}

// TestAnalyzeCancelled cancels a client that is sending a file, in the middle
// and with a message that breaks the contract: nothing stays, neither of the
// output nor of the session.
func TestAnalyzeCancelled(t *testing.T) {
	client := serve(t, func(c *server.Config) { c.MaxSessions = 1 })
	in := readFile(t, capturePath(t, "demo.pcapng"))
	dir := t.TempDir()
	options := &annotatorv1.AnalyzeOptions{Output: filepath.Join(dir, "out.pcapng"), Verdicts: annotatorv1.Selection_SELECTION_ALL}
	for _, how := range []string{"cancelled", "wrong"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		calls, err := client.Analyze(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = calls.Send(analyzeOptions(options))
		_ = calls.Send(chunk(in[:len(in)/2]))
		for verdicts := 0; verdicts == 0; {
			answer, err := calls.Recv()
			if err != nil {
				t.Fatal(err)
			}
			verdicts = len(answer.GetVerdicts().GetVerdicts())
		}
		if names := folder(t, dir); len(names) != 1 {
			t.Fatalf("meanwhile: %v", names)
		}
		if how == "cancelled" {
			cancel()
		} else {
			_ = calls.Send(chunk(nil))
			for err == nil {
				_, err = calls.Recv()
			}
			checkStatus(t, err, codes.InvalidArgument, "holds no bytes of the file")
		}
		waitVacant(t, client)
		if names := folder(t, dir); len(names) != 0 {
			t.Errorf("%s: left behind: %v", how, names)
		}
	}
}

// TestSharedLimit checks that analyses and captures count as sessions.
func TestSharedLimit(t *testing.T) {
	client := serve(t, func(c *server.Config) {
		fakeDumpcap(t, "exit 1")(c)
		c.MaxSessions = 1
	})
	if _, _, err := open(t, client, &annotatorv1.SessionOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := open(t, client, &annotatorv1.SessionOptions{})
	checkStatus(t, err, codes.ResourceExhausted, "1 sessions are open already")
	_, err = analyze(t, client, &annotatorv1.AnalyzeOptions{}, nil)
	checkStatus(t, err, codes.ResourceExhausted, "1 sessions are open already")
	_, err = client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{
		Interfaces: []string{"lo"}, Output: filepath.Join(t.TempDir(), "a.pcapng"),
	})
	checkStatus(t, err, codes.ResourceExhausted, "1 sessions are open already")
}

// TestAnalyzeStopped stops the server in the middle of an analysis.
func TestAnalyzeStopped(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "run", "a.sock"), func(c *server.Config) { c.Grace = time.Millisecond })
	calls, err := annotatorv1.NewAnnotatorClient(dial(t, r.path)).Analyze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_ = calls.Send(analyzeOptions(&annotatorv1.AnalyzeOptions{Output: filepath.Join(dir, "out.pcapng")}))
	_ = calls.Send(chunk(readFile(t, capturePath(t, "demo.pcapng"))))
	if _, err := calls.Recv(); err != nil {
		t.Fatal(err)
	}
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	if names := folder(t, dir); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}

// waitVacant waits until no session is open.
func waitVacant(t *testing.T, client annotatorv1.AnnotatorClient) {
	t.Helper()
	for range 1000 {
		if metrics(t, client).GetSessions() == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the session never ends")
}

// TestAnalyzeMemory sends 150 MB of a capture, in blocks of 1 MB, and checks
// that the server holds but a part of it.
func TestAnalyzeMemory(t *testing.T) {
	client := serve(t, nil)
	in := readFile(t, capturePath(t, "demo.pcapng"))
	section := in[:binary.LittleEndian.Uint32(in[4:])]
	block := make([]byte, 1<<20)
	binary.LittleEndian.PutUint32(block, 0x80000001) // a type for local use
	binary.LittleEndian.PutUint32(block[4:], uint32(len(block)))
	binary.LittleEndian.PutUint32(block[len(block)-4:], uint32(len(block)))
	calls, err := client.Analyze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = calls.Send(analyzeOptions(&annotatorv1.AnalyzeOptions{Output: filepath.Join(t.TempDir(), "out.pcapng")}))
	go func() {
		_ = calls.Send(chunk(section))
		for range 150 {
			if calls.Send(chunk(block)) != nil {
				return
			}
		}
		_ = calls.CloseSend()
	}()
	peak := uint64(0)
	for {
		answer, err := calls.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetSummary() != nil {
			if answer.GetSummary().GetBroken() != nil {
				t.Error(answer)
			}
			t.Logf("peak %d MB", peak>>20)
			break
		}
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		peak = max(peak, memory.HeapAlloc)
	}
	if peak > 100<<20 {
		t.Errorf("%d MB", peak>>20)
	}
}

// TestRemote checks that callers on TCP may send a file, and name none.
func TestRemote(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: web.TLS.Certificates, NextProtos: []string{"h2"}}
	start(t, filepath.Join(t.TempDir(), "run", "a.sock"), nil, server.Endpoint{Listener: listener, Credentials: credentials.NewTLS(config)})
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := annotatorv1.NewAnnotatorClient(conn)
	path := capturePath(t, "port_scan_syn.pcapng")
	_, err = analyze(t, client, &annotatorv1.AnalyzeOptions{Path: path}, nil)
	checkStatus(t, err, codes.PermissionDenied, "path is for callers at the unix socket only")
	_, err = analyze(t, client, &annotatorv1.AnalyzeOptions{Output: filepath.Join(t.TempDir(), "x")}, nil)
	checkStatus(t, err, codes.PermissionDenied, "output is for callers at the unix socket only")
	_, err = client.ListInterfaces(t.Context(), &annotatorv1.ListInterfacesRequest{})
	checkStatus(t, err, codes.PermissionDenied, "capturing is for callers at the unix socket only")
	_, err = client.StartCapture(t.Context(), &annotatorv1.CaptureOptions{})
	checkStatus(t, err, codes.PermissionDenied, "capturing is for callers at the unix socket only")
	_, err = client.StopCapture(t.Context(), &annotatorv1.CaptureId{})
	checkStatus(t, err, codes.PermissionDenied, "capturing is for callers at the unix socket only")
	_, err = client.ListCaptures(t.Context(), &annotatorv1.ListCapturesRequest{})
	checkStatus(t, err, codes.PermissionDenied, "capturing is for callers at the unix socket only")
	if got, err := analyze(t, client, &annotatorv1.AnalyzeOptions{}, readFile(t, path)); err != nil || got.summary.GetFrames() == 0 {
		t.Errorf("%v, %v", got.summary, err)
	}
}
