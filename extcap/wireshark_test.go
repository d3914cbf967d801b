package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/pcapng"
)

// The tests in this file and the next ones run the real tshark and the real
// programs. lab is what they need: a home folder with our programs in it.
type lab struct {
	t    *testing.T
	home string
	env  []string
	life context.Context
}

// newLab builds both programs and puts the capture program, and ai.lua, where
// tshark looks for them. As labs have nothing in common and mostly wait, the test
// runs beside others.
func newLab(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	for _, tool := range []string{"tshark", "dumpcap", "go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	l := &lab{t: t, home: t.TempDir()}
	var cancel context.CancelFunc
	l.life, cancel = context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	extcaps := []string{l.path(".config/wireshark/extcap"), l.path(".local/lib/wireshark/extcap")}
	plugins := l.path(".local/lib/wireshark/plugins")
	run := l.path("run")
	for _, dir := range append(extcaps, plugins, run) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	built, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	annotator := l.path("ampulla")
	links := map[string]string{annotator: "ampulla"}
	for _, dir := range extcaps {
		links[filepath.Join(dir, "ampulla-extcap")] = "ampulla-extcap"
	}
	for to, from := range links {
		if err := os.Link(filepath.Join(built, from), to); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile("../lua/ai.lua")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plugins, "ai.lua"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(os.Environ(), "HOME="+l.home, "XDG_CONFIG_HOME="+l.path(".config"), "XDG_RUNTIME_DIR="+run,
		"AMPULLA="+annotator, "LC_ALL=C.UTF-8", "TZ=UTC")
	if out, err := l.command(annotator, "annotate", "--verdicts", "-", capturePath("demo")).CombinedOutput(); err != nil {
		t.Skipf("the models do not run here: %v: %.200s", err, out)
	}
	t.Cleanup(l.endAnnotator)
	return l
}

// programs builds both programs, once, in a folder that TestMain removes.
var programs = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("ampulla-extcap-test-%d", os.Getpid()))
	for name, folder := range map[string]string{"ampulla": "../annotator", "ampulla-extcap": "."} {
		build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, name), folder)
		if name == "ampulla-extcap" {
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%q: %w: %s", build.Args, err, out)
		}
	}
	return dir, nil
})

// tidy removes what programs made.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	code := m.M.Run()
	_ = os.RemoveAll(filepath.Join(os.TempDir(), fmt.Sprintf("ampulla-extcap-test-%d", os.Getpid())))
	return code
}

func (l *lab) path(name string) string { return filepath.Join(l.home, filepath.FromSlash(name)) }

// capturePath returns the path of a capture of the project's own.
func capturePath(name string) string {
	path, _ := filepath.Abs("../testdata/captures/" + name + ".pcapng")
	return path
}

// command returns a command in the lab, which is killed when the test takes for
// ever.
func (l *lab) command(name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(l.life, name, args...)
	command.Env, command.Dir = l.env, l.home
	return command
}

// must runs a command that has to succeed, and returns what it prints.
func (l *lab) must(command *exec.Cmd) string {
	l.t.Helper()
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		l.t.Fatalf("%q: %v: %s", command.Args, err, &stderr)
	}
	return string(out)
}

// processes returns the running processes of the lab whose command line holds
// all words, by number.
func (l *lab) processes(words ...string) []int {
	var found []int
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
next:
	for _, path := range lines {
		text, _ := os.ReadFile(path)
		for _, word := range words {
			if !bytes.Contains(text, []byte(word)) {
				continue next
			}
		}
		environment, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && bytes.Contains(environment, []byte("\x00HOME="+l.home+"\x00")) {
			found = append(found, pid)
		}
	}
	return found
}

// signal sends a signal to the only process whose command line holds all words.
func (l *lab) signal(s syscall.Signal, words ...string) {
	l.t.Helper()
	found := l.processes(words...)
	if len(found) != 1 {
		l.t.Fatalf("%d processes like %q", len(found), words)
	}
	if err := syscall.Kill(found[0], s); err != nil {
		l.t.Fatal(err)
	}
}

