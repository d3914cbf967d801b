package lua_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestIncidentLast looks at ai.incident.last: nothing in the first pass, and then
// a later packet of the same incident, which is the last one if all comments
// were seen.
func TestIncidentLast(t *testing.T) {
	path := own(t, "demo.pcapng")
	annotated := filepath.Join(t.TempDir(), "annotated.pcapng")
	run(t, filepath.Join(programs(t), "ampulla"), "annotate", "--comments", "all", path, annotated)
	of := map[int]uint32{} // incident by frame
	last := map[uint32]int{}
	for i, v := range comments(t, annotated) {
		if v.Incident != 0 {
			of[i+1], last[v.Incident] = v.Incident, i+1
		}
	}
	if len(last) < 3 {
		t.Fatal("only so many incidents: ", len(last))
	}
	look := func(t *testing.T, s *shark, args ...string) [][]string {
		t.Helper()
		args = append(args, "-Y", "ai.incident", "-T", "fields", "-e", "frame.number", "-e", "ai.incident.last")
		var lines [][]string
		for line := range strings.Lines(s.run(t, append(args, patient...)...)) {
			lines = append(lines, strings.Split(strings.TrimRight(line, "\n"), "\t"))
		}
		if len(lines) != len(of) {
			t.Fatalf("%d packets of incidents, want %d", len(lines), len(of))
		}
		return lines
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, file := range []string{path, annotated} {
			for _, line := range look(t, s, "-r", file) {
				if line[1] != "" {
					t.Fatalf("first pass: frame %s: %s", line[0], line[1])
				}
			}
			for _, line := range look(t, s, "-2", "-r", file) {
				n, _ := strconv.Atoi(line[0])
				end, err := strconv.Atoi(line[1])
				switch {
				case err != nil || end < n || of[end] != of[n]:
					t.Fatalf("second pass: frame %d of incident %d: %q of incident %d", n, of[n], line[1], of[end])
				case file == annotated && end != last[of[n]]:
					t.Fatalf("second pass: frame %d: %d, want %d", n, end, last[of[n]])
				}
			}
		}
	})
}
