package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/score/scoretest"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestMain makes the test program an annotator when it is started as one: with
// a scorer that needs nothing, and its process number as version.
func TestMain(m *testing.M) {
	if len(os.Args) != 4 || os.Args[1] != "serve" || os.Args[2] != "--socket" {
		os.Exit(m.Run())
	}
	if filepath.Base(os.Args[0]) == "listens" {
		dieListening(os.Args[3])
	}
	if err := runAnnotator(os.Args[3]); err != nil && !errors.Is(err, socket.ErrRunning) {
		fmt.Fprintf(os.Stderr, "ampulla: error: %v\n", err)
		os.Exit(1)
	}
}

func runAnnotator(path string) error {
	cfg := server.Default()
	cfg.Version, cfg.Scorer = strconv.Itoa(os.Getpid()), scoretest.Hash{}
	cfg.Idle = 20 * time.Second // if the test does not end it
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	listener, err := socket.Listen(path, s.Stranger)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return s.Serve(ctx, server.Endpoint{Listener: listener})
}

// dieListening is an annotator that somebody reaches, and that finds only then
// that it cannot run.
func dieListening(path string) {
	listener, err := socket.Listen(path, nil)
	if err == nil {
		_, err = listener.Accept()
	}
	if err == nil {
		err = errors.New("models: gone")
	}
	time.Sleep(20 * time.Millisecond) // which is when they all have come
	fmt.Fprintf(os.Stderr, "ampulla: error: %v\n", err)
	os.Exit(1)
}

// starting returns what makes the client start an annotator that ends with the
// test.
func starting(t *testing.T) client.Config {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	t.Cleanup(func() {
		conn, err := client.Dial(context.Background(), client.Config{Address: "unix:" + path, Program: client.NoStart})
		if err != nil {
			return // it is not there
		}
		defer conn.Close()
		end(t, conn, syscall.SIGKILL)
	})
	return client.Config{Address: "unix:" + path, Program: os.Args[0], StartTimeout: patient}
}