// endAnnotator ends the annotator that the capture program has started.
func (l *lab) endAnnotator() {
	for _, pid := range l.processes(l.path("ampulla"), "serve") {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// until waits until done; the test fails when that takes for ever.
func (l *lab) until(what string, done func() bool) {
	l.t.Helper()
	for l.life.Err() == nil {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.t.Fatalf("waited too long until %s", what)
}

// noOrphans waits until no process of the capture is left.
func (l *lab) noOrphans() {
	l.t.Helper()
	l.until("the capture program has ended", func() bool { return len(l.processes("ampulla-extcap")) == 0 })
}

// frame is what has to stay as it is.
type frame struct {
	time int64
	data string
}

// frames returns the frames of a capture; it may be cut.
func (l *lab) frames(path string) []frame {
	l.t.Helper()
	file, err := os.Open(path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	var list []frame
	for r := pcapng.NewReader(file); ; {
		b, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, pcapng.ErrTruncated) {
			return list
		}
		if err != nil {
			l.t.Fatal(err)
		}
		if b.IsFrame() {
			list = append(list, frame{b.Time, string(b.Data())})
		}
	}
}

// comments returns the comments of each frame of a capture.
func (l *lab) comments(path string) string {
	l.t.Helper()
	return l.must(l.command("tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e", "frame.comment"))
}

// TestReplay captures saved captures by tshark. Verdicts and frames are those of
// annotate, fields are there while it captures, and the options work.
func TestReplay(t *testing.T) {
	l := newLab(t)
	demo := capturePath("demo")
	out := l.path("out.pcapng")
	replay := func(args ...string) string {
		t.Helper()
		args = append([]string{"-i", "ai", "-o", "extcap.ai.replay:" + demo, "-o", "extcap.ai.speed:max"}, args...)
		return l.must(l.command("tshark", args...))
	}
	annotated := l.path("annotated.pcapng")
	l.must(l.command(l.path("ampulla"), "annotate", demo, annotated))
	want := l.comments(annotated)

	replay("-w", out)
	l.noOrphans()
	if got, want := l.frames(out), l.frames(demo); len(got) != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d frames instead of %d, or others", len(got), len(want))
	}
	if got := l.comments(out); got != want {
		t.Error("comments are not those of annotate")
	}
	for _, text := range []string{"ai/1 provenance=ampulla", "ai/1 statistics=capture frames="} {
		if !strings.Contains(l.raw(out), text) {
			t.Errorf("the capture does not hold %q", text)
		}
	}

	flagged := strings.Count(want, "ai/1")
	fields := []string{"-T", "fields", "-e", "frame.number", "-e", "ai.anomaly.score", "-e", "ai.anomaly.type", "-e", "ai.source"}
	lines := strings.Split(strings.TrimSpace(replay(append(fields, "-Y", "ai.anomaly.score > 0.8")...)), "\n")
	if len(lines) != flagged || flagged == 0 || !strings.HasSuffix(lines[0], "\tcomment") {
		t.Errorf("%d frames pass the filter, want %d: %s", len(lines), flagged, lines[0])
	}
	if all := strings.Count(replay("-o", "extcap.ai.comments:all", "-T", "fields", "-e", "ai.class", "-Y", "ai.class"), "\n"); all != len(l.frames(demo)) {
		t.Errorf("%d frames have a comment", all)
	}
	replay("-w", out, "-o", "extcap.ai.onlyflagged:true", "-o", "extcap.ai.context:0")
	if got := l.frames(out); len(got) != flagged {
		t.Errorf("%d frames are left, want %d", len(got), flagged)
	}
	replay("-w", out, "-o", "extcap.ai.onlyflagged:true", "-o", "extcap.ai.threshold:1", "-o", "extcap.ai.comments:none")
	if got := l.frames(out); len(got) != 0 {
		t.Errorf("%d frames score more than 1", len(got))
	}
}

// TestReplayBaseline measures a saved capture against a baseline, with the verdicts
// of annotate, and with a threshold that the baseline chooses.
func TestReplayBaseline(t *testing.T) {
	l := newLab(t)
	demo, office, out, annotated := capturePath("demo"), l.path("office.baseline"), l.path("out.pcapng"), l.path("annotated.pcapng")
	l.must(l.command(l.path("ampulla"), "baseline", "learn", "--without", "brute_force", demo, "-o", office))
	for _, tt := range [][2][]string{
		{{"--comments", "all"}, {"-o", "extcap.ai.comments:all"}},
		{{"--alarms-per-hour", "30"}, {"-o", "extcap.ai.alarms:30"}},
	} {
		l.must(l.command(l.path("ampulla"), append([]string{"annotate", "--baseline", office, demo, annotated}, tt[0]...)...))
		l.must(l.command("tshark", append([]string{"-i", "ai", "-o", "extcap.ai.replay:" + demo, "-o", "extcap.ai.speed:max",
			"-o", "extcap.ai.baseline:" + office, "-w", out}, tt[1]...)...))
		want, got := l.comments(annotated), l.comments(out)
		if got != want || !strings.Contains(want, "type=brute_force") {
			t.Errorf("%q: comments are not those of annotate", tt[1])
		}
		provenance := regexp.MustCompile(`ai/1 provenance=\S+ .* threshold=\S+ .* baseline=[0-9a-f]{16}`)
		if got, want := provenance.FindString(l.raw(out)), provenance.FindString(l.raw(annotated)); got != want || want == "" {
			t.Errorf("%q, where annotate has %q", got, want)
		}
	}
	l.noOrphans()
}

// raw returns a file as it is.
func (l *lab) raw(path string) string {
	l.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// otherWiresharks returns the paths of tshark in the Wiresharks that
// lua/wireshark.sh has fetched, and skips the test if there are none.
func otherWiresharks(t *testing.T) []string {
	t.Helper()
	cache := os.Getenv("AMPULLA_WIRESHARKS")
	if cache == "" {
		dir, _ := os.UserCacheDir()
		cache = filepath.Join(dir, "ampulla-wireshark")
	}
	paths, _ := filepath.Glob(filepath.Join(cache, "*", "tshark"))
	if len(paths) == 0 {
		t.Skip("no other Wireshark; lua/wireshark.sh fetches some")
	}
	return paths
}

// TestVersions replays with the Wiresharks that lua/wireshark.sh has fetched.
// They run as another user in a namespace of their own, so that the annotator
// has to be there already.
func TestVersions(t *testing.T) {
	paths := otherWiresharks(t)
	l := newLab(t)
	socket := l.path("run/a.sock")
	serve := l.command(l.path("ampulla"), "serve", "--socket", socket)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Signal(syscall.SIGTERM); _ = serve.Wait() })
	l.until("the annotator is there", func() bool { _, err := os.Stat(socket); return err == nil })
	demo := l.path("demo.pcapng")
	text, err := os.ReadFile(capturePath("demo"))
	if err == nil {
		err = os.WriteFile(demo, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			if !strings.Contains(l.must(l.command(path, "-D")), "ai (AI capture)") {
				t.Error("the interface is not listed")
			}
			out := l.must(l.command(path, "-i", "ai", "-o", "extcap.ai.replay:"+demo, "-o", "extcap.ai.speed:max",
				"-o", "extcap.ai.annotator:unix:"+socket, "-T", "fields", "-e", "frame.comment", "-Y", `frame.comment contains "ai/1 class"`))
			if strings.Count(out, "ai/1") == 0 {
				t.Error("no frame is flagged")
			}
		})
	}
}

