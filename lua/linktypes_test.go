package lua_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestLinkTypes has frames of every link type that editcap can write, in one
// capture of many sections. The bytes are those of Ethernet frames, which is good enough: each
// has to reach the annotator with its link type, and without what Wireshark
// takes for a header of the capture file.
func TestLinkTypes(t *testing.T) {
	out, _ := exec.Command("editcap", "-T").CombinedOutput() // lists them, and fails
	types := regexp.MustCompile(`(?m)^ +(\S+) - `).FindAllStringSubmatch(string(out), -1)
	if len(types) < 200 {
		t.Fatalf("%d link types: %s", len(types), out)
	}
	dir := t.TempDir()
	few, one, path := filepath.Join(dir, "few.pcapng"), filepath.Join(dir, "one.pcapng"), filepath.Join(dir, "all.pcapng")
	run(t, "editcap", "-r", own(t, "demo.pcapng"), few, "480-483")
	var all []byte
	for _, match := range types {
		if slices.Contains(notYet, match[1]) || exec.Command("editcap", "-T", match[1], few, one).Run() != nil {
			continue
		}
		section, err := os.ReadFile(one)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, section...)
	}
	if err := os.WriteFile(path, all, 0o644); err != nil {
		t.Fatal(err)
	}
	want := expected(t, path)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, m := range modes {
			if m.drops || m.piped { // the same, and no multiple link types
				continue
			}
			if difference := firstDifference(want, s.inMode(t, path, m).stdout); difference != "" {
				t.Errorf("%s: %s", m.name, difference)
			}
		}
	})
}

// TestCustomBlocks has frames that are none of a network, which have neither a
// link type nor a time: pcapng's custom blocks.
func TestCustomBlocks(t *testing.T) {
	path := capture(t, frame{}, frame{})
	packets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	custom := block(nil, 0xbad, "\xd9\x7e\x00\x00"+"no packet at all") // of the number for documentation
	first := packets[:28]                                              // a section header
	if err := os.WriteFile(path, slices.Concat(first, custom, packets, custom, packets), 0o644); err != nil {
		t.Fatal(err)
	}
	want := expected(t, path)
	if n := strings.Count(want, "\n"); n != 6 {
		t.Fatalf("%d frames", n)
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, m := range modes {
			s.sameInMode(t, path, m, want)
		}
	})
}

// notYet are link types that the module knows nothing of, or that have headers
// it does not expect.
var notYet = []string{"erf"}
