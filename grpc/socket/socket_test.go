package socket_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/grpc/socket"
)

// TestListen has one listener at a time, whatever is in the place.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	first, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if _, err := socket.Listen(path, nil); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("a second one: %v, want %v", err, socket.ErrRunning)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	// One that died leaves its socket behind.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	second, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	conn, err := socket.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// TestListenBesideSystemd has sockets that systemd opens: it takes no lock, and
// replaces what lies in its way.
func TestListenBesideSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	first, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	systemd, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Listen(path, nil); !errors.Is(err, socket.ErrRunning) {
		t.Errorf("beside systemd: %v, want %v", err, socket.ErrRunning)
	}
	conn, err := socket.Dial(t.Context(), path)
	if err != nil {
		t.Fatalf("systemd's socket: %v", err)
	}
	_ = conn.Close()
}

// TestListenRefuses has folders in which others could put a socket of theirs.
func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		dir: "can be written to by others", file: "not a directory", link: "is no folder",
	} {
		listener, err := socket.Listen(filepath.Join(name, "a.sock"), nil)
		if err == nil {
			_ = listener.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
}

// TestLongPath has a path that no socket can have.
func TestLongPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	listener, err := socket.Listen(path, nil)
	if err == nil {
		_ = listener.Close()
	}
	_, dialing := socket.Dial(t.Context(), path)
	for _, err := range []error{err, dialing} {
		if err == nil || !strings.Contains(err.Error(), "a socket's path has at most") {
			t.Errorf("error %v", err)
		}
	}
}

func TestPath(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/somewhere")
	if got, want := socket.Path(), "/run/somewhere/ampulla/annotator.sock"; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	t.Setenv(socket.Variable, "/mine")
	if got := socket.Path(); got != "/mine" {
		t.Errorf("path %s, want /mine", got)
	}
	t.Setenv(socket.Variable, "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	if got := socket.Path(); !filepath.IsAbs(got) || filepath.Base(got) != "annotator.sock" {
		t.Errorf("path %s", got)
	}
}
