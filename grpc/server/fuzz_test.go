package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/score/scoretest"
	"ampulla/grpc/server"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// serveFuzzed runs a server that counts its callers as remote: whatever is sent
// cannot make it touch a file or a device.
func serveFuzzed(f *testing.F) (listener *bufconn.Listener, conn *grpc.ClientConn) {
	f.Helper()
	cfg := server.Default()
	cfg.Version, cfg.Scorer, cfg.MaxMessage, cfg.Grace = "test", scoretest.Hash{}, 1<<20, time.Millisecond
	s, err := server.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	listener = bufconn.Listen(1 << 20)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, server.Endpoint{Listener: listener}) }()
	conn, err = grpc.NewClient("passthrough:///annotator", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = conn.Close()
		stop()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	return listener, conn
}

// raw sends messages as they are and decodes answers as usual.
type raw struct{ encoding.CodecV2 }

func (r raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// pack puts messages into one input, each behind its length; unpack takes them
// out again.
func pack(messages ...proto.Message) []byte {
	var data []byte
	for _, m := range messages {
		encoded, _ := proto.Marshal(m)
		data = binary.AppendUvarint(data, uint64(len(encoded)))
		data = append(data, encoded...)
	}
	return data
}

func unpack(data []byte) (messages [][]byte) {
	for len(data) > 0 {
		n, used := binary.Uvarint(data)
		if used <= 0 {
			return messages
		}
		data = data[used:]
		n = min(n, uint64(len(data)))
		messages = append(messages, data[:n])
		data = data[n:]
	}
	return messages
}

// FuzzSession sends arbitrary messages as a session. Whatever comes, there are
// as many verdicts as frames, or a status that blames the client; and another
// session gets its usual verdicts.
func FuzzSession(f *testing.F) {
	frames := captureFrames(f, "demo.pcapng", 40)
	options := withOptions(&annotatorv1.SessionOptions{Client: "fuzz", Threshold: new(0.5), Models: []string{"hash"}})
	f.Add(pack(options, withFrames(frames[:10]...), withFrames(frames[10:]...)))
	f.Add(pack(options, withFrames(&annotatorv1.Frame{TimeNs: -1, LinkType: 65535, Length: 1 << 31})))
	f.Add(pack(options, options))
	f.Add([]byte(nil)) // half-closed without a message
	f.Add(pack(withFrames(slices.Repeat([]*annotatorv1.Frame{{}}, 5000)...)))
	_, conn := serveFuzzed(f)
	witness := annotatorv1.NewAnnotatorClient(conn)
	want := judgedBy(f, witness, frames)
	f.Fuzz(func(t *testing.T, data []byte) {
		calls, err := conn.NewStream(t.Context(), &annotatorv1.Annotator_ServiceDesc.Streams[0],
			annotatorv1.Annotator_Session_FullMethodName, grpc.ForceCodecV2(raw{encoding.GetCodecV2("proto")}))
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, message := range unpack(data) {
			var request annotatorv1.SessionRequest
			if proto.Unmarshal(message, &request) == nil {
				sent += len(request.GetFrames().GetFrames())
			}
			if calls.SendMsg(message) != nil {
				break // the cause comes with RecvMsg
			}
		}
		_ = calls.CloseSend()
		got := 0
		for {
			var answer annotatorv1.SessionResponse
			if err = calls.RecvMsg(&answer); err != nil {
				break
			}
			got += len(answer.GetVerdicts().GetVerdicts())
		}
		checkBlame(t, err)
		if got > sent || errors.Is(err, io.EOF) && got != sent {
			t.Errorf("%d verdicts of %d frames, %v", got, sent, err)
		}
		if !bytes.Equal(judgedBy(t, witness, frames), want) {
			t.Error("another session gets other verdicts than before")
		}
	})
}

// checkBlame fails unless a call ended well, or by the client's fault.
func checkBlame(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, io.EOF) {
		return
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented, codes.ResourceExhausted, codes.PermissionDenied:
	default:
		t.Errorf("status %v", err)
	}
}

// judgedBy returns the verdicts of frames in a session of their own.
func judgedBy(t testing.TB, client annotatorv1.AnnotatorClient, frames []*annotatorv1.Frame) []byte {
	t.Helper()
	calls, _, err := open(t, client, &annotatorv1.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	verdicts, err := ask(calls, frames...)
	if err != nil {
		t.Fatal(err)
	}
	_ = calls.CloseSend()
	if _, err := calls.Recv(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(&annotatorv1.VerdictBatch{Verdicts: verdicts})
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// FuzzAnalyze sends arbitrary messages as an analysis: there is a summary at the
// end, or a status that blames the client.
func FuzzAnalyze(f *testing.F) {
	demo := readFile(f, capturePath(f, "demo.pcapng"))[:20_000]
	all := analyzeOptions(&annotatorv1.AnalyzeOptions{Verdicts: annotatorv1.Selection_SELECTION_ALL})
	f.Add(pack(all, chunk(demo[:7000]), chunk(demo[7000:])))
	f.Add(pack(all, chunk([]byte("no capture"))))
	f.Add([]byte(nil)) // half-closed without a message
	f.Add(pack(analyzeOptions(&annotatorv1.AnalyzeOptions{Path: "/dev/zero", Output: "/dev/null"})))
	_, conn := serveFuzzed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		calls, err := conn.NewStream(t.Context(), &annotatorv1.Annotator_ServiceDesc.Streams[1],
			annotatorv1.Annotator_Analyze_FullMethodName, grpc.ForceCodecV2(raw{encoding.GetCodecV2("proto")}))
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range unpack(data) {
			if calls.SendMsg(message) != nil {
				break // the cause comes with RecvMsg
			}
		}
		_ = calls.CloseSend()
		var summary *annotatorv1.AnalyzeSummary
		verdicts := uint64(0)
		for {
			var answer annotatorv1.AnalyzeResponse
			if err = calls.RecvMsg(&answer); err != nil {
				break
			}
			verdicts += uint64(len(answer.GetVerdicts().GetVerdicts()))
			summary = answer.GetSummary()
		}
		checkBlame(t, err)
		if errors.Is(err, io.EOF) && (summary == nil || verdicts > summary.GetFrames()) {
			t.Errorf("summary %v behind %d verdicts", summary, verdicts)
		}
	})
}

// FuzzConnection sends arbitrary bytes to the socket, as they are and behind the
// preface of HTTP/2. The server answers others as before.
func FuzzConnection(f *testing.F) {
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	f.Add(false, []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	f.Add(true, []byte(settings+"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"))                             // PING
	f.Add(true, []byte(settings+"\x00\x00\x04\x01\x04\x00\x00\x00\x01\x83\x86\x84\x41"))                     // HEADERS
	f.Add(true, []byte(settings+"\xff\xff\xff\x00\x00\x00\x00\x00\x01"))                                     // DATA of 16 MB
	f.Add(true, []byte(settings+"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\xff\xff"))                     // WINDOW_UPDATE
	f.Add(true, []byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff"+settings))             // a window too large
	f.Add(true, []byte(settings+"\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x09\x00")) // RST_STREAM, CONTINUATION
	listener, conn := serveFuzzed(f)
	client := annotatorv1.NewAnnotatorClient(conn)
	f.Fuzz(func(t *testing.T, preface bool, data []byte) {
		peer, err := listener.DialContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if preface {
			data = append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), data...)
		}
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		_, _ = peer.Write(data)
		_ = peer.Close()
		if _, err := client.GetInfo(t.Context(), &annotatorv1.GetInfoRequest{}); err != nil {
			t.Error(err)
		}
	})
}
