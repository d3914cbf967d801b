package socket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"ampulla/grpc/socket"
)

// nobody is another user.
const nobody = 65534

// as runs f in a thread of another user, which ends with it.
func as(t *testing.T, uid int, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can act as another user")
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock: Go ends the thread
		// Go's own call would change all threads.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			t.Error(errno)
			return
		}
		f()
	}()
	<-done
}

// open returns a folder that every user can get into.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ampulla-socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestForeignAnnotator dials a socket at which another user listens.
func TestForeignAnnotator(t *testing.T) {
	path := filepath.Join(open(t), "a.sock")
	as(t, nobody, func() {
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = listener.Close() })
	})
	if t.Failed() {
		return
	}
	conn, err := socket.Dial(t.Context(), path)
	if err == nil {
		_ = conn.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "user 65534 is at the other end") {
		t.Errorf("error %v", err)
	}
}

// TestForeignClient has another user dial: the file's mode keeps that user out,
// and where somebody has opened it up, the kernel's word does.
func TestForeignClient(t *testing.T) {
	dir := filepath.Join(open(t), "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.sock")
	strangers := make(chan bool, 1)
	listener, err := socket.Listen(path, func() { strangers <- true })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("welcome"))
		}
	}()
	as(t, nobody, func() {
		if _, err := net.Dial("unix", path); !errors.Is(err, os.ErrPermission) {
			t.Errorf("error %v, want %v", err, os.ErrPermission)
		}
	})
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	as(t, nobody, func() {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if said, _ := io.ReadAll(conn); len(said) > 0 {
			t.Errorf("another user is told %q", said)
		}
	})
	if t.Failed() {
		return
	}
	<-strangers
	conn, err := socket.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := make([]byte, 7)
	if _, err := io.ReadFull(conn, said); err != nil {
		t.Errorf("the user's own connection: %v", err)
	}
}

// TestForeignFolder has a folder of another user, who could put a socket there.
func TestForeignFolder(t *testing.T) {
	dir := filepath.Join(open(t), "theirs")
	as(t, nobody, func() {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Error(err)
		}
	})
	if _, err := socket.Listen(filepath.Join(dir, "a.sock"), nil); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("error %v", err)
	}
}
