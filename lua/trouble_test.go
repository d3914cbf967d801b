package lua_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
	"ampulla/grpc/grpctest"
)

// The tests in this file have annotators that are of no use, or cease to be:
// tshark must print what it prints without, end well, and say what is wrong.

// hang is when a tshark counts as hanging. The slowest machine needs less; to
// wait for an annotator with every frame takes more.
const hang = 3 * time.Minute

// ends is run for a tshark that might hang.
func (s *shark) ends(t testing.TB, args ...string) string {
	t.Helper()
	cmd := s.command(append([]string{"-X", "lua_script:" + s.script}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(hang, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatalf("tshark %q hangs", args)
	}
	output{stdout.String(), stderr.String(), err}.mustBeQuiet(t, args)
	return stdout.String()
}

// looking makes tshark print what was wrong with each frame, and a field of
// Wireshark's own.
var looking = []string{"-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "ai.class", "-e", "ai.status"}

// trouble is an annotator, or a lack of one.
type trouble struct {
	name  string
	begin func(t *testing.T, s *shark) // makes s ask it
	want  string                       // in each ai.status
}

// troubles returns all of them, or a sample that has one of each kind.
func troubles() []trouble {
	program := func(path string) func(*testing.T, *shark) {
		return func(t *testing.T, s *shark) {
			s.asking(t, filepath.Join(t.TempDir(), "none.sock"))
			s.env = append(s.env, "AMPULLA_PROGRAM="+path)
		}
	}
	list := []trouble{
		{"missing", program("-"), "no such file"},
		{"not installed", program("/nowhere/ampulla"), "no such file"},
		{"does not start", func(t *testing.T, s *shark) {
			script := filepath.Join(t.TempDir(), "ampulla")
			if err := os.WriteFile(script, []byte("#!/bin/sh\necho 'ampulla: error: models: gone' >&2; exit 1\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			program(script)(t, s)
		}, "annotator: models: gone"},
		{"stopped", func(t *testing.T, s *shark) {
			a := startAnnotator(t)
			a.signal(t, syscall.SIGSTOP)
			s.asking(t, a.socket)
		}, "does not answer"},
		{"module is none", func(t *testing.T, s *shark) {
			s.asking(t, "")
			file := filepath.Join(s.home, "broken.so")
			if err := os.WriteFile(file, []byte("not an ELF file"), 0o644); err != nil {
				t.Fatal(err)
			}
			s.env = append(s.env, "AMPULLA_NATIVE="+file)
		}, "native module: "},
		{"very slow", func(t *testing.T, s *shark) { s.asking(t, grpctest.Slow(time.Hour)(t)) }, "does not answer"},
	}
	for _, peer := range grpctest.Peers() {
		if strings.HasPrefix(peer.Name, "refuses") && !strings.HasSuffix(peer.Name, "ResourceExhausted") && !capturetest.Full() {
			continue
		}
		list = append(list, trouble{peer.Name, func(t *testing.T, s *shark) { s.asking(t, peer.Start(t)) }, peer.Says})
	}
	return list
}

func (a annotator) signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := a.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// TestTrouble has each trouble from the first frame on.
func TestTrouble(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	eachShark(t, func(t *testing.T, s *shark) {
		plain := map[string]string{"-n": s.run(t, "-n", "-r", path), "-2": s.run(t, "-2", "-r", path)}
		frames := strings.Count(plain["-n"], "\n")
		for i, tt := range troubles() {
			if s.version != "4.0" && i%3 != 0 && !capturetest.Full() {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				s := *s
				tt.begin(t, &s)
				for j, pass := range []string{"-n", "-2"} {
					if i%2 != j && !capturetest.Full() {
						continue
					}
					if got := s.ends(t, pass, "-r", path); got != plain[pass] {
						t.Errorf("%s: other output when nobody looks", pass)
					}
					args := append([]string{pass, "-r", path}, looking...)
					if !strings.Contains(tt.want, "does not answer") { // it does, be the machine ever so slow
						args = append(args, patient...)
					}
					out := s.ends(t, args...)
					if n := strings.Count(out, "\n"); n != frames {
						t.Errorf("%s: %d frames instead of %d", pass, n, frames)
					}
					for line := range strings.Lines(out) {
						if !strings.Contains(line, "||") || !strings.Contains(line, tt.want) {
							t.Fatalf("%s: %q, want a status with %q", pass, line, tt.want)
						}
					}
				}
			})
		}
	})
}

// TestSlow has an annotator that takes its time with every batch: whoever is
// patient gets all verdicts, and whoever is not is not kept waiting.
func TestSlow(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	eachShark(t, func(t *testing.T, s *shark) {
		s.asking(t, grpctest.Slow(300*time.Millisecond)(t))
		frames := strings.Count(s.run(t, "-r", path), "\n")
		out := s.ends(t, append(append([]string{"-r", path}, patient...), looking...)...)
		if n := strings.Count(out, "|dns|\n"); n != frames {
			t.Errorf("%d verdicts for %d frames", n, frames)
		}
		out = s.ends(t, append([]string{"-r", path, "-o", "ai.timeout:100"}, looking...)...)
		verdicts, statuses := strings.Count(out, "|dns|\n"), strings.Count(out, "annotator does not answer\n")
		if statuses == 0 || verdicts+statuses != frames {
			t.Errorf("%d verdicts and %d reasons for %d frames", verdicts, statuses, frames)
		}
	})
}

// TestInTheMiddle takes the annotator away while tshark reads from a pipe: every
// frame is there, with its right verdict or a reason why not.
func TestInTheMiddle(t *testing.T) {
	path := own(t, "demo.pcapng")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := len(data) / 2
	eachShark(t, func(t *testing.T, s *shark) {
		want := strings.Split(strings.TrimSuffix(expected(t, path), "\n"), "\n")
		for _, tt := range []struct {
			signal syscall.Signal
			reason string // for the last frame
		}{
			{syscall.SIGKILL, "annotator has gone"}, {syscall.SIGTERM, "annotator has gone"}, {syscall.SIGSTOP, "annotator does not answer"},
		} {
			t.Run(tt.signal.String(), func(t *testing.T) {
				s, a := *s, startAnnotator(t)
				s.asking(t, a.socket)
				f := s.feed(t, verdictArgs...)
				resume := make(chan bool)
				go func() {
					defer f.stdin.Close()
					_, _ = f.stdin.Write(data[:half])
					<-resume
					_, _ = f.stdin.Write(data[half:])
				}()
				lines := []string{f.line(t)}
				a.signal(t, tt.signal)
				if tt.signal != syscall.SIGSTOP {
					_ = a.Wait()
				}
				close(resume)
				lines = append(lines, f.rest(t)...)
				if len(lines) != len(want) {
					t.Fatalf("%d lines instead of %d", len(lines), len(want))
				}
				for i, line := range lines {
					if reason := fmt.Sprintf("%d||||||||", i+1); line != want[i] && !strings.HasPrefix(line, reason) {
						t.Errorf("%q instead of %q", line, want[i])
					}
				}
				if last := lines[len(lines)-1]; !strings.Contains(last, tt.reason) {
					t.Errorf("%q, want %q", last, tt.reason)
				}
			})
		}
	})
}

// TestRecovers stops the annotator for a while: when it goes on, so do the
// verdicts.
func TestRecovers(t *testing.T) {
	data, err := os.ReadFile(own(t, "demo.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	eachAsking(t, func(t *testing.T, s *shark, a annotator) {
		f := s.feed(t, append([]string{"-o", "ai.timeout:500"}, looking...)...)
		enough := make(chan bool)
		go func() { // a hundred frames now and then, over and over
			defer f.stdin.Close()
			for rest := data; ; rest = rest[min(10_000, len(rest)):] {
				if len(rest) == 0 {
					rest = data
				}
				_, _ = f.stdin.Write(rest[:min(10_000, len(rest))])
				select {
				case <-enough:
					_, _ = f.stdin.Write(rest[min(10_000, len(rest)):])
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		}()
		until := func(status bool) {
			for strings.HasSuffix(f.line(t), "|") == status { // no status
			}
		}
		until(false)
		a.signal(t, syscall.SIGSTOP)
		until(true)
		a.signal(t, syscall.SIGCONT)
		until(false)
		close(enough)
		f.rest(t)
	})
}

// fed is a tshark that reads a capture from its standard input.
type fed struct {
	*exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	stderr strings.Builder
	timer  *time.Timer
}

// feed starts one.
func (s *shark) feed(t *testing.T, args ...string) *fed {
	t.Helper()
	f := &fed{Cmd: s.command(append([]string{"-X", "lua_script:" + s.script, "-l", "-r", "-"}, args...)...)}
	f.Stderr = &f.stderr
	var err error
	if f.stdin, err = f.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := f.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.lines = bufio.NewScanner(stdout)
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	f.timer = time.AfterFunc(hang, func() { _ = f.Process.Kill() })
	return f
}

// line returns the next line.
func (f *fed) line(t *testing.T) string {
	t.Helper()
	if !f.lines.Scan() {
		t.Fatalf("output ends: %v, %v: %s", f.lines.Err(), f.Wait(), f.stderr.String())
	}
	return f.lines.Text()
}

// rest returns all further lines, after which tshark must have ended well.
func (f *fed) rest(t *testing.T) (lines []string) {
	t.Helper()
	for f.lines.Scan() {
		lines = append(lines, f.lines.Text())
	}
	err := f.Wait()
	if !f.timer.Stop() {
		t.Fatal("tshark hangs")
	}
	output{stderr: f.stderr.String(), err: err}.mustBeQuiet(t, f.Args)
	return lines
}

// TestModuleMissing has the Lua file alone: nothing is shown, and nobody nagged.
func TestModuleMissing(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		out := s.run(t, "-r", own(t, "demo.pcapng"), "-V")
		if strings.Contains(out, "\n[AI") {
			t.Error("verdicts, or a status, without a module")
		}
	})
}
