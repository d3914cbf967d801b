// Package ort runs the models with ONNX Runtime, on the CPU. It is the only
// importer of the runtime's bindings; everyone else knows [score.Scorer].
//
// The runtime is a shared library that is looked for when a [Scorer] is opened,
// see [Config.Library]. Built without cgo, the package compiles and Open says
// that it cannot work.
package ort

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LibraryVariable is the environment variable that names the runtime's shared
// library.
const LibraryVariable = "AMPULLA_ONNXRUNTIME"

// Config configures a Scorer. The zero value is the default.
type Config struct {
	// Library is the path of ONNX Runtime's shared library, 1.24 or later. If
	// empty, it is what the environment variable AMPULLA_ONNXRUNTIME names, and
	// if that is empty, the first that loads of: libonnxruntime beside the
	// executable, in ../lib/ampulla from there, in ~/.local/lib/ampulla,
	// /usr/local/lib/ampulla and /usr/lib/ampulla, and wherever the system's
	// loader finds one.
	//
	// A process loads the runtime once: a second Scorer uses the same library,
	// whatever its Config says.
	Library string
}

// LibraryError says that ONNX Runtime could not be loaded and what was tried.
type LibraryError struct {
	Tried []string // places, or libraries with what is wrong with them
}

func (e *LibraryError) Error() string {
	return "onnx runtime: no usable library: " + strings.Join(e.Tried, "; ")
}

// Hint tells what to do about it.
func (e *LibraryError) Hint() string {
	return "./install.sh puts ONNX Runtime where it is found; " + LibraryVariable + " may name its libonnxruntime instead"
}

// candidate is one place to look in.
type candidate struct {
	name  string   // of the place, for the error
	paths []string // libraries there, as the loader takes them
}

// candidates lists where to look, in order. A library that was named by the
// user is the only candidate: falling back on another would hide a mistake.
func candidates(library, variable, executable, home string) []candidate {
	if library != "" {
		return []candidate{{library, []string{library}}}
	}
	if variable != "" {
		return []candidate{{LibraryVariable + "=" + variable, []string{variable}}}
	}
	var folders []string
	if executable != "" {
		folder := filepath.Dir(executable)
		folders = append(folders, folder, filepath.Join(folder, "..", "lib", "ampulla"))
	}
	if home != "" {
		folders = append(folders, filepath.Join(home, ".local", "lib", "ampulla"))
	}
	folders = append(folders, "/usr/local/lib/ampulla", "/usr/lib/ampulla")

	pattern, names := "libonnxruntime.so*", []string{"libonnxruntime.so.1", "libonnxruntime.so"}
	switch runtime.GOOS {
	case "darwin":
		pattern, names = "libonnxruntime*.dylib", []string{"libonnxruntime.dylib"}
	case "windows":
		pattern, names = "onnxruntime.dll", []string{"onnxruntime.dll"}
	}
	var list []candidate
	for _, folder := range folders {
		paths, _ := filepath.Glob(filepath.Join(folder, pattern)) // fails for bad patterns only
		list = append(list, candidate{folder, paths})
	}
	return append(list, candidate{"the system's libraries", names})
}

// load calls open with each library that Config describes until one loads, and
// returns its path.
func load(cfg Config, open func(path string) error) (string, error) {
	executable, err := os.Executable()
	if err == nil {
		if resolved, err := filepath.EvalSymlinks(executable); err == nil {
			executable = resolved
		}
	}
	home, _ := os.UserHomeDir() // empty on error
	failure := new(LibraryError)
	for _, c := range candidates(cfg.Library, os.Getenv(LibraryVariable), executable, home) {
		if len(c.paths) == 0 {
			failure.Tried = append(failure.Tried, c.name+": none there")
		}
		for _, path := range c.paths {
			err := open(path)
			if err == nil {
				return path, nil
			}
			failure.Tried = append(failure.Tried, fmt.Sprintf("%s: %v", c.name, err))
		}
	}
	return "", failure
}
