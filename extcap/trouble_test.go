package main

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ampulla/annotator/pcapng"
	"ampulla/extcap/toolbar"
)

// TestTrouble does to a running capture what should not happen. Frames captured
// before are kept, and no process is left.
func TestTrouble(t *testing.T) {
	n := newNetwork(t)
	n.play(n.a, "datagrams "+addressB+":9")
	for _, tt := range []struct {
		name string
		do   func(p *process)
		say  string // by tshark
	}{
		{"Ctrl-C", func(p *process) { _ = p.Process.Signal(syscall.SIGINT) }, "packets captured"},
		{"SIGTERM to the capture program", func(*process) { n.signal(syscall.SIGTERM, "ampulla-extcap") }, "packets captured"},
		{"SIGINT to the capture program", func(*process) { n.signal(syscall.SIGINT, "ampulla-extcap") }, "packets captured"},
		{"SIGKILL to the capture program", func(*process) { n.signal(syscall.SIGKILL, "ampulla-extcap") }, "packets captured"},
		{"SIGKILL to dumpcap", func(*process) { n.signal(syscall.SIGKILL, "-q\x00-w\x00-\x00", "veth0") }, "dumpcap was ended by a signal (killed)"},
		{"the fifo is closed", func(*process) { n.signal(syscall.SIGKILL, "dumpcap", "wireshark_extcap_ai") }, "dumpcap process died: Killed"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			out := n.path("out.pcapng")
			_ = os.Remove(out)
			p := n.tshark("-w", out)
			n.captured(out, 20)
			before := n.frames(out)
			tt.do(p)
			n.end(p)
			n.noOrphans()
			n.until("dumpcap has ended", func() bool { return len(n.processes("-q\x00-w\x00-\x00", "veth0")) == 0 })
			if after := n.frames(out); len(after) < len(before) || !slices.Equal(after[:len(before)], before) {
				t.Errorf("%d frames of %d are left", len(after), len(before))
			}
			if !strings.Contains(p.said.String(), tt.say) {
				t.Errorf("tshark says %s", &p.said)
			}
		})
	}
}

// TestForsaken kills tshark and its dumpcap while there is nothing to capture: no
// frame tells the capture program that nobody reads any more.
func TestForsaken(t *testing.T) {
	n := newNetwork(t)
	for _, words := range [][]string{{"dumpcap", "wireshark_extcap_ai"}, {"tshark\x00-i\x00ai"}} {
		p := n.tshark("-w", n.path("out.pcapng"))
		n.captured(n.path("out.pcapng"), 0)
		n.until("it captures", func() bool { return len(n.processes("-q\x00-w\x00-\x00", "veth0")) == 1 })
		n.signal(syscall.SIGKILL, words...)
		n.end(p)
		n.noOrphans()
		n.until("dumpcap has ended", func() bool { return len(n.processes("-q\x00-w\x00-\x00", "veth0")) == 0 })
		for _, pid := range n.processes("dumpcap", "wireshark_extcap_ai") { // tshark's own does not notice
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = os.Remove(n.path("out.pcapng"))
	}
}

// TestAnnotatorKilled kills the annotator amid a capture: frames go on, and soon
// have verdicts again.
func TestAnnotatorKilled(t *testing.T) {
	n := newNetwork(t)
	n.play(n.a, "datagrams "+addressB+":9")
	out := n.path("out.pcapng")
	p := n.tshark("-w", out, "-o", "extcap.ai.comments:all")
	n.captured(out, 20)
	n.signal(syscall.SIGKILL, n.path("ampulla"), "serve")
	n.until("the annotator is back", func() bool { return len(n.processes(n.path("ampulla"), "serve")) == 1 })
	n.captured(out, len(n.frames(out))+500)
	n.stop(p)
	n.noOrphans()
	lines := strings.Split(strings.TrimSpace(n.comments(out)), "\n")
	judged := strings.Count(strings.Join(lines, "\n"), "ai/1 class=")
	if judged < 400 || judged == len(lines) || !strings.Contains(lines[len(lines)-1], "ai/1 class=") {
		t.Errorf("%d of %d frames have a verdict; the last one: %q", judged, len(lines), lines[len(lines)-1])
	}
}

// TestControlPipe closes the pipe by which Wireshark speaks, amid a replay that
// would take minutes: the capture ends.
func TestControlPipe(t *testing.T) {
	l := newLab(t)
	fifo, in, out := l.path("fifo"), l.path("in"), l.path("out")
	for _, path := range []string{fifo, in, out} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := l.command(l.path(".config/wireshark/extcap/ampulla-extcap"), "--capture", "--extcap-interface", "ai", "--fifo", fifo,
		"--extcap-control-in", in, "--extcap-control-out", out, "--replay", capturePath("demo"), "--threshold", "0.7")
	var said bytes.Buffer
	program.Stderr = &said
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	open := func(path string, flag int) *os.File {
		pipe, err := os.OpenFile(path, flag, 0) // waits for the program
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pipe.Close() })
		return pipe
	}
	control, answers := open(in, os.O_WRONLY), open(out, os.O_RDONLY)
	if _, err := control.Write(toolbar.Message{Command: toolbar.Initialized}.Append(nil)); err != nil {
		t.Fatal(err)
	}
	capture := open(fifo, os.O_RDONLY)
	if m, err := toolbar.Read(answers); err != nil || m.Command != toolbar.Set || string(m.Payload) != "0.7" {
		t.Errorf("the toolbar is told %+v, %v", m, err)
	}
	reader, frames := pcapng.NewReader(capture), 0
	for {
		b, err := reader.Next()
		if err != nil {
			break // the end of it
		}
		if b.IsFrame() {
			if frames++; frames == 1 {
				_ = control.Close()
			}
		}
	}
	if all := len(l.frames(capturePath("demo"))); frames == 0 || frames == all {
		t.Errorf("%d frames of %d", frames, all)
	}
	if err := program.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("it ends with %v: %s", err, &said)
	}
}

