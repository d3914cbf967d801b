package lua_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestSharkd asks sharkd, which loads scripts and forks later.
func TestSharkd(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		program := filepath.Join(filepath.Dir(s.path), "sharkd")
		if _, err := os.Stat(program); err != nil {
			t.Skip("no sharkd beside this tshark")
		}
		want := strings.Count(s.run(t, append([]string{"-r", path, "-Y", "ai.anomaly.score > 0.8"}, patient...)...), "\n")
		plugins := filepath.Join(s.home, ".local/lib/wireshark/plugins")
		if err := os.MkdirAll(plugins, 0o755); err != nil {
			t.Fatal(err)
		}
		script, err := os.ReadFile(s.script)
		if err == nil {
			err = os.WriteFile(filepath.Join(plugins, "ai.lua"), script, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		address := filepath.Join(s.home, "sharkd.sock")
		daemon := exec.Command(program, "-a", "unix:"+address)
		daemon.Env = append(os.Environ(), "HOME="+s.home, "XDG_CONFIG_HOME="+s.home+"/.config")
		daemon.Env = append(daemon.Env, s.env...)
		daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it goes into the background
		if err := daemon.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(-daemon.Process.Pid, syscall.SIGTERM); _ = daemon.Wait() })
		for range 2 {
			if got := sharkdFrames(t, address, path); got != want || got == 0 {
				t.Errorf("%d flagged frames, want %d", got, want)
			}
		}
	})
}

// sharkdFrames counts the frames that sharkd shows with a filter.
func sharkdFrames(t *testing.T, socket, capture string) int {
	t.Helper()
	var conn net.Conn
	var err error
	for range 200 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	answers := bufio.NewReader(conn)
	var result json.RawMessage
	for i, call := range []string{
		`"load","params":{"file":"` + capture + `"}`,
		`"frames","params":{"filter":"ai.anomaly.score > 0.8"}`,
	} {
		if _, err := fmt.Fprintf(conn, `{"jsonrpc":"2.0","id":%d,"method":%s}`+"\n", i+1, call); err != nil {
			t.Fatal(err)
		}
		line, err := answers.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Result json.RawMessage }
		if err := json.Unmarshal(line, &answer); err != nil || answer.Result == nil {
			t.Fatalf("%v: %s", err, line)
		}
		result = answer.Result
	}
	var frames []any
	if err := json.Unmarshal(result, &frames); err != nil {
		t.Fatalf("%v: %s", err, result)
	}
	return len(frames)
}
