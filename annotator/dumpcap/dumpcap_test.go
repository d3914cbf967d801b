package dumpcap_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/pcapng"
)

// installed returns the dumpcap of this machine, which has to be able to capture
// from the loopback interface lo.
func installed(t *testing.T) dumpcap.Program {
	t.Helper()
	program, err := dumpcap.Find()
	if err != nil {
		t.Skip(err)
	}
	capture, err := program.Start(t.Context(), dumpcap.Config{Interfaces: []string{"lo"}})
	if err != nil {
		t.Skip(err)
	}
	_ = capture.Close()
	return program
}

// script makes a dumpcap of a shell script.
func script(t *testing.T, text string) dumpcap.Program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dumpcap")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return dumpcap.Program(path)
}

// send sends one datagram of a known text to a port where nobody listens.
func send(t *testing.T, text string) {
	t.Helper()
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(text)) // the answer to an earlier one may be an error
}

func TestCapture(t *testing.T) {
	program := installed(t)
	capture, err := program.Start(t.Context(), dumpcap.Config{
		Interfaces: []string{"lo"}, Filter: "udp dst port 9", SnapLen: 60, BufferMB: 4, NoPromiscuous: true, TimestampType: "host"})
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	send(t, "first")
	send(t, strings.Repeat("second", 100))
	var texts []string
	statistics := 0
	for reader := pcapng.NewReader(capture); ; {
		b, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.IsFrame() {
			if len(b.Data()) > 60 {
				t.Errorf("frame of %d bytes", len(b.Data()))
			}
			texts = append(texts, string(b.Data()[42:])) // behind Ethernet, IPv4 and UDP
		}
		if b.Type == pcapng.TypeStatistics {
			statistics++
		}
		if len(texts) == 2 {
			capture.Stop()
		}
	}
	if len(texts) != 2 || texts[0] != "first" || texts[1] != strings.Repeat("second", 3) {
		t.Errorf("captured %q", texts)
	}
	if statistics == 0 {
		t.Error("no statistics at the end")
	}
}

// TestLimits lets captures end by themselves.
func TestLimits(t *testing.T) {
	program := installed(t)
	for name, cfg := range map[string]dumpcap.Config{
		"packets": {MaxPackets: 3},
		"bytes":   {MaxBytes: 1},
		"seconds": {MaxSeconds: 1},
	} {
		cfg.Interfaces, cfg.Filter = []string{"lo"}, "udp dst port 9"
		capture, err := program.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer capture.Close()
		packets, over := 0, make(chan struct{})
		go func() {
			defer close(over)
			for reader := pcapng.NewReader(capture); ; {
				b, err := reader.Next()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if b.IsFrame() {
					packets++
				}
			}
		}()
		for going := true; going; {
			send(t, strings.Repeat("x", 1000))
			select {
			case <-over:
				going = false
			case <-time.After(10 * time.Millisecond):
			}
		}
		if name == "packets" && packets != 3 || packets == 0 {
			t.Errorf("%s: %d packets", name, packets)
		}
	}
}

func TestErrors(t *testing.T) {
	program := installed(t)
	for _, tt := range []struct {
		name string
		cfg  dumpcap.Config
		kind error
		text string
	}{
		{"interface", dumpcap.Config{Interfaces: []string{"nosuch0"}}, dumpcap.ErrInterface,
			`There is no device named "nosuch0" (No such device exists)`},
		{"one of two", dumpcap.Config{Interfaces: []string{"lo", "nosuch0"}}, dumpcap.ErrInterface,
			`There is no device named "nosuch0" (No such device exists)`},
		{"filter", dumpcap.Config{Interfaces: []string{"lo"}, Filter: "tcp foo"}, dumpcap.ErrFilter,
			`Invalid capture filter "tcp foo" for interface 'lo' (can't parse filter expression: syntax error)`},
		{"monitor mode", dumpcap.Config{Interfaces: []string{"lo"}, Monitor: true}, dumpcap.ErrInterface,
			`Capturing in monitor mode is not supported on device "lo" (That device doesn't support monitor mode)`},
		{"time stamps", dumpcap.Config{Interfaces: []string{"lo"}, TimestampType: "sundial"}, dumpcap.ErrFailed,
			`Invalid argument to option: --time-stamp-type=sundial`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			capture, err := program.Start(t.Context(), tt.cfg)
			if err == nil {
				_ = capture.Close()
			}
			check(t, err, tt.kind, tt.text)
		})
	}
	check(t, program.CheckFilter(t.Context(), "lo", "tcp foo"), dumpcap.ErrFilter,
		`Invalid capture filter "tcp foo" for interface 'lo' (can't parse filter expression: syntax error)`)
	check(t, program.CheckFilter(t.Context(), "nosuch0", "tcp"), dumpcap.ErrInterface,
		`There is no device named "nosuch0" (No such device exists)`)
	for _, filter := range []string{"", "tcp port 80 or not udp"} {
		if err := program.CheckFilter(t.Context(), "lo", filter); err != nil {
			t.Errorf("%q: %v", filter, err)
		}
	}
	if c, err := program.Capabilities(t.Context(), "nosuch0"); !errors.Is(err, dumpcap.ErrInterface) {
		t.Errorf("capabilities: %+v, %v", c, err)
	}
	if list, err := program.TimestampTypes(t.Context(), "nosuch0"); !errors.Is(err, dumpcap.ErrInterface) {
		t.Errorf("time stamps: %+v, %v", list, err)
	}
}

func check(t *testing.T, err, kind error, text string) {
	t.Helper()
	if !errors.Is(err, kind) || err == nil || err.Error() != text {
		t.Errorf("error %q, want %q of kind %q", err, text, kind)
	}
}

