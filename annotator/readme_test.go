package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/config"
)

// TestReadmeConfiguration holds the configuration that README.md shows to what
// it says of it: every key there is, with its default.
func TestReadmeConfiguration(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllSubmatch(text, -1)
	if len(blocks) != 1 {
		t.Fatalf("%d YAML blocks, want 1", len(blocks))
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, blocks[0][1], 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got.Config); diff != "" {
		t.Errorf("README.md and the defaults differ (-defaults +README):\n%s", diff)
	}
	var shown strings.Builder
	if err := got.Write(&shown); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(shown.String()) {
		if strings.HasSuffix(strings.TrimSpace(line), "# "+config.DefaultOrigin) {
			t.Errorf("README.md does not have %s", line)
		}
	}
}

// TestReadmeTour walks through the tour of README.md, word for word, as somebody
// who has just installed Ampulla. packaging/try.sh does it in fresh systems.
func TestReadmeTour(t *testing.T) {
	p := newPatient(t)
	p.do(t, "plugin", "install", "--user", "--from", p.build(t))
	text, err := os.ReadFile("../testdata/captures/demo.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "testdata/captures/demo.pcapng", string(text))
	script, err := filepath.Abs("../packaging/tour.sh")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := filepath.Abs("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(script, readme)
	command.Dir, command.Env = p.home, p.env
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "commands did what README.md says") {
		t.Errorf("it ran no commands:\n%s", out)
	}
}
