package output_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"ampulla/annotator/output"
	"ampulla/annotator/pcapng"
)

// TestSettle checks where the output of some work on "in" ends up, and that
// nothing else is left in the folder.
func TestSettle(t *testing.T) {
	broken := &pcapng.Error{Block: 3, Kind: pcapng.ErrTruncated, Err: errors.New("cut")}
	for _, tt := range []struct {
		name   string
		target string
		err    error
		want   map[string]string // content by name
		path   string
	}{
		{"done", "out", nil, map[string]string{"in": "before", "out": "after"}, "out"},
		{"broken", "out", broken, map[string]string{"in": "before", "out": "after"}, "out"},
		{"failed", "out", errors.New("no"), map[string]string{"in": "before"}, ""},
		{"replaced", "in", nil, map[string]string{"in": "after"}, "in"},
		{"broken and replaced", "in", broken, map[string]string{"in": "before", "in.partial": "after"}, "in.partial"},
		{"failed and replaced", "in", errors.New("no"), map[string]string{"in": "before"}, ""},
		{"replaced through a link", "link", nil, map[string]string{"in": "after"}, "link"},
		{"broken through a link", "link", broken, map[string]string{"in": "before", "link.partial": "after"}, "link.partial"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			in := filepath.Join(dir, "in")
			if err := os.WriteFile(in, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("in", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			file, err := output.Create(filepath.Join(dir, tt.target), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteString("after"); err != nil {
				t.Fatal(err)
			}
			path, err := file.Settle(in, tt.err)
			if err != nil {
				t.Fatal(err)
			}
			want := tt.path
			if want != "" {
				want = filepath.Join(dir, want)
			}
			if path != want {
				t.Errorf("path %q, want %q", path, want)
			}
			checkFolder(t, dir, tt.want)
		})
	}
}

// checkFolder compares a folder with what it should hold, apart from the link.
func checkFolder(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want)+1 {
		t.Errorf("%d entries, want %d and the link", len(entries), len(want))
	}
	for name, content := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
			t.Errorf("%s: %q, %v, want %q", name, got, err, content)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "link")); err != nil || target != "in" {
		t.Errorf("the link: %q, %v", target, err)
	}
}

func TestStandardOutput(t *testing.T) {
	var stdout bytes.Buffer
	file, err := output.Create("-", &stdout)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.WriteString("x")
	if err := file.Commit(); err != nil || stdout.String() != "x" {
		t.Errorf("%q, %v", stdout.String(), err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"a.pcapng": true, "a": true, "a.ntar": true, "a.pcap": false, "A.PCAP": false, "a.dmp": false, "a.pcapng.gz": false, "a.zst": false,
	} {
		if err := output.CheckName(name); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
