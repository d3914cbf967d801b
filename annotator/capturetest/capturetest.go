// Package capturetest finds captures for the tests of other packages.
package capturetest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Labelled returns the folder of the labelled captures, with the folders
// anomaly and protocols in it: $AMPULLA_DATA, or what ../shared/data/unpack
// beside the checkout makes. The test is skipped where there is neither; these
// captures are not part of the repository.
func Labelled(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("AMPULLA_DATA"); dir != "" {
		return dir
	}
	unpack := filepath.Join(root(), "..", "shared", "data", "unpack")
	if _, err := os.Stat(unpack); err != nil {
		t.Skip("no labelled captures: AMPULLA_DATA is not set and ", unpack, " does not exist")
	}
	out, err := exec.Command(unpack).Output()
	if err != nil {
		t.Fatalf("%s: %v", unpack, err)
	}
	return strings.TrimSpace(string(out))
}

// Full tells whether a test should look at everything ($AMPULLA_FULL is set)
// instead of a sample.
func Full() bool { return os.Getenv("AMPULLA_FULL") != "" }

// Own returns the project's own captures, testdata/captures/*.pcapng.
func Own(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root(), "testdata", "captures", "*.pcapng"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in testdata/captures: %v", err)
	}
	return files
}

// Files returns every capture below a folder, in order.
func Files(t testing.TB, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || slices.Contains([]string{".tsv", ".txt", ".md"}, filepath.Ext(path)) ||
			strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		files = append(files, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// root is the checkout this file was built in.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}
