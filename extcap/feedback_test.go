package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"ampulla/extcap/toolbar"
)

// TestToolbarFeedback has the same scan come twice, and says in between, by the
// toolbar, that the first one was normal: the second is not flagged. What the
// rules are is not asked where nobody wants feedback.
func TestToolbarFeedback(t *testing.T) {
	if _, err := exec.LookPath("editcap"); err != nil {
		t.Skip(err)
	}
	l := newLab(t)
	l.must(l.command("editcap", "-t", "300", capturePath("port_scan_syn"), l.path("later.pcapng")))
	for _, path := range []string{"capture", "fifo", "in", "out"} {
		if err := syscall.Mkfifo(l.path(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := l.attach("--comments", "all")
	defer p.end()
	p.play(capturePath("port_scan_syn"))
	p.send(0, toolbar.Initialized, "")
	var number string
	for number == "" {
		if m := p.hear(4, toolbar.Add); strings.Contains(m, ": port scan, ") {
			number, _, _ = strings.Cut(m, "\x00")
		}
	}
	p.send(4, toolbar.Set, number)
	p.send(5, toolbar.Set, "")
	if said := p.hear(0, toolbar.InformationMessage); !strings.HasPrefix(said, "Rule 1, normal: ") || !strings.HasSuffix(said, ", port scan. It holds from now on; ampulla baseline feedback undo 1 takes it back.") {
		t.Error(said)
	}
	p.play(l.path("later.pcapng"))
	first, second := p.halves()
	const scan, suppressed = " type=port_scan ", "suppressed by rule 1 ("
	if n := strings.Count(first, scan); n < 100 || strings.Contains(first, suppressed) {
		t.Errorf("before: %d packets of a scan; suppressed: %v", n, strings.Contains(first, suppressed))
	}
	if n := strings.Count(second, suppressed); n < 100 || strings.Contains(second, scan) {
		t.Errorf("behind: %d packets are suppressed; of a scan: %v", n, strings.Contains(second, scan))
	}

	without := l.attach("--comments", "all", "--nofeedback", "true")
	defer without.end()
	without.play(l.path("later.pcapng"))
	all, _ := without.halves()
	if strings.Count(all, scan) < 100 || strings.Contains(all, suppressed) {
		t.Error("rules count where feedback is left out")
	}
}

// piped is a capture with a toolbar, of what is written to a pipe.
type piped struct {
	*lab
	program           *exec.Cmd
	said              bytes.Buffer
	source            *os.File // what is captured
	control, messages *os.File
	captured          chan []byte
}

// attach starts one.
func (l *lab) attach(options ...string) *piped {
	l.t.Helper()
	p := &piped{lab: l, captured: make(chan []byte, 1)}
	p.program = l.command(l.path(".config/wireshark/extcap/ampulla-extcap"), append([]string{"--capture", "--extcap-interface", "ai", "--fifo", l.path("fifo"),
		"--extcap-control-in", l.path("in"), "--extcap-control-out", l.path("out"), "--replay", l.path("capture"), "--speed", "max"}, options...)...)
	p.program.Stderr = &p.said
	if err := p.program.Start(); err != nil {
		l.t.Fatal(err)
	}
	open := func(name string, flag int) *os.File {
		pipe, err := os.OpenFile(l.path(name), flag, 0) // waits for the program
		if err != nil {
			l.t.Fatal(err)
		}
		return pipe
	}
	p.control, p.messages = open("in", os.O_WRONLY), open("out", os.O_RDONLY)
	p.source = open("capture", os.O_WRONLY)
	go func() {
		capture, err := os.Open(l.path("fifo"))
		if err != nil {
			l.t.Error(err)
			return
		}
		defer capture.Close()
		all, _ := io.ReadAll(capture)
		p.captured <- all
	}()
	return p
}

// play has a saved capture come.
func (p *piped) play(path string) {
	p.t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		_, err = p.source.Write(data)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *piped) send(control byte, command toolbar.Command, payload string) {
	p.t.Helper()
	if _, err := p.control.Write(toolbar.Message{Control: control, Command: command, Payload: []byte(payload)}.Append(nil)); err != nil {
		p.t.Fatal(err)
	}
}

// hear returns the next message to a control.
func (p *piped) hear(control byte, command toolbar.Command) string {
	p.t.Helper()
	for {
		m, err := toolbar.Read(p.messages)
		if err != nil {
			p.t.Fatal(err)
		}
		if m.Control == control && m.Command == command {
			return string(m.Payload)
		}
	}
}

// halves ends the capture and returns its two sections, the second of which may be
// missing.
func (p *piped) halves() (first, second string) {
	p.t.Helper()
	_ = p.source.Close()
	all := string(<-p.captured)
	const header = "\x0a\x0d\x0d\x0a"
	at := strings.Index(all[1:], header) + 1
	if at <= 0 {
		return all, ""
	}
	return all[:at], all[at:]
}

// end waits for the program.
func (p *piped) end() {
	p.t.Helper()
	_ = p.source.Close()
	_ = p.control.Close()
	if err := p.program.Wait(); err != nil || p.said.Len() > 0 {
		p.t.Errorf("it ends with %v: %s", err, &p.said)
	}
	_ = p.messages.Close()
}
