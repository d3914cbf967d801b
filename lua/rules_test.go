package lua_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSameVerdictsWithRules holds tshark to what annotate says where rules of
// feedback are in force, those of an annotator that ran already when they were
// made included.
func TestSameVerdictsWithRules(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	programs(t)
	demo := own(t, "demo.pcapng")
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		say := func(words ...string) {
			t.Helper()
			cmd := exec.Command(filepath.Join(programs(t), "ampulla"), append([]string{"baseline", "feedback"}, words...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		say("normal", "--hosts", "192.168.40.66,192.168.40.10", "--type", "port_scan", "--who", "alice")
		say("bad", "--service", "udp/53", "--why", "nobody resolves here")
		want := expected(t, demo)
		for said, least := range map[string]int{"|suppressed by rule ": 200, "|outlier|bad by rule ": 50} {
			if n := strings.Count(want, said); n < least {
				t.Errorf("%q: %d frames", said, n)
			}
		}
		if difference := firstDifference(want, s.verdicts(t, demo)); difference != "" {
			t.Error(difference)
		}
	})
}
