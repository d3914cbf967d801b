package lua_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ampulla/lua"

	"github.com/google/go-cmp/cmp"
)

// TestSharkd drives sharkd over its socket. It loads scripts and forks for each
// client, which native code that was there before would not survive.
func TestSharkd(t *testing.T) {
	path, list := demo(t)
	other := own(t, "port_scan_syn.pcapng")
	others := frames(t, other)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		socket := s.sharkdDaemon(t)
		first, second := dialSharkd(t, socket), dialSharkd(t, socket)
		first.load(t, path)
		second.load(t, other)
		first.compare(t, list)
		second.compare(t, others)
		first.load(t, other)
		first.compare(t, others)
		second.load(t, path)
		second.compare(t, list)
	})
}

// TestForked has another script load the module before sharkd forks: in the child
// it refuses to work, and says why.
func TestForked(t *testing.T) {
	path, list := demo(t)
	const early = `package.loadlib(os.getenv("AMPULLA_NATIVE"), "luaopen_ampulla")()`
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		s.install(t)
		if err := os.WriteFile(filepath.Join(s.home, ".local/lib/wireshark/plugins/early.lua"), []byte(early), 0o644); err != nil {
			t.Fatal(err)
		}
		client := dialSharkd(t, s.sharkdDaemon(t))
		client.load(t, path)
		want := ""
		for i := range list {
			want += fmt.Sprintln(i+1, "native module: loaded before a fork")
		}
		if difference := firstDifference(want, client.frames(t, map[string]any{"column0": "ai.status:1"})); difference != "" {
			t.Error(difference)
		}
	})
}

// TestSharkdConsole drives sharkd over its standard input.
func TestSharkdConsole(t *testing.T) {
	path, list := demo(t)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		cmd := s.sharkd(t, "-")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		client := &sharkdClient{w: stdin, r: bufio.NewReader(stdout)}
		client.load(t, path)
		client.compare(t, list)
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("sharkd ends with %v", err)
		}
	})
}

// sharkd returns the sharkd beside s. It has no option for scripts or
// preferences: they go into files.
func (s *shark) sharkd(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	beside := *s
	beside.path = filepath.Join(filepath.Dir(s.path), "sharkd")
	if _, err := os.Stat(beside.path); err != nil {
		t.Skip(err)
	}
	s.install(t)
	return beside.command(args...)
}

// install puts ai.lua into the folder of personal plugins, and what tests are
// patient with into the preferences.
func (s *shark) install(t testing.TB) {
	t.Helper()
	script, err := os.ReadFile(s.script)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, s.home, map[string]string{
		".local/lib/wireshark/plugins/ai.lua":     string(script),
		".local/lib/wireshark/plugins/ai_ask.lua": lua.Asker,
		".config/wireshark/preferences":           strings.Replace(patient[1], ":", ": ", 1) + "\n",
	})
}

// sharkdDaemon starts sharkd in the background and returns its socket.
func (s *shark) sharkdDaemon(t testing.TB) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "sharkd.sock")
	cmd := s.sharkd(t, "-a", "unix:"+socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it forks is in the group
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); _ = cmd.Wait() })
	return socket
}

// sharkdClient speaks JSON-RPC with a sharkd.
type sharkdClient struct {
	w     io.Writer
	r     *bufio.Reader
	calls int
}

func dialSharkd(t testing.TB, socket string) *sharkdClient {
	t.Helper()
	var conn net.Conn
	err := os.ErrNotExist
	for i := 0; i < 400 && err != nil; i++ {
		if conn, err = net.Dial("unix", socket); err != nil {
			time.Sleep(50 * time.Millisecond)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return &sharkdClient{w: conn, r: bufio.NewReader(conn)}
}

// call calls a method, and takes in its result.
func (c *sharkdClient) call(t testing.TB, method string, params map[string]any, result any) {
	t.Helper()
	c.calls++
	request, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.calls, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.w.Write(append(request, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err := c.r.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal(line, &answer); err != nil || answer.Result == nil {
		t.Fatalf("%s: %v: %s", method, err, line)
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		t.Fatalf("%s: %v: %s", method, err, line)
	}
}

func (c *sharkdClient) load(t testing.TB, path string) {
	t.Helper()
	var result struct{ Status string }
	if c.call(t, "load", map[string]any{"file": path}, &result); result.Status != "OK" {
		t.Fatalf("load %s: %s", path, result.Status)
	}
}

// compare compares the frames of the capture that is loaded: columns of each,
// which of them pass a filter, and the details of the one in the middle.
func (c *sharkdClient) compare(t testing.TB, list []judged) {
	t.Helper()
	want := ""
	for i, f := range list {
		want += fmt.Sprintln(i+1, f["ai.anomaly.score"], f["ai.class"])
	}
	got := c.frames(t, map[string]any{"column0": "ai.anomaly.score:1", "column1": "ai.class:1"})
	if difference := firstDifference(want, got); difference != "" {
		t.Errorf("columns: %s", difference)
	}
	filter := "ai.anomaly.score > 0.8" + strings.Repeat(" ", c.calls) // by its text, 4.0 keeps the result beyond a load
	got = c.frames(t, map[string]any{"column0": "ai.flow:1", "filter": filter})
	want = ""
	for i, f := range list {
		if flagged(f) {
			want += fmt.Sprintln(i+1, f["ai.flow"])
		}
	}
	if difference := firstDifference(want, got); difference != "" {
		t.Errorf("filter: %s", difference)
	}
	c.compareDetails(t, len(list)/2+1, list)
}

// frames returns a line for each frame: its number and its columns.
func (c *sharkdClient) frames(t testing.TB, params map[string]any) string {
	t.Helper()
	var frames []struct {
		Columns []string `json:"c"`
		Number  int      `json:"num"`
	}
	c.call(t, "frames", params, &frames)
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintln(&b, f.Number, strings.Join(f.Columns, " "))
	}
	return b.String()
}

// compareDetails compares the tree of a frame, by the filters of its items. The
// last packet of its incident is one that comes later, or itself.
func (c *sharkdClient) compareDetails(t testing.TB, number int, list []judged) {
	t.Helper()
	type node struct {
		Label  string `json:"l"`
		Filter string `json:"f"`
		Nodes  []node `json:"n"`
	}
	var details struct{ Tree []node }
	c.call(t, "frame", map[string]any{"frame": number, "proto": true}, &details)
	f, last := list[number-1], 0
	got := map[string]bool{}
	for _, n := range details.Tree {
		if n.Label != "AI: "+f.headline() {
			continue
		}
		for _, item := range n.Nodes {
			if end, ok := strings.CutPrefix(item.Filter, "ai.incident.last == "); ok {
				last, _ = strconv.Atoi(end)
				continue
			}
			if strings.HasPrefix(item.Filter, "ai.") && !strings.HasPrefix(item.Filter, "ai.expert.") {
				got[item.Filter] = true
			}
		}
	}
	want := map[string]bool{}
	for field, value := range f {
		switch field {
		case "ai.class.confidence", "ai.anomaly.score", "ai.flow", "ai.incident", "ai.incident.first":
		default:
			value = `"` + value + `"`
		}
		want[field+" == "+value] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frame %d: %s", number, diff)
	}
	const incident = "ai.incident"
	if f[incident] == "" && last == 0 {
		return
	}
	if last < number || last > len(list) || list[last-1][incident] != f[incident] {
		t.Errorf("frame %d of incident %q: its last frame so far is %d", number, f[incident], last)
	}
}
