package lua_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"
)

// TestLiveVerdicts captures from standard input, where frames come little by
// little: tshark reads them from a file that dumpcap writes meanwhile, and so
// does the module when it reads ahead.
func TestLiveVerdicts(t *testing.T) {
	const parts = 20
	path := own(t, "port_scan_syn.pcapng")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := expected(t, path)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, env := range []string{"AMPULLA_READAHEAD=1", "AMPULLA_READAHEAD=0"} {
			live := *s
			live.env = append(slices.Clone(s.env), env)
			cmd := live.command(slices.Concat([]string{"-X", "lua_script:" + s.script, "-i", "-"}, patient, verdictArgs)...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(data, len(data)/parts) {
				_, _ = stdin.Write(part)
				time.Sleep(50 * time.Millisecond)
			}
			_ = stdin.Close()
			err = cmd.Wait()
			if difference := firstDifference(want, stdout.String()); err != nil || difference != "" {
				t.Errorf("%s: %s\n%v: %s", env, difference, err, stderr.String())
			}
		}
	})
}