func TestLists(t *testing.T) {
	program := installed(t)
	list, err := program.Interfaces(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, i := range list {
		found = found || i.Name == "lo" && i.Loopback && strings.Contains(strings.Join(i.Addresses, " "), "127.0.0.1")
	}
	if !found {
		t.Errorf("no lo in %+v", list)
	}
	c, err := program.Capabilities(t.Context(), "lo")
	if err != nil || len(c.LinkTypes) == 0 || c.LinkTypes[0] != (dumpcap.LinkType{Number: 1, Name: "EN10MB", Description: "Ethernet"}) {
		t.Errorf("capabilities %+v, %v", c, err)
	}
	types, err := program.TimestampTypes(t.Context(), "lo")
	if err != nil || len(types) == 0 || types[0].Name != "host" {
		t.Errorf("time stamps %+v, %v", types, err)
	}
}

// TestKilled checks that whoever reads learns that dumpcap was killed.
func TestKilled(t *testing.T) {
	program := script(t, "echo head; kill -KILL $$")
	capture, err := program.Start(t.Context(), dumpcap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	_, err = io.ReadAll(capture)
	check(t, err, dumpcap.ErrFailed, "dumpcap was ended by a signal (killed)")
}

// TestNoOrphan checks that a dumpcap which does not want to end has to.
func TestNoOrphan(t *testing.T) {
	program := script(t, "trap '' TERM PIPE; echo $$; while :; do read x </dev/zero; done")
	capture, err := program.Start(t.Context(), dumpcap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	capture.Stop()
	text := make([]byte, 20)
	n, err := capture.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := capture.Close(); err != nil {
		t.Error(err)
	}
	pid := strings.TrimSpace(string(text[:n]))
	if _, err := os.Stat("/proc/" + pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("process %s is still there: %v", pid, err)
	}
}

// TestCancelledStart checks that nobody waits for a dumpcap that says nothing.
func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := script(t, "exec sleep 600").Start(ctx, dumpcap.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := script(t, "exec sleep 600").Interfaces(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestPermission runs dumpcap as somebody who may not capture, and what may not
// even be run.
func TestPermission(t *testing.T) {
	program := script(t, `echo "Capturing on 'Loopback: lo'" >&2
echo 'dumpcap: You do not have permission to capture on device "lo".' >&2
echo '(socket: Operation not permitted)' >&2
echo 'Please check to make sure you have sufficient permissions.' >&2
exit 1`)
	_, err := program.Start(t.Context(), dumpcap.Config{})
	check(t, err, dumpcap.ErrPermission, `You do not have permission to capture on device "lo" (socket: Operation not permitted)`)
	checkHint(t, err)
	if os.Geteuid() == 0 {
		return // root may run everything
	}
	if err := os.Chmod(string(program), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = program.Start(t.Context(), dumpcap.Config{})
	check(t, err, dumpcap.ErrPermission, "you may not run "+string(program))
	checkHint(t, err)
}

func checkHint(t *testing.T, err error) {
	t.Helper()
	var e *dumpcap.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	wanted := []string{"group wireshark", "run: ", "log out and in again"}
	if os.Geteuid() == 0 {
		wanted = []string{"--cap-add=NET_RAW"} // who is root needs no group
	}
	for _, want := range wanted {
		if !strings.Contains(e.Hint, want) {
			t.Errorf("hint %q does not say %q", e.Hint, want)
		}
	}
}

// TestStranger runs the real dumpcap as a user without rights.
func TestStranger(t *testing.T) {
	program := installed(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	wrapped := script(t, `exec setpriv --reuid 65534 --regid 65534 --clear-groups `+string(program)+` "$@"`)
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip(err)
	}
	_, err := wrapped.Start(t.Context(), dumpcap.Config{Interfaces: []string{"lo"}})
	if !errors.Is(err, dumpcap.ErrPermission) {
		t.Errorf("start: %v", err)
	}
	if err := wrapped.CheckFilter(t.Context(), "lo", "tcp"); !errors.Is(err, dumpcap.ErrPermission) {
		t.Errorf("filter: %v", err)
	}
}

func TestFind(t *testing.T) {
	program := script(t, "")
	if err := os.Chmod(string(program), 0o100); err != nil { // others may be able to run it
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(string(program)))
	if found, err := dumpcap.Find(); err != nil || found != program {
		t.Errorf("found %q, %v", found, err)
	}
}

// TestOwnGroup checks that the process group of dumpcap is not ours,
// so that Ctrl-C does not end it behind our back.
func TestOwnGroup(t *testing.T) {
	capture, err := script(t, "echo $$; exec sleep 600").Start(t.Context(), dumpcap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	text := make([]byte, 20)
	n, _ := capture.Read(text)
	stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(text[:n])) + "/stat")
	if err != nil {
		t.Skip(err)
	}
	fields := strings.Fields(string(stat)) // pid (comm) state ppid pgrp
	if fields[4] != fields[0] {
		t.Errorf("group %s of process %s", fields[4], fields[0])
	}
}

// TestSlowReader checks that what was captured before Stop can still be read
// after it.
func TestSlowReader(t *testing.T) {
	program := script(t, "trap 'echo tail; exit 0' TERM; echo head; while :; do sleep 0.01; done")
	capture, err := program.Start(t.Context(), dumpcap.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	capture.Stop()
	time.Sleep(50 * time.Millisecond)
	if text, err := io.ReadAll(capture); err != nil || string(text) != "head\ntail\n" {
		t.Errorf("read %q, %v", text, err)
	}
}
