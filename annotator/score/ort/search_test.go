package ort

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCandidates(t *testing.T) {
	home := t.TempDir()
	ours := filepath.Join(home, ".local", "lib", "ampulla", "libonnxruntime.so.1.30.0")
	beside := filepath.Join(home, "bin", "libonnxruntime.so")
	for _, path := range []string{ours, beside, filepath.Join(home, "bin", "libonnxruntime_providers_shared.so")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	paths := func(list []candidate) (all []string) {
		for _, c := range list {
			all = append(all, c.paths...)
		}
		return all
	}
	for _, tt := range []struct {
		name, library, variable string
		want                    []string
	}{
		{"configured", "/a/libonnxruntime.so", "/b/libonnxruntime.so", []string{"/a/libonnxruntime.so"}},
		{"environment", "", "/b/libonnxruntime.so", []string{"/b/libonnxruntime.so"}},
	} {
		got := paths(candidates(tt.library, tt.variable, filepath.Join(home, "bin", "ampulla"), home))
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.name, diff)
		}
	}
	got := paths(candidates("", "", filepath.Join(home, "bin", "ampulla"), home))
	if len(got) < 3 || got[0] != beside || got[1] != ours {
		t.Errorf("found %q, want %s first, then %s, then the system's", got, beside, ours)
	}
}

func TestLoadFirstThatWorks(t *testing.T) {
	t.Setenv(LibraryVariable, "/nowhere/libonnxruntime.so")
	refuse := errors.New("no such file")
	path, err := load(Config{}, func(string) error { return refuse })
	var library *LibraryError
	if path != "" || !errors.As(err, &library) {
		t.Fatalf("load = %q, %v, want a LibraryError", path, err)
	}
	want := LibraryVariable + "=/nowhere/libonnxruntime.so: no such file"
	if len(library.Tried) != 1 || library.Tried[0] != want || !strings.Contains(err.Error(), want) {
		t.Errorf("tried %q, want %q", library.Tried, want)
	}
	if !strings.Contains(library.Hint(), "./install.sh") {
		t.Errorf("hint %q does not name install.sh", library.Hint())
	}

	path, err = load(Config{Library: "/x/libonnxruntime.so"}, func(string) error { return nil })
	if path != "/x/libonnxruntime.so" || err != nil {
		t.Errorf("load = %q, %v", path, err)
	}
}
