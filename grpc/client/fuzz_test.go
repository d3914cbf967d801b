package client_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// probe has a session with whoever listens at path and holds it to what a
// caller may rely on: an end, and verdicts in range.
func probe(t testing.TB, path string) {
	conn, err := client.Dial(t.Context(), client.Config{Address: "unix:" + path, Program: client.NoStart})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s, err := client.Open(ctx, conn, client.Options{Batch: 2})
	if err != nil {
		return
	}
	defer s.Close()
	const frames = 5
	for range frames {
		_ = s.Queue(packet.Frame{Length: 60, Data: make([]byte, 60)})
	}
	_ = s.Await(frames, 20*time.Millisecond)
	if n := s.Judged(); n > frames {
		t.Fatalf("%d verdicts for %d frames", n, frames)
	}
	for n := range uint64(frames) {
		v, ok, err := s.Poll(n + 1)
		if !ok {
			continue
		}
		if err != nil || v.Frame != n+1 || v.Score < 0 || v.Score > 1 || v.Confidence < 0 || v.Confidence > 1 {
			t.Fatalf("verdict %+v, %v", v, err)
		}
		switch v.Level {
		case verdict.Normal, verdict.Suspicious, verdict.Anomalous, verdict.Learning:
		default:
			t.Fatalf("verdict %+v", v)
		}
	}
}

// FuzzAnswers has an annotator answer with any messages: a greeting, and then
// one after the other what follows its length, in two bytes. It ends, or stays.
func FuzzAnswers(f *testing.F) {
	greeting := &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Started{Started: &annotatorv1.SessionStarted{Model: "m"}}}
	verdicts := func(list ...*annotatorv1.Verdict) *annotatorv1.SessionResponse {
		return &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Verdicts{Verdicts: &annotatorv1.VerdictBatch{Verdicts: list}}}
	}
	one := &annotatorv1.Verdict{Frame: 1, Class: "dns", ConfidencePercent: 98, ScorePermille: 970, Level: annotatorv1.Level_LEVEL_ANOMALOUS, Type: "beacon", Reason: "why", Flow: 1, CommunityId: "1:x"}
	two := &annotatorv1.Verdict{Frame: 2, Class: "dns"}
	for _, script := range [][]proto.Message{
		{greeting, verdicts(one), verdicts(two)}, {greeting, verdicts(one, two)}, {greeting, greeting}, {verdicts(one)}, {greeting, verdicts()},
		{greeting, verdicts(two, one)}, {greeting, verdicts(one, one)},
	} {
		var input []byte
		for _, m := range script {
			data, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			input = append(binary.BigEndian.AppendUint16(input, uint16(len(data))), data...)
		}
		f.Add(input, true)
		f.Add(input, false)
	}
	type script struct {
		messages []byte
		stay     bool
	}
	var current atomic.Pointer[script]
	path := grpctest.Scripted(func(calls grpctest.Calls) error {
		script := current.Load()
		for rest := script.messages; len(rest) >= 2; {
			n := min(int(binary.BigEndian.Uint16(rest)), len(rest)-2)
			if err := calls.SendMsg(grpctest.Message(rest[2 : 2+n])); err != nil {
				return err
			}
			rest = rest[2+n:]
			if len(rest) > 0 && rest[0]&1 == 0 { // some wait for frames
				_, _ = calls.Recv()
			}
		}
		if script.stay {
			<-calls.Context().Done()
		}
		return nil
	})(f)
	f.Fuzz(func(t *testing.T, messages []byte, stay bool) {
		current.Store(&script{messages, stay})
		probe(t, path)
	})
}

// FuzzBytes has something answer with any bytes: some at once, and some when
// the call has come. It hangs up, or stays.
func FuzzBytes(f *testing.F) {
	first, then := recorded(f)
	f.Add(first, then, true)
	f.Add(first, then, false)
	f.Add(first, []byte{}, false)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), []byte{}, true)
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"), []byte("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), false)
	type script struct {
		first, then []byte
		stay        bool
	}
	var current atomic.Pointer[script]
	path := grpctest.Raw(func(conn net.Conn) {
		script := current.Load()
		_, _ = conn.Write(script.first)
		if !awaitCall(conn) {
			return
		}
		_, _ = conn.Write(script.then)
		if script.stay {
			_, _ = io.Copy(io.Discard, conn)
		}
	})(f)
	f.Fuzz(func(t *testing.T, first, then []byte, stay bool) {
		current.Store(&script{first, then, stay})
		probe(t, path)
	})
}

// awaitCall reads until a client calls, that is, sends HEADERS (RFC 9113,
// section 6.2).
func awaitCall(conn io.Reader) bool {
	const preface, headers = 24, 1
	if _, err := io.CopyN(io.Discard, conn, preface); err != nil {
		return false
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return false
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			return false
		}
		if head[3] == headers {
			return true
		}
	}
}

// recorded returns what an annotator sends before it is called, and after.
func recorded(f *testing.F) (first, then []byte) {
	address := serve(f, nil)
	var (
		mu     sync.Mutex
		called bool
	)
	probe(f, grpctest.Raw(func(conn net.Conn) {
		annotator, err := socket.Dial(context.Background(), strings.TrimPrefix(address, "unix:"))
		if err != nil {
			f.Error(err)
			return
		}
		defer annotator.Close()
		go func() {
			for buffer := make([]byte, 4096); ; {
				n, err := annotator.Read(buffer)
				if err != nil {
					return
				}
				mu.Lock()
				if called {
					then = append(then, buffer[:n]...)
				} else {
					first = append(first, buffer[:n]...)
				}
				mu.Unlock()
				_, _ = conn.Write(buffer[:n])
			}
		}()
		var said bytes.Buffer
		if !awaitCall(io.TeeReader(conn, &said)) {
			return
		}
		mu.Lock()
		called = true
		mu.Unlock()
		_, _ = annotator.Write(said.Bytes())
		_, _ = io.Copy(annotator, conn)
	})(f))
	mu.Lock()
	defer mu.Unlock()
	if len(first) == 0 || len(then) == 0 {
		f.Fatalf("recorded %d and %d bytes", len(first), len(then))
	}
	return bytes.Clone(first), bytes.Clone(then)
}
