// Package socket finds, guards and opens the unix socket on which the annotator
// of one user is asked. Both ends check that the other is run by the same user:
// the folder and the socket are closed to others, and the kernel is asked who
// is at the other end.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Variable is the environment variable that overrides the socket's path.
const Variable = "AMPULLA_SOCKET"

// ErrRunning means that another annotator serves the socket already.
var ErrRunning = errors.New("another annotator is running")

// Path returns where the user's annotator listens: $AMPULLA_SOCKET, or
// ampulla/annotator.sock in the user's runtime directory ($XDG_RUNTIME_DIR or
// /run/user/<uid>), or in a folder of the user's own in the directory for
// temporary files.
func Path() string {
	if path := os.Getenv(Variable); path != "" {
		return path
	}
	const name = "annotator.sock"
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "ampulla", name)
	}
	uid := strconv.Itoa(os.Getuid())
	if dir := filepath.Join("/run/user", uid); ownedBy(dir, os.Getuid()) == nil {
		return filepath.Join(dir, "ampulla", name)
	}
	return filepath.Join(os.TempDir(), "ampulla-"+uid, name)
}

// fits returns an error if a path is too long for the address of a socket, which
// the kernel would call an invalid argument.
func fits(path string) error {
	const most = len(syscall.RawSockaddrUnix{}.Path) - 1
	if len(path) > most {
		return fmt.Errorf("%s: %d bytes, a socket's path has at most %d", path, len(path), most)
	}
	return nil
}

// ownedBy returns an error unless path is a folder of uid that nobody else can
// write to.
func ownedBy(path string, uid int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", path)
	case !ok || int(stat.Uid) != uid:
		return fmt.Errorf("%s belongs to another user", path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written to by others", path)
	}
	return nil
}

// Listener accepts connections of the same user (and of root) only. Others are
// closed at once, and counted.
type Listener struct {
	net.Listener
	lock    *os.File // held while listening; nil if there is none
	refused func()
	closing sync.Once
	closed  error // what closing returned
}

// Listen opens the socket at path for this process alone: a lock beside the
// socket, held until Close, keeps a second one off, whose Listen returns
// ErrRunning, as it does where systemd listens, which takes no lock. A socket
// left behind by a dead annotator is replaced. The folder is made if need be
// (mode 0700) and must belong to the user; the socket has mode 0600. refused,
// which may be nil, is called for each connection of another user.
func Listen(path string, refused func()) (*Listener, error) {
	if err := fits(path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := ownedBy(dir, os.Getuid()); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrRunning
		}
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	inner, err := takeOver(path)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &Listener{Listener: inner, lock: lock, refused: refused}, nil
}

// takeOver listens at path in the place of somebody who has ended.
func takeOver(path string) (net.Listener, error) {
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return nil, ErrRunning
	case errors.Is(err, syscall.ECONNREFUSED):
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return listenPrivately(path)
}

// listenPrivately listens under a name of its own, closes the socket to others
// and only then gives it its name: at no moment can anybody else connect.
func listenPrivately(path string) (net.Listener, error) {
	temporary := filepath.Join(filepath.Dir(path), "."+strconv.Itoa(os.Getpid())) // short, see fits
	_ = os.Remove(temporary)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	n := &named{Listener: listener, path: path}
	if err = os.Chmod(temporary, 0o600); err == nil {
		n.socket, err = os.Lstat(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = listener.Close()
		_ = os.Remove(temporary)
		return nil, err
	}
	return n, nil
}

// named removes its socket when it is closed, but not one that has taken the
// name since: systemd listens wherever it is told to.
type named struct {
	net.Listener
	path   string
	socket fs.FileInfo
}

// Addr is the name that the socket got.
func (n *named) Addr() net.Addr { return &net.UnixAddr{Name: n.path, Net: "unix"} }

func (n *named) Close() error {
	if there, err := os.Lstat(n.path); err == nil && os.SameFile(there, n.socket) {
		_ = os.Remove(n.path)
	}
	return n.Listener.Close()
}

// Guard wraps a listener that somebody else opened, such as systemd.
func Guard(inner net.Listener, refused func()) *Listener {
	return &Listener{Listener: inner, refused: refused}
}

// Accept waits for the next connection of the same user.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := checkPeer(conn); err == nil {
			return conn, nil
		}
		_ = conn.Close()
		if l.refused != nil {
			l.refused()
		}
	}
}

// Close stops listening and lets another annotator listen. Further calls do
// nothing: the socket may be the other's by then.
func (l *Listener) Close() error {
	l.closing.Do(func() {
		l.closed = l.Listener.Close()
		if l.lock != nil {
			_ = l.lock.Close()
		}
	})
	return l.closed
}

// Dial connects to the annotator at path and makes sure that it is run by the
// same user or by root.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if err := fits(path); err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return conn, nil
}

// checkPeer returns an error unless the process at the other end of a unix
// socket is run by this user or by root.
func checkPeer(conn net.Conn) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("%T is no unix socket", conn)
	}
	uid, err := peerUID(unixConn)
	if err != nil {
		return fmt.Errorf("who is at the other end: %w", err)
	}
	if uid != os.Getuid() && uid != 0 {
		return fmt.Errorf("user %d is at the other end", uid)
	}
	return nil
}
