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
	"sync"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
	"ampulla/grpc/socket"
)

// looking makes tshark print what was wrong with each frame, and a field of
// Wireshark's own.
var looking = []string{"-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "ai.class", "-e", "ai.status"}

// TestTrouble has annotators that are of no use: tshark must print what it
// prints without, end well, and say what is wrong.
func TestTrouble(t *testing.T) {
	programs(t)
	path := own(t, "demo.pcapng")
	tests := []struct {
		name string
		bad  func(t *testing.T, s *shark) // makes s ask such an annotator
		want string                       // in each ai.status
	}{
		{"missing", func(t *testing.T, s *shark) {
			s.asking(t, filepath.Join(t.TempDir(), "none.sock"))
		}, "no such file"},
		{"not installed", func(t *testing.T, s *shark) {
			s.asking(t, filepath.Join(t.TempDir(), "none.sock"))
			s.env = append(s.env, "AMPULLA_PROGRAM="+filepath.Join(s.home, "nothing"))
		}, "no such file"},
		{"ends at once", func(t *testing.T, s *shark) {
			s.asking(t, filepath.Join(t.TempDir(), "none.sock"))
			s.env = append(s.env, "AMPULLA_PROGRAM=/bin/false")
		}, "annotator: "}, // exit status 1, where there is a /bin/false
		{"stopped", func(t *testing.T, s *shark) {
			a := startAnnotator(t)
			if err := a.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			s.asking(t, a.socket)
		}, "annotator does not answer"},
		{"garbage", func(t *testing.T, s *shark) {
			s.asking(t, babble(t))
		}, "annotator"},
		{"module is none", func(t *testing.T, s *shark) {
			s.asking(t, "")
			file := filepath.Join(s.home, "broken.so")
			if err := os.WriteFile(file, []byte("not an ELF file"), 0o644); err != nil {
				t.Fatal(err)
			}
			s.env = append(s.env, "AMPULLA_NATIVE="+file)
		}, "native module: "},
	}
	eachShark(t, func(t *testing.T, s *shark) {
		plain := map[string]string{"-n": s.run(t, "-n", "-r", path), "-2": s.run(t, "-2", "-r", path)}
		frames := strings.Count(plain["-n"], "\n")
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				s := *s
				tt.bad(t, &s)
				for _, pass := range []string{"-n", "-2"} {
					args := append([]string{pass, "-r", path}, looking...)
					out := s.run(t, args...)
					if n := strings.Count(out, "\n"); n != frames {
						t.Errorf("%s: %d frames instead of %d", pass, n, frames)
					}
					for line := range strings.Lines(out) {
						if !strings.Contains(line, "||") || !strings.Contains(line, tt.want) {
							t.Fatalf("%s: %q, want a status with %q", pass, line, tt.want)
						}
					}
					if got := s.run(t, pass, "-r", path); got != plain[pass] {
						t.Errorf("%s: other output when nobody looks", pass)
					}
				}
			})
		}
	})
}

// babble listens at a socket and says what no gRPC server says.
func babble(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "run", "a.sock")
	listener, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				_, _ = conn.Write([]byte("SSH-2.0-surprise\r\n" + strings.Repeat("\x00\xff", 1000)))
				_ = conn.Close()
			}(conn)
		}
	}()
	return path
}

// TestKilled kills the annotator while tshark is at it: every frame is there,
// with its right verdict or a reason why not.
func TestKilled(t *testing.T) {
	path := own(t, "flood_syn.pcapng")
	eachShark(t, func(t *testing.T, s *shark) {
		want := strings.Split(expected(t, path), "\n")
		for _, mode := range []string{"AMPULLA_READAHEAD=1", "AMPULLA_READAHEAD=0"} {
			a := startAnnotator(t)
			s.asking(t, a.socket)
			s.env = append(s.env, mode)
			timer := time.AfterFunc(300*time.Millisecond, func() { _ = a.Process.Kill() })
			lines := strings.Split(s.run(t, append([]string{"-r", path}, verdictArgs...)...), "\n")
			timer.Stop()
			if len(lines) != len(want) {
				t.Fatalf("%d lines instead of %d", len(lines), len(want))
			}
			for i, line := range lines {
				if line != want[i] && !strings.HasPrefix(line, fmt.Sprintf("%d||||||||", i+1)) {
					t.Errorf("%q instead of %q", line, want[i])
				}
			}
		}
	})
}

// TestModuleMissing has the Lua file alone: nothing is shown, and nobody nagged.
func TestModuleMissing(t *testing.T) {
	programs(t)
	eachShark(t, func(t *testing.T, s *shark) {
		out := s.run(t, "-r", own(t, "demo.pcapng"), "-V")
		if strings.Contains(out, "\n[AI") {
			t.Error("verdicts, or a status, without a module")
		}
	})
}

// TestManyRuns lets tshark end again and again while Go is at work in it.
func TestManyRuns(t *testing.T) {
	runs := 10
	if capturetest.Full() {
		runs = 200
	}
	path := own(t, "port_scan_syn.pcapng")
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		for i := range runs {
			args := [][]string{
				{"-r", path, "-Y", "ai.anomaly.score > 0.8"}, {"-r", path, "-2", "-Y", "ai"},
				{"-r", path, "-c", "3", "-V"}, {"-r", path},
			}[i%4]
			s.run(t, args...)
		}
	})
}

// TestTogether has several tsharks at once, which all start the annotator: one
// of the annotators stays.
func TestTogether(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	want := expected(t, path)
	eachShark(t, func(t *testing.T, s *shark) {
		if s.version != "4.0" {
			t.Skip("the fetched ones see no annotator to start")
		}
		dir := t.TempDir()
		log := filepath.Join(dir, "started")
		starter := filepath.Join(dir, "starter")
		script := "#!/bin/sh\n" + `HOME="` + os.Getenv("HOME") + `" "` + filepath.Join(programs(t), "ampulla") +
			`" "$@" --idle 2s && echo ended >>"` + log + `"` + "\n"
		if err := os.WriteFile(starter, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		s.asking(t, filepath.Join(dir, "run", "a.sock"))
		s.env = append(s.env, "AMPULLA_PROGRAM="+starter)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if got := s.verdicts(t, path); got != want {
					t.Error(firstDifference(want, got))
				}
			})
		}
		all.Wait()
		for range 200 { // until they have ended
			if out, _ := os.ReadFile(log); strings.Count(string(out), "ended") >= 4 {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// TestSharkd asks sharkd, which loads scripts and forks later.
func TestSharkd(t *testing.T) {
	program, err := exec.LookPath("sharkd")
	if err != nil {
		t.Skip("no sharkd")
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		if s.version != "4.0" {
			t.Skip("sharkd is not among what wireshark.sh fetches")
		}
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
		path := filepath.Join(s.home, "sharkd.sock")
		daemon := exec.Command(program, "-a", "unix:"+path)
		daemon.Env = append(os.Environ(), "HOME="+s.home, "XDG_CONFIG_HOME="+s.home+"/.config")
		daemon.Env = append(daemon.Env, s.env...)
		daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it goes into the background
		if err := daemon.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(-daemon.Process.Pid, syscall.SIGTERM); _ = daemon.Wait() })
		for range 2 {
			if got := sharkdFrames(t, path, own(t, "port_scan_syn.pcapng")); got != 291 {
				t.Errorf("%d flagged frames, want 291", got)
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
