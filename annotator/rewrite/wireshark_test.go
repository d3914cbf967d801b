package rewrite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/rewrite"
)

// run returns what a program of Wireshark prints; ok tells whether it succeeded.
func run(t *testing.T, name string, arg ...string) (out string, ok bool) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name, " is not installed")
	}
	b, err := exec.Command(name, arg...).Output()
	return string(b), err == nil
}

// TestWiresharkAccepts annotates a sample of the labelled captures. capinfos
// and editcap must accept the result if they accept the original, and tshark
// must see the same frames, with our comments.
func TestWiresharkAccepts(t *testing.T) {
	dir := t.TempDir()
	annotated, again := filepath.Join(dir, "annotated.pcapng"), filepath.Join(dir, "again.pcapng")
	files := capturetest.Files(t, capturetest.Labelled(t))
	step := 200
	if capturetest.Full() {
		step = 1
	}
	for i := step / 2; i < len(files); i += step {
		file := files[i]
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg := config()
		cfg.Comments = rewrite.CommentAll
		out, counts, err := annotate(t, in, cfg)
		if err != nil {
			continue // the outputs of broken files are compared with their beginnings elsewhere
		}
		if err := os.WriteFile(annotated, out, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := run(t, "capinfos", file); !ok {
			continue
		}
		if _, ok := run(t, "capinfos", annotated); !ok {
			t.Errorf("%s: capinfos refuses the annotated capture", file)
		}
		if _, ok := run(t, "editcap", annotated, again); !ok {
			t.Errorf("%s: editcap refuses the annotated capture", file)
		}
		fields := []string{"-n", "-T", "fields", "-e", "frame.number", "-e", "frame.time_epoch", "-e", "frame.len",
			"-e", "frame.cap_len", "-e", "frame.encap_type", "-e", "frame.protocols", "-r"}
		before, _ := run(t, "tshark", append(fields, file)...)
		after, _ := run(t, "tshark", append(fields, annotated)...)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: tshark sees other frames after annotating (-before +after):\n%s", file, diff)
		}
		comments, _ := run(t, "tshark", "-n", "-r", annotated, "-Y", `frame.comment contains "ai/1 "`, "-T", "fields", "-e", "frame.number")
		if n := strings.Count(comments, "\n"); uint64(n) != counts.Commented {
			t.Errorf("%s: tshark sees %d comments, want %d", file, n, counts.Commented)
		}
	}
}