// looked tells that tshark looked for the words of an error before they were there,
// as a busy one may, and shows "tshark: ".
func looked(said string) bool { return strings.Contains(said, "\ntshark: \n") }

// TestDiskFull captures into a file system that is soon full, named from the
// folder that tshark runs in.
func TestDiskFull(t *testing.T) {
	n := newNetwork(t)
	small := n.path("small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=600k"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	n.play(n.a, "datagrams "+addressB+":9")
	out, said := n.path("small/out.pcapng"), ""
	for range 3 {
		_ = os.Remove(out)
		p := n.tshark("-w", "small/out.pcapng", "-f", "udp", "-o", "extcap.ai.comments:all")
		n.end(p)
		n.noOrphans()
		n.until("dumpcap has ended", func() bool { return len(n.processes("-q\x00-w\x00-\x00", "veth0")) == 0 })
		if said = p.said.String(); !looked(said) {
			break
		}
	}
	if !strings.Contains(said, "no space left to save the capture in "+small) {
		t.Errorf("tshark says %s", said)
	}
	// All of the file is valid.
	n.must(n.command("tshark", "-n", "-r", out))
	if frames := n.frames(out); len(frames) < 20 {
		t.Errorf("%d frames are left", len(frames))
	}
}

// TestNoDumpcap starts a capture where there is none.
func TestNoDumpcap(t *testing.T) {
	l := newLab(t)
	path, err := exec.LookPath("dumpcap")
	if err != nil {
		t.Fatal(err)
	}
	hide := "mount --bind /dev/null " + path + " || exit 77; exec .config/wireshark/extcap/ampulla-extcap --capture --extcap-interface ai --fifo none"
	program := l.command("unshare", "--mount", "--map-root-user", "sh", "-c", hide)
	out, err := program.CombinedOutput()
	if program.ProcessState == nil || program.ProcessState.ExitCode() != 1 {
		t.Skipf("no dumpcap can be hidden here: %v: %s", err, out)
	}
	const want = "ampulla-extcap: error: dumpcap, the program by which Wireshark captures, is not installed\n" +
		"ampulla-extcap: hint: install it with Wireshark or tshark; on Debian: sudo apt install wireshark-common\n"
	if string(out) != want {
		t.Errorf("it says %s", out)
	}
}

// TestStranger captures as a user who may not.
func TestStranger(t *testing.T) {
	l := newLab(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip(err)
	}
	stranger := l.command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
		".config/wireshark/extcap/ampulla-extcap", "--capture", "--extcap-interface", "ai", "--interface", "lo", "--fifo", "none")
	out, err := stranger.CombinedOutput()
	for _, want := range []string{"ampulla-extcap: error: ", "ampulla-extcap: hint: ", "the group wireshark", "sudo usermod -aG wireshark "} {
		if err == nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("it does not say %q: %v: %s", want, err, out)
		}
	}
}
