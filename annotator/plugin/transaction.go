package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// transaction puts several files in place, or none. Each is first written beside
// its target, under a hidden name that neither Wireshark nor systemd looks at.
type transaction struct {
	everyone bool // all users may read the folders that are made
	staged   []part
	dirs     []string // made, the outer ones first
}

func (p part) temporary() string {
	return filepath.Join(filepath.Dir(p.target), fmt.Sprintf(".%s.%d", filepath.Base(p.target), os.Getpid()))
}

// stage writes one part beside its target.
func (t *transaction) stage(p part) error {
	if err := t.makeDir(filepath.Dir(p.target)); err != nil {
		return err
	}
	_ = os.Remove(p.temporary())
	t.staged = append(t.staged, p)
	if p.link != "" {
		return os.Symlink(p.link, p.temporary())
	}
	file, err := os.OpenFile(p.temporary(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := p.open()
	if err != nil {
		return err
	}
	defer content.Close()
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	return file.Close()
}

// open returns the content of a part that is no link.
func (p part) open() (io.ReadCloser, error) {
	if p.source != "" {
		return os.Open(p.source)
	}
	return io.NopCloser(strings.NewReader(p.text)), nil
}

func (t *transaction) makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := t.makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	t.dirs = append(t.dirs, dir)
	if t.everyone {
		return os.Chmod(dir, 0o755) // whatever the umask
	}
	return nil
}

// undo takes everything back.
func (t *transaction) undo() {
	for _, p := range t.staged {
		_ = os.Remove(p.temporary())
	}
	for _, dir := range slices.Backward(t.dirs) {
		_ = os.Remove(dir)
	}
}

// commit puts everything in place, what was staged last first.
func (t *transaction) commit() error {
	for _, p := range slices.Backward(t.staged) {
		if p.link == "" {
			if err := os.Chmod(p.temporary(), p.mode); err != nil {
				return err
			}
		}
		if err := os.Rename(p.temporary(), p.target); err != nil {
			return err
		}
	}
	return nil
}

// same tells whether a part is in place already.
func (p part) same() (bool, error) {
	if p.link != "" {
		link, err := os.Readlink(p.target)
		return err == nil && link == p.link, nil
	}
	info, err := os.Lstat(p.target)
	if err != nil {
		return false, ignore(err, fs.ErrNotExist)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm() != p.mode {
		return false, nil
	}
	there, err := os.ReadFile(p.target)
	if err != nil {
		return false, err
	}
	content, err := p.open()
	if err != nil {
		return false, err
	}
	defer content.Close()
	wanted, err := io.ReadAll(content)
	return bytes.Equal(there, wanted), err
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
