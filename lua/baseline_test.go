package lua_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSameVerdictsWithBaseline holds tshark to what annotate says where the
// configuration names a baseline: what is usual, what is an alarm all the same, and
// what too little was learned of.
func TestSameVerdictsWithBaseline(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	folder, demo := filepath.Join(config, "ampulla"), own(t, "demo.pcapng")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	learn := exec.Command(filepath.Join(programs(t), "ampulla"), "baseline", "learn", "--without", "brute_force", demo,
		"-o", filepath.Join(folder, "office.baseline"))
	if out, err := learn.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(folder, "config.yaml"), []byte("baseline: office.baseline\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := expected(t, demo)
	for said, least := range map[string]int{"; usual here: seen once": 200, "|anomalous|brute_force|": 50, "|learning||too little was learned of ": 100} {
		if n := strings.Count(want, said); n < least {
			t.Errorf("%q: %d frames", said, n)
		}
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		if difference := firstDifference(want, s.verdicts(t, demo)); difference != "" {
			t.Error(difference)
		}
	})
}
