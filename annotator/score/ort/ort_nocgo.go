//go:build !cgo

package ort

import (
	"errors"
	"io/fs"

	"ampulla/annotator/score"
)

// errNoCgo is what everything here returns in a build without cgo.
var errNoCgo = errors.New("onnx runtime: this program was built with CGO_ENABLED=0 and cannot run models")

// Scorer cannot exist in a build without cgo.
type Scorer struct{ score.Scorer }

// Open returns an error: the runtime's bindings need cgo.
func Open(Config, fs.FS) (*Scorer, error) { return nil, errNoCgo }

// Close does nothing.
func (*Scorer) Close() error { return nil }

// Library returns nothing.
func (*Scorer) Library() (path, version string) { return "", "" }
