// Package sink is where a capture goes: the fifo that Wireshark reads, whose
// dumpcap saves what comes.
package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrFull means that there is almost no space left where Wireshark saves the
// capture. Whoever writes on regardless writes what nobody keeps: a dumpcap that
// reads a pipe (4.0 to 4.6) does not notice that it cannot write.
var ErrFull = errors.New("no space left to save the capture")

// reserve is how much space has to stay free, in bytes: what is on its way, in
// the fifo and within dumpcap, has to find room as well.
const reserve = 256 << 10

// Fifo is the fifo of a capture. Write is for one goroutine, the other methods
// are safe for concurrent use.
type Fifo struct {
	file   *os.File
	path   string
	looked bool   // for folder
	folder string // where its reader saves the capture; empty if we cannot tell
}

// Open opens a fifo as soon as somebody reads it. The error may be that of ctx.
func Open(ctx context.Context, path string) (*Fifo, error) {
	for {
		file, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			return &Fifo{file: file, path: path}, nil
		}
		if !errors.Is(err, syscall.ENXIO) { // nobody reads yet
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Write writes p if there is room for it where it will be saved, and fails with
// ErrFull otherwise.
func (f *Fifo) Write(p []byte) (int, error) {
	if !f.looked {
		f.folder, f.looked = savedIn(f.path, "/proc"), true
	}
	if free, ok := space(f.folder); ok && free < uint64(len(p))+reserve {
		return 0, fmt.Errorf("%w in %s", ErrFull, f.folder)
	}
	return f.file.Write(p)
}

// SetWriteDeadline bounds how long Write waits for the reader.
func (f *Fifo) SetWriteDeadline(t time.Time) error { return f.file.SetWriteDeadline(t) }

// Close closes the fifo, which ends the capture for Wireshark.
func (f *Fifo) Close() error { return f.file.Close() }

// Unread tells whether nobody reads the fifo any more.
func (f *Fifo) Unread() bool {
	raw, err := f.file.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	_ = raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd)}} // errors are told unasked
		_, err := unix.Poll(poll, 0)
		gone = err == nil && poll[0].Revents&unix.POLLERR != 0
	})
	return gone
}

// space returns how much is free in a folder, in bytes; ok is false if that
// cannot be told.
func space(folder string) (free uint64, ok bool) {
	var stat unix.Statfs_t
	if folder == "" || unix.Statfs(folder, &stat) != nil || stat.Blocks == 0 { // some file systems have no idea
		return 0, false
	}
	blocks := stat.Bavail
	if os.Geteuid() == 0 {
		blocks = stat.Bfree
	}
	return blocks * uint64(stat.Bsize), true
}

// savedIn returns the folder in which the dumpcap that reads a fifo saves the
// capture, as told by its command line below proc; empty if there is none to be
// seen, or it saves nothing. Whoever started it started us, in the same folder.
func savedIn(fifo, proc string) string {
	lines, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "cmdline"))
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		words := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		if filepath.Base(words[0]) != "dumpcap" || valueOf(words, "-i", fifo) == "" {
			continue
		}
		file := valueOf(words, "-w", "")
		if file == "" {
			return cmp.Or(valueOf(words, "--temp-dir", ""), os.TempDir())
		}
		if info, err := os.Stat(file); file == "-" || err == nil && !info.Mode().IsRegular() {
			return "" // a pipe, or /dev/null
		}
		file, _ = filepath.Abs(file)
		return filepath.Dir(file)
	}
	return ""
}

// valueOf returns the value of a flag in a command line, which is the word behind
// it; empty if the flag is not there, or not with the value that is wanted, if
// one is.
func valueOf(words []string, flag, wanted string) string {
	for i := 1; i+1 < len(words); i++ {
		if words[i] == flag && (wanted == "" || words[i+1] == wanted) {
			return words[i+1]
		}
	}
	return ""
}
