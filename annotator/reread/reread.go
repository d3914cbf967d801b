// Package reread lets programs that stay go by what a file says now.
package reread

import (
	"io/fs"
	"os"
	"sync"
)

// Same tells whether both are the same file, and it has not changed in between.
func Same(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// File is what a file holds, which is read again when the file has changed. It is
// safe for concurrent use.
type File[T any] struct {
	path string
	load func(path string) (T, error)
	warn func(error)

	mu     sync.Mutex
	looked bool
	info   fs.FileInfo // of what was looked at last; nil if that could not be
	cause  string      // why not
	value  T
}

// New returns the file at a path, which load reads. Errors of load are told to
// warn, each once.
func New[T any](path string, load func(path string) (T, error), warn func(error)) *File[T] {
	return &File[T]{path: path, load: load, warn: warn}
}

// Holds says what has just been read from the file.
func (f *File[T]) Holds(value T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed()
	f.value = value
}

// Value returns what the file holds, or, while it cannot be read, what it held
// before.
func (f *File[T]) Value() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed() {
		value, err := f.load(f.path)
		if err != nil {
			f.warn(err)
		} else {
			f.value = value
		}
	}
	return f.value
}

// changed tells whether the file has changed since it was last looked at.
func (f *File[T]) changed() bool {
	info, err := os.Stat(f.path)
	cause := ""
	if err != nil {
		info, cause = nil, err.Error()
	}
	same := f.looked && cause == f.cause && (err != nil || Same(f.info, info))
	f.looked, f.info, f.cause = true, info, cause
	return !same
}