// end sends a signal to the annotator.
func end(t *testing.T, conn *client.Conn, signal syscall.Signal) {
	t.Helper()
	info, err := client.Info(context.Background(), conn)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(info.GetVersion())
	if err == nil {
		err = syscall.Kill(pid, signal)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestStartTogether has clients start the annotator at once: one stays.
func TestStartTogether(t *testing.T) {
	cfg := starting(t)
	var (
		all      sync.WaitGroup
		versions [8]string
	)
	for i := range versions {
		all.Go(func() {
			conn, err := client.Dial(t.Context(), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			info, err := client.Info(t.Context(), conn)
			if err != nil {
				t.Error(err)
			}
			versions[i] = info.GetVersion()
		})
	}
	all.Wait()
	for _, v := range versions {
		if v == "" || v != versions[0] {
			t.Errorf("annotators %v, want one", versions)
		}
	}
}

// TestRedial kills the annotator: the session is over and says so, what was
// judged stays, and the next session has another annotator.
func TestRedial(t *testing.T) {
	frames, want := capture(t, "port_scan_syn.pcapng")
	conn, err := client.Dial(t.Context(), starting(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	first, err := client.Open(t.Context(), conn, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for _, f := range frames[:10] {
		if err := first.Queue(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Await(10, patient); err != nil {
		t.Fatal(err)
	}
	end(t, conn, syscall.SIGKILL)
	for err = nil; err == nil; err = first.Queue(frames[10]) { // until it notices
		time.Sleep(time.Millisecond)
	}
	if !errors.Is(err, client.ErrGone) || !errors.Is(first.Err(), client.ErrGone) {
		t.Errorf("%v, and later %v, want %v", err, first.Err(), client.ErrGone)
	}
	if err := first.Await(10, 0); err != nil {
		t.Errorf("waiting for a verdict of an old session: %v", err)
	}
	if v, ok, err := first.Poll(10); !ok || err != nil || v != want[9] {
		t.Errorf("verdict of an old session: %v, %v, %v", v, ok, err)
	}
	second, err := client.Open(t.Context(), conn, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.Queue(frames[0]); err != nil {
		t.Fatal(err)
	}
	if err := second.Await(1, patient); err != nil {
		t.Error(err)
	}
	if v, ok, err := second.Poll(1); !ok || err != nil || v != want[0] {
		t.Errorf("verdict of a new session: %v, %v, %v", v, ok, err)
	}
	if n := conn.Counters().Redials; n != 1 {
		t.Errorf("%d redials, want 1", n)
	}
}

// TestHandover has an annotator turn a session away while it makes room for the
// next, which the client starts.
func TestHandover(t *testing.T) {
	cfg := starting(t)
	path := strings.TrimPrefix(cfg.Address, "unix:")
	listener, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	old := grpc.NewServer()
	annotatorv1.RegisterAnnotatorServer(old, leaving{listener: listener})
	go func() { _ = old.Serve(listener) }()
	defer old.Stop()
	conn, err := client.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, err := client.Open(t.Context(), conn, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if n := conn.Counters().Redials; n < 2 {
		t.Errorf("%d redials, want 2 or more", n)
	}
}

// leaving turns everybody away, and soon stops listening.
type leaving struct {
	annotatorv1.UnimplementedAnnotatorServer
	listener *socket.Listener
}

func (l leaving) Session(grpctest.Calls) error {
	time.AfterFunc(50*time.Millisecond, func() { _ = l.listener.Close() })
	return status.Error(codes.Unavailable, "a newer one is installed")
}

// TestStartFails has programs that are no annotators.
func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ name, script, want string }{
		{"complains", "echo 'ampulla: error: models: gone' >&2; echo 'ampulla: hint: install them' >&2; exit 1", "annotator: models: gone; hint: install them"},
		{"fails", "exit 3", "serve: exit status 3"},
		{"is killed", "kill -9 $$", "serve: signal: killed"},
		{"does not listen", "exec sleep 10", "does not answer at"},
		{"ends", "exit 0", "does not answer at"},
		{"listens", "exec -a listens " + os.Args[0] + ` "$@"`, "annotator: models: gone"},
	}
	for _, tt := range tests { // all before any starts, which would inherit the open file
		if err := os.WriteFile(filepath.Join(dir, tt.name), []byte("#!/bin/bash\n"+tt.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(dir, tt.name)
			cfg := client.Config{Address: "unix:" + program + ".sock", Program: program, StartTimeout: 3 * time.Second}
			if _, err := client.Dial(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("is missing", func(t *testing.T) {
		cfg := client.Config{Address: "unix:" + filepath.Join(t.TempDir(), "a.sock"), Program: "/nowhere/ampulla"}
		if _, err := client.Dial(t.Context(), cfg); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v, want %v", err, os.ErrNotExist)
		}
	})
}

// TestStartAgain has the first annotator end since another one is still there,
// which then ends too.
func TestStartAgain(t *testing.T) {
	cfg := starting(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "ampulla")
	script := fmt.Sprintf("#!/bin/sh\nmkdir %s/once && exit 0\nexec %s \"$@\"\n", dir, os.Args[0])
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg.Program = program
	conn, err := client.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestFindProgram(t *testing.T) {
	home := t.TempDir()
	installed := filepath.Join(home, ".local", "bin", "ampulla")
	if err := os.MkdirAll(filepath.Dir(installed), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AMPULLA", "")
	t.Setenv("HOME", home)
	if err := os.WriteFile(installed, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := client.FindProgram(); got == installed {
		t.Errorf("%s, %v: it cannot be run", got, err)
	}
	if err := os.Chmod(installed, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := client.FindProgram(); got != installed {
		t.Errorf("%s, %v, want %s", got, err, installed)
	}
	t.Setenv("AMPULLA", "/elsewhere/ampulla")
	if got, err := client.FindProgram(); got != "/elsewhere/ampulla" {
		t.Errorf("%s, %v, want $AMPULLA", got, err)
	}
}

// TestOpenIsCancelled ends the caller's context while nobody greets.
func TestOpenIsCancelled(t *testing.T) {
	conn := dial(t, "unix:"+grpctest.Annotator(func(calls grpctest.Calls) error { <-calls.Context().Done(); return nil })(t))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := client.Open(ctx, conn, client.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
