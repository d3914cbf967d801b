package lua_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
)

// TestManyRuns lets tshark end again and again while Go is at work in it.
func TestManyRuns(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		runs := 50
		switch {
		case capturetest.Full():
			runs = 200
		case s.version != "4.0":
			runs = 10
		}
		for i := range runs {
			s.run(t, [][]string{
				{"-r", path, "-Y", "ai.anomaly.score > 0.8"}, {"-r", path, "-2", "-Y", "ai"},
				{"-r", path, "-c", "3", "-V"}, {"-r", path},
			}[i%4]...)
		}
	})
}

// TestEndings ends tshark in the middle of a long capture: it must end as it
// does without the plugin, be it with a code or by a signal.
func TestEndings(t *testing.T) {
	data, err := os.ReadFile(own(t, "port_scan_syn.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "long.pcapng") // sections may follow each other
	if err := os.WriteFile(path, bytes.Repeat(data, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		for name, end := range map[string]func(*os.Process, io.Closer) error{
			"nobody reads": func(_ *os.Process, stdout io.Closer) error { return stdout.Close() },
			"SIGINT":       func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGINT) },
			"SIGTERM":      func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGTERM) },
			"SIGHUP":       func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGHUP) },
			"SIGQUIT":      func(p *os.Process, _ io.Closer) error { return p.Signal(syscall.SIGQUIT) },
		} {
			t.Run(name, func(t *testing.T) {
				want := s.ended(t, end, "-r", path)
				got := s.ended(t, end, append([]string{"-X", "lua_script:" + s.script, "-r", path}, looking...)...)
				if got != want {
					t.Errorf("it ends with %s, and without the plugin with %s", got, want)
				}
			})
		}
	})
}

// ended runs tshark, ends it after a hundred lines, and returns how it ended.
func (s *shark) ended(t *testing.T, end func(*os.Process, io.Closer) error, args ...string) string {
	t.Helper()
	cmd := s.command(args...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(hang, func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	for range 100 {
		lines.Scan()
	}
	if err := end(cmd.Process, stdout); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
	}
	_ = cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("tshark %q hangs", args)
	}
	return cmd.ProcessState.String()
}
