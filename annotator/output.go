package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// output is a file that appears under its name only when it is complete: it is
// written beside its target and renamed into place. Standard output ("-") and
// targets that are no regular files (devices, pipes) are written directly.
type output struct {
	*bufio.Writer
	file   *os.File // nil for standard output
	target string
	direct bool
}

// createOutput opens an output; "-" is stdout.
func createOutput(target string, stdout io.Writer) (*output, error) {
	const buffer = 1 << 20
	if target == "-" {
		return &output{Writer: bufio.NewWriterSize(stdout, buffer), target: target, direct: true}, nil
	}
	mode := os.FileMode(0o666)
	if info, err := os.Stat(target); err == nil {
		if info.IsDir() {
			return nil, fmt.Errorf("%s is a folder", target)
		}
		if !info.Mode().IsRegular() {
			file, err := os.OpenFile(target, os.O_WRONLY, 0)
			if err != nil {
				return nil, err
			}
			return &output{Writer: bufio.NewWriterSize(file, buffer), file: file, target: target, direct: true}, nil
		}
		mode = info.Mode().Perm()
		if resolved, err := filepath.EvalSymlinks(target); err == nil {
			target = resolved // replace the file, not the link to it
		}
	}
	file, err := createBeside(target, mode)
	if err != nil {
		return nil, err
	}
	return &output{Writer: bufio.NewWriterSize(file, buffer), file: file, target: target}, nil
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

// commit completes the output and puts it in place.
func (o *output) commit() error { return o.commitAs(o.target) }

// commitAs is commit under another name.
func (o *output) commitAs(target string) error {
	err := o.Flush()
	if o.file == nil {
		return err
	}
	if closing := o.file.Close(); err == nil {
		err = closing
	}
	if o.direct {
		return err
	}
	if err == nil {
		err = os.Rename(o.file.Name(), target)
	}
	if err != nil {
		_ = os.Remove(o.file.Name())
	}
	return err
}

// discard gives the output up; what was under its name stays as it was.
func (o *output) discard() {
	if o.file == nil {
		return
	}
	_ = o.file.Close()
	if !o.direct {
		_ = os.Remove(o.file.Name())
	}
}
