package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/grpc/client"
	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestInherited starts the annotator with a pipe that it knows nothing of, as
// Wireshark may: the reader must see its end although the annotator lives. The
// socket that systemd passes in the same way must stay.
func TestInherited(t *testing.T) {
	for _, systemd := range []bool{false, true} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		dir := t.TempDir()
		path := filepath.Join(dir, "a.sock")
		command := exec.Command(buildProgram(t), "serve", "--socket", path)
		if systemd {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			file, err := listener.File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			// sd_listen_fds(3): descriptor 3, for the process with this number.
			command = exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve`, command.Path)
			command.ExtraFiles = []*os.File{file}
		}
		command.ExtraFiles = append(command.ExtraFiles, writer)
		command.Dir, command.Stderr = "/", os.Stderr
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = command.Process.Kill() })
		_ = writer.Close()
		if _, err := reader.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		awaitSocket(t, path)
		conn := dial(t, client.Config{Address: "unix:" + path, Program: client.NoStart})
		if _, err := annotatorv1.NewAnnotatorClient(conn).GetInfo(t.Context(), &annotatorv1.GetInfoRequest{}); err != nil {
			t.Errorf("systemd %v: %v", systemd, err)
		}
	}
}

// awaitSocket waits until somebody listens.
func awaitSocket(t testing.TB, path string) {
	t.Helper()
	for range 500 {
		if conn, err := socket.Dial(t.Context(), path); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("nobody listens at ", path)
}

// TestUpdate replaces the program of a running annotator by another file: the
// session that is open goes on, the next one is refused, whoever then connects
// starts the new program, and the old one ends with its session.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	path, installed := filepath.Join(dir, "run", "a.sock"), filepath.Join(dir, "ampulla")
	copyFile(t, installed, buildProgram(t))
	old := exec.Command(installed, "serve", "--socket", path)
	old.Stderr = os.Stderr
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = old.Process.Kill() })
	awaitSocket(t, path)
	first := openRaw(t, path, client.NoStart)
	if _, err := first.Recv(); err != nil {
		t.Fatal(err)
	}

	copyFile(t, installed+".new", installed) // as install(1) does
	if err := os.Rename(installed+".new", installed); err != nil {
		t.Fatal(err)
	}
	if _, err := openRaw(t, path, client.NoStart).Recv(); status.Code(err) != codes.Unavailable {
		t.Fatalf("a session with the old program: %v", err)
	}
	second := openRaw(t, path, installed)
	if _, err := second.Recv(); err != nil {
		t.Fatal("a session with the new program: ", err)
	}
	frames := &annotatorv1.FrameBatch{Frames: []*annotatorv1.Frame{{LinkType: 1, Length: 60, Data: make([]byte, 60)}}}
	for _, calls := range []rawSession{first, second} {
		_ = calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: frames}})
		if answer, err := calls.Recv(); err != nil || len(answer.GetVerdicts().GetVerdicts()) != 1 {
			t.Errorf("%v, %v", answer, err)
		}
	}
	_ = first.CloseSend()
	if err := old.Wait(); err != nil {
		t.Error("the old program: ", err)
	}
	awaitSocket(t, path) // of the new one
	_ = second.CloseSend()
}

type rawSession = annotatorv1.Annotator_SessionClient

// openRaw connects and sends the options of a session.
func openRaw(t *testing.T, path, program string) rawSession {
	t.Helper()
	conn := dial(t, client.Config{Address: "unix:" + path, Program: program, StartTimeout: 30 * time.Second})
	calls, err := annotatorv1.NewAnnotatorClient(conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	options := &annotatorv1.SessionRequest_Options{Options: &annotatorv1.SessionOptions{}}
	_ = calls.Send(&annotatorv1.SessionRequest{Message: options})
	return calls
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
}
