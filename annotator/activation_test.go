package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ampulla/grpc/client"
	"ampulla/grpc/socket"
)

// activator does what systemd does with a socket unit: it keeps the socket, and
// starts a program whenever somebody connects and none is running.
type activator struct {
	path   string
	starts int // to be read after stop
	stop   func()
}

func activate(t *testing.T, path string, program ...string) *activator {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	a := &activator{path: path}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for pending(ctx, file) {
			// LISTEN_PID has to name the very process, see sd_listen_fds(3).
			command := exec.CommandContext(ctx, "sh", append([]string{"-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"`, "sh"}, program...)...)
			command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
			command.Stderr = os.Stderr
			command.ExtraFiles = []*os.File{file}
			a.starts++
			if err := command.Run(); err != nil && ctx.Err() == nil {
				t.Errorf("activated: %v", err)
				return
			}
		}
	})
	a.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		_ = file.Close()
		_ = listener.Close()
	})
	t.Cleanup(a.stop)
	return a
}

// pending waits until somebody wants to connect; false once ctx has ended.
func pending(ctx context.Context, file *os.File) bool {
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(file.Fd()), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 50); err == nil && n > 0 {
			return true
		}
	}
	return false
}

// TestActivation opens sessions while the annotator comes and goes: it is idle
// after a moment, and clients connect at any time before, while and after it
// ends. Systemd holds the socket, so that none of them may notice.
func TestActivation(t *testing.T) {
	const idle = 30 * time.Millisecond
	a := activate(t, filepath.Join(t.TempDir(), "run", "a.sock"), buildProgram(t), "serve", "--idle", idle.String())
	const rounds = 12
	for i := range rounds {
		conn, err := client.Dial(t.Context(), client.Config{Address: "unix:" + a.path, Program: client.NoStart})
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		session, err := client.Open(t.Context(), conn, client.Options{})
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		session.Close()
		_ = conn.Close()
		time.Sleep(idle * time.Duration(i) * 2 / rounds)
	}
	if _, err := os.Stat(a.path); err != nil {
		t.Errorf("the socket, which is not the annotator's: %v", err)
	}
	a.stop()
	if a.starts < 2 {
		t.Errorf("it was started %d times, which tests nothing", a.starts)
	}
}

// TestActivationKeepsOthersOff checks that nobody else listens where systemd
// does.
func TestActivationKeepsOthersOff(t *testing.T) {
	a := activate(t, filepath.Join(t.TempDir(), "run", "a.sock"), buildProgram(t), "serve")
	if out, err := exec.Command(buildProgram(t), "serve", "--socket", a.path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("an annotator started by hand: %v, %s", err, out)
	}
	conn := dial(t, client.Config{Address: "unix:" + a.path, Program: client.NoStart})
	if _, err := client.Info(t.Context(), conn); err != nil {
		t.Error(err)
	}
}

// TestSocketActivate has systemd's own tool activate the annotator, once. When
// that has ended nobody listens any more, and a client starts another one.
func TestSocketActivate(t *testing.T) {
	tool, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("no systemd-socket-activate: Debian's package systemd has it")
	}
	bin := buildProgram(t)
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.sock")
	activated := exec.Command(tool, "--listen", path, bin, "serve")
	if err := activated.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = activated.Process.Kill() })
	for range 500 {
		conn, err := socket.Dial(t.Context(), path)
		if err == nil {
			_ = conn.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	ask := func(program string) {
		t.Helper()
		conn := dial(t, client.Config{Address: "unix:" + path, Program: program, StartTimeout: 30 * time.Second})
		if _, err := client.Info(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	ask(client.NoStart)
	if err := activated.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := activated.Wait(); err != nil {
		t.Errorf("activated: %v", err)
	}
	if conn, err := socket.Dial(t.Context(), path); !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("after its end: %v, %v", conn, err)
	}
	starter := filepath.Join(t.TempDir(), "starter")
	if err := os.WriteFile(starter, []byte("#!/bin/sh\nexec "+bin+` "$@" --idle 1s`+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ask(starter)
}