// TestErrorsInTshark checks that tshark says what is wrong, and nothing stays.
func TestErrorsInTshark(t *testing.T) {
	l := newLab(t)
	for option, want := range map[string]string{
		"extcap.ai.interface:nosuch0":     `There is no device named "nosuch0"`,
		"extcap.ai.filter:tcp foo":        `Invalid capture filter "tcp foo"`,
		"extcap.ai.threshold:7":           "--threshold 7: not a number from 0 to 1",
		"extcap.ai.replay:/nonexistent":   "open /nonexistent: no such file or directory",
		"extcap.ai.baseline:/dev/null":    "/dev/null is not a regular file",
		"extcap.ai.alarms:1":              "alarms_per_hour: there is no baseline that tells",
		"extcap.ai.annotator:http://here": "is neither unix:<path> nor tcp:",
	} {
		if strings.Contains(option, "filter") && os.Geteuid() != 0 {
			continue // only those who may capture learn it
		}
		var out []byte
		for range 3 {
			if out, _ = l.command("tshark", "-i", "ai", "-o", option, "-c", "1").CombinedOutput(); !looked(string(out)) {
				break
			}
		}
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: %s", option, out)
		}
		l.noOrphans()
	}
}

// TestStubbornDumpcap checks that a dumpcap which does not end when it is told to
// has to, and that what it captured has arrived.
func TestStubbornDumpcap(t *testing.T) {
	l := newLab(t)
	script := fmt.Sprintf("#!/bin/sh\ntrap '' TERM\ncat %s\nwhile :; do sleep 0.1; done\n", capturePath("arp_spoof"))
	if err := os.Mkdir(l.path("bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.path("bin/dumpcap"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	fifo := l.path("fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	program := l.command(l.path(".config/wireshark/extcap/ampulla-extcap"), "--capture", "--extcap-interface", "ai", "--fifo", fifo)
	program.Env = append(program.Env, "PATH="+l.path("bin")+":"+os.Getenv("PATH"))
	var said bytes.Buffer
	program.Stderr = &said
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	want := len(l.frames(capturePath("arp_spoof")))
	frames := 0
	for r := pcapng.NewReader(reader); ; {
		b, err := r.Next()
		if err != nil {
			break // it ends where the program was ended
		}
		if b.IsFrame() {
			if frames++; frames == want {
				_ = program.Process.Signal(syscall.SIGTERM)
			}
		}
	}
	if err := program.Wait(); err != nil || said.Len() > 0 || frames != want {
		t.Errorf("%d frames of %d, %v: %s", frames, want, err, &said)
	}
	if left := l.processes(l.path("bin/dumpcap")); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// TestNobodyReads ends a capture that waits for somebody to read the fifo.
func TestNobodyReads(t *testing.T) {
	l := newLab(t)
	fifo := l.path("fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	program := l.command(l.path(".config/wireshark/extcap/ampulla-extcap"), "--capture", "--extcap-interface", "ai",
		"--fifo", fifo, "--replay", capturePath("demo"))
	var said bytes.Buffer
	program.Stderr = &said
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	l.until("it has asked for the annotator", func() bool { return len(l.processes(l.path("ampulla"), "serve")) == 1 })
	_ = program.Process.Signal(syscall.SIGTERM)
	if err := program.Wait(); err != nil || said.Len() > 0 {
		t.Errorf("%v: %s", err, &said)
	}
}

// role, in the environment, makes the test program a part of the lab.
const role = "AMPULLA_TEST_ROLE"

// play plays a part of the lab, if the environment says so: a web server, or
// somebody who sends datagrams for ever.
func play() {
	switch part, address, _ := strings.Cut(os.Getenv(role), " "); part {
	case "web":
		page := bytes.Repeat([]byte("page "), 2000)
		_ = http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) }))
	case "datagrams":
		conn, err := net.Dial("udp", address)
		for n := 0; err == nil; n++ {
			_, _ = fmt.Fprintf(conn, "datagram %d %01000d", n, n)
			time.Sleep(10 * time.Millisecond)
		}
	default:
		return
	}
	os.Exit(1)
}
