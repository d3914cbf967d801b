package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// manifest lists what was installed, files and folders made for them, by
// absolute path. Its file has one line for each, "file <path>" or "dir <path>",
// and "sum <SHA-256> <path>" for what users may change; install.sh reads and
// writes it, too.
type manifest struct {
	files, dirs []string
	// sums has what the files of profiles were when they were installed.
	sums map[string]string
}

// readManifest reads a manifest; there may be none yet.
func readManifest(path string) (manifest, error) {
	m := manifest{sums: map[string]string{}}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		switch kind, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " "); kind {
		case "file":
			m.files = append(m.files, path)
		case "dir":
			m.dirs = append(m.dirs, path)
		case "sum":
			sum, path, _ := strings.Cut(path, " ")
			m.sums[path] = sum
		}
	}
	return m, nil
}

func (m manifest) has(file string) bool { return slices.Contains(m.files, file) }

// changed tells whether a file is no longer what was installed, as far as that
// is known.
func (m manifest) changed(file string) bool {
	sum, ok := m.sums[file]
	if !ok {
		return false
	}
	text, err := os.ReadFile(file)
	return err == nil && sumOf(text) != sum
}

func sumOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// with returns a manifest that lists more.
func (m manifest) with(files, dirs []string, sums map[string]string) manifest {
	all := maps.Clone(m.sums)
	maps.Copy(all, sums)
	return manifest{union(m.files, files), union(m.dirs, dirs), all}
}

// without returns a manifest that does not list some files.
func (m manifest) without(files []string) manifest {
	kept := slices.DeleteFunc(slices.Clone(m.files), func(file string) bool { return slices.Contains(files, file) })
	sums := maps.Clone(m.sums)
	maps.DeleteFunc(sums, func(file, _ string) bool { return slices.Contains(files, file) })
	return manifest{kept, m.dirs, sums}
}

func union(list, more []string) []string {
	list = slices.Clone(list)
	for _, path := range more {
		if !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list
}

func (m manifest) String() string {
	var text strings.Builder
	for _, dir := range m.dirs {
		text.WriteString("dir " + dir + "\n")
	}
	for _, file := range m.files {
		text.WriteString("file " + file + "\n")
	}
	for _, file := range slices.Sorted(maps.Keys(m.sums)) {
		text.WriteString("sum " + m.sums[file] + " " + file + "\n")
	}
	return text.String()
}

// prune removes the folders that are empty, the inner ones first, and returns a
// manifest of the others.
func (m manifest) prune() manifest {
	dirs := slices.Sorted(slices.Values(m.dirs))
	slices.Reverse(dirs)
	dirs = slices.DeleteFunc(dirs, func(dir string) bool {
		err := os.Remove(dir)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
	slices.Reverse(dirs)
	return manifest{m.files, dirs, m.sums}
}
