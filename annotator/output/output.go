// Package output writes captures so that a file appears under its name only
// when it is complete.
package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ampulla/annotator/pcapng"
)

// bufferLen is the size of the write buffer, in bytes: little enough to be in a
// processor's cache when it is written.
const bufferLen = 64 << 10

// File is a file that appears under its name only when it is complete: it is
// written beside its target and renamed into place. Standard output ("-") and
// targets that are no regular files (devices, pipes) are written directly. It
// is not safe for concurrent use.
type File struct {
	*bufio.Writer
	file   *os.File // nil for standard output
	name   string   // as given
	target string   // the same, symbolic links resolved
	direct bool
}

// Create opens an output; "-" is stdout. One of Commit, Settle and Discard ends
// it.
func Create(name string, stdout io.Writer) (*File, error) {
	if name == "-" {
		return &File{Writer: bufio.NewWriterSize(stdout, bufferLen), name: name, direct: true}, nil
	}
	target, mode := name, os.FileMode(0o666)
	if info, err := os.Stat(name); err == nil {
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a folder", name)
		}
		if !info.Mode().IsRegular() {
			file, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				return nil, err
			}
			return &File{Writer: bufio.NewWriterSize(file, bufferLen), file: file, name: name, direct: true}, nil
		}
		mode = info.Mode().Perm()
		if resolved, err := filepath.EvalSymlinks(name); err == nil {
			target = resolved // replace the file, not the link to it
		}
	}
	file, err := createBeside(target, mode)
	if err != nil {
		return nil, err
	}
	return &File{Writer: bufio.NewWriterSize(file, bufferLen), file: file, name: name, target: target}, nil
}

// createBeside creates a file of a name of its own in the target's folder, with
// the permissions that the target has or, under the user's umask, would get.
func createBeside(target string, mode os.FileMode) (*os.File, error) {
	for i := range 100 {
		name := filepath.Join(filepath.Dir(target), fmt.Sprintf(".%s.%d-%d", filepath.Base(target), os.Getpid(), i))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
	return nil, fmt.Errorf("%s: no free name for a temporary file", target)
}

// Commit completes the output and puts it in place.
func (f *File) Commit() error { return f.commitAs(f.target) }

// commitAs is Commit under another name.
func (f *File) commitAs(target string) error {
	err := f.Flush()
	if f.file == nil {
		return err
	}
	if closing := f.file.Close(); err == nil {
		err = closing
	}
	if f.direct {
		return err
	}
	if err == nil {
		err = os.Rename(f.file.Name(), target)
	}
	if err != nil {
		_ = os.Remove(f.file.Name())
	}
	return err
}

// Discard gives the output up; what was under its name stays as it was.
func (f *File) Discard() {
	if f.file == nil {
		return
	}
	_ = f.file.Close()
	if !f.direct {
		_ = os.Remove(f.file.Name())
	}
}

// Settle ends the output of some work on the capture in, which ended with err.
// It is put in place when the work is done, and also when it had to stop because
// the capture is broken: what was read up to there is good. Only if it would
// then replace the broken capture itself, it gets the suffix ".partial" instead.
// Settle returns where the output is, which is empty if it was given up.
func (f *File) Settle(in string, err error) (path string, settling error) {
	switch {
	case err != nil && !pcapng.IsBroken(err):
		f.Discard()
		return "", nil
	case err != nil && sameFile(in, f.name):
		path = f.name + ".partial"
		return path, f.commitAs(path)
	}
	return f.name, f.Commit()
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// NameError says why a name does not suit an annotated capture.
type NameError struct {
	Name, Problem string
	Advice        string // what to do instead
}

func (e *NameError) Error() string { return e.Name + ": " + e.Problem }

// CheckName returns a [*NameError] for names that promise what the output,
// pcapng without compression, is not.
func CheckName(name string) error {
	base := strings.ToLower(filepath.Base(name))
	switch {
	case strings.HasSuffix(base, ".gz") || strings.HasSuffix(base, ".zst"):
		return &NameError{name, "the output is not compressed", "write a .pcapng file and compress it afterwards"}
	case strings.HasSuffix(base, ".pcap") || strings.HasSuffix(base, ".dmp"):
		return &NameError{name, "a pcap file cannot hold comments",
			"name the output " + strings.TrimSuffix(name, filepath.Ext(name)) + ".pcapng"}
	}
	return nil
}
