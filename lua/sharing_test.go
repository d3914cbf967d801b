package lua_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
	"ampulla/grpc/client"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// starting makes s ask at a socket, and start an annotator when none is there.
// All of those that it starts are ended with the test.
func (s *shark) starting(t *testing.T, program string) (address string) {
	t.Helper()
	dir := t.TempDir()
	path, log := filepath.Join(dir, "run", "a.sock"), filepath.Join(dir, "started")
	starter := filepath.Join(dir, "starter")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >>'%s'\nHOME='%s' exec '%s' \"$@\"\n", log, os.Getenv("HOME"), program)
	if err := os.WriteFile(starter, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pids, _ := os.ReadFile(log)
		for pid := range strings.FieldsSeq(string(pids)) {
			_ = exec.Command("kill", pid).Run() // those that came second have ended
		}
	})
	s.asking(t, path)
	s.env = append(s.env, "AMPULLA_PROGRAM="+starter)
	return "unix:" + path
}

// asked returns how many sessions the annotator at an address has had, and
// which version it is.
func asked(t *testing.T, address string) (sessions uint64, version string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, err := client.Dial(ctx, client.Config{Address: address, Program: client.NoStart})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	calls, err := annotatorv1.NewAnnotatorClient(conn).WatchMetrics(ctx, &annotatorv1.WatchMetricsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := calls.Recv()
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(ctx, conn)
	if err != nil {
		t.Fatal(err)
	}
	return metrics.GetSessionsTotal(), info.GetVersion()
}

// TestTogether has several tsharks at once, which all start the annotator: one
// of the annotators stays and serves all.
func TestTogether(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	want := expected(t, path)
	eachShark(t, func(t *testing.T, s *shark) {
		address := s.starting(t, filepath.Join(programs(t), "ampulla"))
		const together = 4
		var all sync.WaitGroup
		for range together {
			all.Go(func() {
				if got := s.verdicts(t, path); got != want {
					t.Error(firstDifference(want, got))
				}
			})
		}
		all.Wait()
		if n, _ := asked(t, address); n != together {
			t.Errorf("the annotator had %d sessions, want %d", n, together)
		}
	})
}

// TestUpdated replaces the annotator that is running by another version: the
// next tshark starts and asks that one.
func TestUpdated(t *testing.T) {
	path := own(t, "port_scan_syn.pcapng")
	want := expected(t, path)
	versions := make(map[string]string) // to path
	for _, version := range []string{"0.1.0-old", "0.1.0-new"} {
		versions[version] = filepath.Join(t.TempDir(), "ampulla")
		build := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", versions[version], "../annotator")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	eachShark(t, func(t *testing.T, s *shark) {
		installed := filepath.Join(t.TempDir(), "ampulla")
		address := s.starting(t, installed)
		for _, version := range []string{"0.1.0-old", "0.1.0-new"} {
			program, err := os.ReadFile(versions[version])
			if err == nil {
				err = os.WriteFile(installed+".new", program, 0o755)
			}
			if err == nil {
				err = os.Rename(installed+".new", installed)
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := s.verdicts(t, path); got != want {
					t.Errorf("%s: %s", version, firstDifference(want, got))
				}
			}
			if n, got := asked(t, address); got != version || n != 2 {
				t.Errorf("version %s had %d sessions, want %s and 2", got, n, version)
			}
		}
	})
}

// TestTogetherWithWireshark has two Wiresharks and four tsharks at once share
// one annotator.
func TestTogetherWithWireshark(t *testing.T) {
	if !capturetest.Full() {
		t.Skip("takes long; AMPULLA_FULL=1 runs it")
	}
	display := xvfb(t)
	path := own(t, "port_scan_syn.pcapng")
	want := expected(t, path)
	eachShark(t, func(t *testing.T, s *shark) {
		program := filepath.Join(filepath.Dir(s.path), "wireshark")
		if _, err := os.Stat(program); err != nil {
			t.Skip("no Wireshark beside this tshark")
		}
		address := s.starting(t, filepath.Join(programs(t), "ampulla"))
		gui := *s
		gui.path = program
		gui.env = append(gui.env, "DISPLAY="+display, "QT_QPA_PLATFORM=xcb", "XDG_RUNTIME_DIR="+s.home)
		var all sync.WaitGroup
		for range 2 {
			wireshark := gui.command("-X", "lua_script:"+s.script, "-o", `gui.column.format:"No.","%m","Score","%Cus:ai.anomaly.score"`, "-r", path)
			var stderr strings.Builder
			wireshark.Stderr = &stderr
			if err := wireshark.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = wireshark.Process.Signal(syscall.SIGTERM)
				if err := wireshark.Wait(); err == nil || err.Error() != "signal: terminated" {
					t.Errorf("Wireshark ended before it was told to: %v: %s", err, stderr.String())
				}
			})
		}
		for range 4 {
			all.Go(func() {
				if got := s.verdicts(t, path); got != want {
					t.Error(firstDifference(want, got))
				}
			})
		}
		all.Wait()
		for range 600 {
			if n, _ := asked(t, address); n >= 6 {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		n, _ := asked(t, address)
		t.Errorf("the annotator had %d sessions, want 6 or more", n)
	})
}

// xvfb starts an X server without a screen and returns its display.
func xvfb(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("Xvfb")
	if err != nil {
		t.Skip("no Xvfb")
	}
	number, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer number.Close()
	server := exec.Command(program, "-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp")
	server.ExtraFiles = []*os.File{writer}
	err = server.Start()
	_ = writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	line, err := bufio.NewReader(number).ReadString('\n')
	if err != nil {
		t.Fatal("Xvfb does not start: ", err)
	}
	return ":" + strings.TrimSpace(line)
}
