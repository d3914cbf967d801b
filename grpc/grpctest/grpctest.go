// Package grpctest holds bad annotators, for the tests of those who ask: what
// listens in the place of an annotator and is none, and annotators that refuse,
// dawdle, lie or go away.
package grpctest

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Peer is a bad annotator. Start has it listen until the test ends, and returns
// the path of its socket; Says is in the error of whoever asks it.
type Peer struct {
	Name  string
	Start func(t testing.TB) string
	Says  string
}

// silence is what clients say of peers that say nothing.
const silence = "does not answer"

// Peers returns every kind of bad annotator.
func Peers() []Peer {
	peers := []Peer{
		{"garbage", Raw(func(conn net.Conn) {
			_, _ = conn.Write([]byte("SSH-2.0-surprise\r\n" + strings.Repeat("\x00\xff", 1000)))
		}), "is no annotator"},
		{"echo", Raw(func(conn net.Conn) { _, _ = io.Copy(conn, conn) }), "is no annotator"},
		{"web server", web, "is no annotator"},
		{"hangs up", Raw(func(net.Conn) {}), "is no annotator"},
		{"takes everything, says nothing", Raw(func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), silence},
		{"never accepts", func(t testing.TB) string { _, path := listen(t); return path }, silence},
		{"another service", func(t testing.TB) string { return serve(t, grpc.NewServer()) }, "unknown service"},
		{"greets nobody", Annotator(func(calls Calls) error { <-calls.Context().Done(); return nil }), silence},
		{"ends without a greeting", Annotator(func(Calls) error { return nil }), "annotator has gone"},
		{"begins with verdicts", Annotator(func(calls Calls) error { return calls.Send(verdicts()) }), "first answer is no greeting"},
		{"ends after the greeting", greeting(func(Calls) error { return nil }), "annotator has gone"},
		{"greets and says no more", greeting(func(calls Calls) error { <-calls.Context().Done(); return nil }), silence},
		{"greets twice", greeting(func(calls Calls) error { return calls.Send(started) }), "holds no verdicts"},
		{"verdicts that nobody asked for", greeting(func(calls Calls) error {
			return calls.Send(verdicts(make([]*annotatorv1.Verdict, 100_000)...))
		}), "more verdicts than frames"},
		{"verdicts of other frames", lying(&annotatorv1.Verdict{Frame: 7}), "verdict of frame 7 instead of 1"},
		{"an incident from the future", lying(&annotatorv1.Verdict{Frame: 1, Incident: 1, IncidentFirst: 2}), "cannot begin with frame 2"},
		{"incidents that nobody asked for", greeting(func(calls Calls) error {
			return calls.Send(&annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Incidents{Incidents: &annotatorv1.IncidentList{}}})
		}), "incidents that nobody asked for"},
		{"score out of range", lying(&annotatorv1.Verdict{Frame: 1, ScorePermille: 1001}), "out of range"},
		{"fails at the first batch", greeting(func(calls Calls) error {
			_, _ = calls.Recv()
			return status.Error(codes.Internal, "the model is broken")
		}), "annotator: the model is broken"},
	}
	peers = append(peers, Peer{"refuses in many words", Annotator(func(Calls) error {
		return status.Error(codes.PermissionDenied, strings.Repeat("word ", 1000))
	}), "annotator: word word"})
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		refuse := Annotator(func(Calls) error { return status.Error(code, "turned away") })
		peers = append(peers, Peer{"refuses: " + code.String(), refuse, "annotator: turned away"})
	}
	return peers
}

// listen opens a socket until the test ends.
func listen(t testing.TB) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	listener, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener, path
}

// Raw lets talk have each connection, which is closed when it returns or the
// test ends.
func Raw(talk func(net.Conn)) func(testing.TB) string {
	return func(t testing.TB) string {
		listener, path := listen(t)
		ended := t.Context().Done()
		var all sync.WaitGroup
		all.Go(func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				said := make(chan struct{})
				all.Go(func() { defer close(said); talk(conn) })
				all.Go(func() {
					select {
					case <-said:
					case <-ended:
					}
					_ = conn.Close()
				})
			}
		})
		t.Cleanup(func() { _ = listener.Close(); all.Wait() })
		return path
	}
}

func web(t testing.TB) string {
	listener, path := listen(t)
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return path
}

// Calls is the annotator's end of a session.
type Calls = grpc.BidiStreamingServer[annotatorv1.SessionRequest, annotatorv1.SessionResponse]

type annotator struct {
	annotatorv1.UnimplementedAnnotatorServer
	session func(Calls) error
}

func (a annotator) Session(calls Calls) error {
	if _, err := calls.Recv(); err != nil { // the options
		return err
	}
	return a.session(calls)
}

// Annotator answers sessions, once their options have come.
func Annotator(session func(Calls) error) func(testing.TB) string {
	return func(t testing.TB) string {
		return serve(t, register(grpc.NewServer(), session))
	}
}

// Scripted is an Annotator that may send messages as they are on the wire, see
// [Message].
func Scripted(session func(Calls) error) func(testing.TB) string {
	return func(t testing.TB) string {
		return serve(t, register(grpc.NewServer(grpc.ForceServerCodec(codec{})), session))
	}
}

func register(server *grpc.Server, session func(Calls) error) *grpc.Server {
	annotatorv1.RegisterAnnotatorServer(server, annotator{session: session})
	return server
}

// Message is a message as it is on the wire, for SendMsg.
type Message []byte

type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }

func (codec) Marshal(v any) ([]byte, error) {
	if m, ok := v.(Message); ok {
		return m, nil
	}
	return proto.Marshal(v.(proto.Message))
}

func serve(t testing.TB, server *grpc.Server) string {
	listener, path := listen(t)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return path
}

var started = &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Started{
	Started: &annotatorv1.SessionStarted{Version: "test", Model: "test"},
}}

func verdicts(list ...*annotatorv1.Verdict) *annotatorv1.SessionResponse {
	return &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Verdicts{
		Verdicts: &annotatorv1.VerdictBatch{Verdicts: list},
	}}
}

// greeting is an Annotator that greets before session begins.
func greeting(session func(Calls) error) func(testing.TB) string {
	return Annotator(func(calls Calls) error {
		if err := calls.Send(started); err != nil {
			return err
		}
		return session(calls)
	})
}

// lying answers the first batch with a verdict that breaks the contract.
func lying(v *annotatorv1.Verdict) func(testing.TB) string {
	return greeting(func(calls Calls) error {
		if _, err := calls.Recv(); err != nil {
			return err
		}
		return calls.Send(verdicts(v))
	})
}

// Slow judges frames as dns, each batch after a delay.
func Slow(delay time.Duration) func(testing.TB) string {
	return greeting(func(calls Calls) error {
		for frame := uint64(0); ; {
			request, err := calls.Recv()
			if err != nil {
				return err
			}
			select {
			case <-calls.Context().Done():
			case <-time.After(delay):
			}
			var list []*annotatorv1.Verdict
			for range request.GetFrames().GetFrames() {
				frame++
				list = append(list, &annotatorv1.Verdict{Frame: frame, Class: "dns", Level: annotatorv1.Level_LEVEL_NORMAL})
			}
			if err := calls.Send(verdicts(list...)); err != nil {
				return err
			}
		}
	})
}
