package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"ampulla/grpc/client"
)

// TestMCP lets the SDK's own client investigate a capture over both transports,
// with every tool: it has to end at the frames that the labels call an attack.
func TestMCP(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // where feedback is kept
	dir := t.TempDir()
	copyFile(t, filepath.Join(dir, "demo.pcapng"), "../testdata/captures/demo.pcapng")
	t.Run("stdio", func(t *testing.T) {
		_, socket := startServe(t)
		command := exec.Command(buildProgram(t), "mcp", "--folder", dir)
		command.Env = append(os.Environ(), "AMPULLA_SOCKET="+socket, "XDG_CONFIG_HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir())
		command.Stderr = os.Stderr
		investigate(t, &mcp.CommandTransport{Command: command}, dir)
	})
	t.Run("http", func(t *testing.T) {
		url, _ := startHTTP(t, "--folder", dir)
		client := &http.Client{Transport: authorized{readTestToken(t)}}
		investigate(t, &mcp.StreamableClientTransport{Endpoint: url + "/mcp", HTTPClient: client}, dir)
		if _, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url + "/mcp"}, nil); err == nil {
			t.Error("connected without a token")
		}
	})
}

// TestMCPConfig has the annotator that it starts, and reports, read the file that
// was named.
func TestMCPConfig(t *testing.T) {
	dir := t.TempDir()
	copyFile(t, filepath.Join(dir, "shop.pcapng.zst"), "../testdata/shop/none_http1.pcapng.zst")
	file := "limits: {max_sessions: 7}\nlisteners: {socket: run/a.sock, idle: 1s}\nweb: {slow: 50ms}\n"
	if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(buildProgram(t), "mcp", "--folder", ".", "--config", "mine.yaml")
	command.Dir, command.Stderr = dir, os.Stderr
	command.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir())
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), &mcp.CommandTransport{Command: command}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	conn := dial(t, client.Config{Address: "unix:" + filepath.Join(dir, "run", "a.sock"), Program: client.NoStart})
	if info, err := client.Info(t.Context(), conn); err != nil || info.GetMaxSessions() != 7 {
		t.Errorf("%v, %v", info, err)
	}
	a := &assistantSession{t, session, map[string]bool{}}
	overview := a.call("open_capture", map[string]any{"path": filepath.Join(dir, "shop.pcapng.zst")})
	report := a.call("web_report", map[string]any{"capture": overview["capture"]})
	if text := report["markdown"].(string); !strings.Contains(text, "/checkout/payment takes 83 ms") {
		t.Errorf("nothing is slow: %s", text)
	}
}

// authorized shows a token.
type authorized struct{ token string }

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+a.token)
	return http.DefaultTransport.RoundTrip(r)
}

func readTestToken(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "ampulla", "token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// assistant calls tools.
type assistantSession struct {
	*testing.T
	*mcp.ClientSession
	used map[string]bool
}

// call calls a tool, which must succeed, and returns its structured answer.
func (a *assistantSession) call(tool string, arguments map[string]any) map[string]any {
	a.Helper()
	a.used[tool] = true
	result, err := a.CallTool(a.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		a.Fatalf("%s: %v", tool, err)
	}
	text, _ := json.Marshal(result.StructuredContent)
	if result.IsError {
		said, _ := json.Marshal(result.Content)
		a.Fatalf("%s: %s", tool, said)
	}
	if len(text) > 32<<10 {
		a.Errorf("%s: an answer of %d bytes", tool, len(text))
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		a.Fatalf("%s: %s: %v", tool, text, err)
	}
	return answer
}

// refuse calls a tool, which must fail with those words.
func (a *assistantSession) refuse(tool string, arguments map[string]any, words string) {
	a.Helper()
	result, err := a.CallTool(a.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	said := ""
	if err != nil {
		said = err.Error()
	} else if result.IsError {
		text, _ := json.Marshal(result.Content)
		said = string(text)
	}
	if !strings.Contains(said, words) {
		a.Errorf("%s %v: %q, want %q", tool, arguments, said, words)
	}
}

func investigate(t *testing.T, transport mcp.Transport, dir string) {
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test"}, nil).Connect(t.Context(), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	a := &assistantSession{t, session, map[string]bool{}}

	overview := a.call("open_capture", map[string]any{"path": filepath.Join(dir, "demo.pcapng")})
	id := overview["capture"].(string)
	if overview["state"] != "DONE" || overview["packets"] != 3731.0 {
		t.Fatal(overview)
	}
	types := map[string]bool{}
	for _, i := range overview["severest"].([]any) {
		types[i.(map[string]any)["type"].(string)] = true
	}
	for _, want := range []string{"port_scan", "brute_force", "exfiltration"} {
		if !types[want] {
			t.Errorf("no %s among the severest: %v", want, types)
		}
	}
	attacks := labelledFrames(t, "demo.pcapng")
	for _, want := range []struct{ kind, actor string }{
		{"port_scan", "192.168.40.66"}, {"brute_force", "192.168.40.102"}, {"exfiltration", "192.168.40.102"},
	} {
		incidents := a.call("list_incidents", map[string]any{"capture": id, "type": want.kind, "min_score": 0.8})
		if incidents["total"] != 1.0 {
			t.Fatalf("%s: %v", want.kind, incidents)
		}
		incident := incidents["incidents"].([]any)[0].(map[string]any)
		if actors := incident["actors"].([]any); len(actors) != 1 || actors[0] != want.actor {
			t.Errorf("%s: actors %v", want.kind, actors)
		}
		list := a.call("list_packets", map[string]any{"capture": id, "incident": incident["number"], "min_score": 0.801, "limit": 7})
		packets := list["packets"].([]any)
		if len(packets) != 7 || list["next_page_token"] != "7" || list["total"].(float64) < 50 {
			t.Errorf("%s: %d packets of %v, next %v", want.kind, len(packets), list["total"], list["next_page_token"])
		}
		for _, p := range packets {
			frame := int(p.(map[string]any)["frame"].(float64))
			if !slices.Contains(attacks, frame) {
				t.Errorf("%s: frame %d is labelled benign", want.kind, frame)
			}
		}
		why := a.call("explain_packet", map[string]any{"capture": id, "frame": packets[0].(map[string]any)["frame"]})
		if why["incident"].(map[string]any)["number"] != incident["number"] || why["packet"].(map[string]any)["reason"] == "" {
			t.Errorf("%s: %v", want.kind, why)
		}
	}
	flows := a.call("list_flows", map[string]any{"capture": id, "host": "192.168.40.66", "limit": 3})
	if len(flows["flows"].([]any)) != 3 || flows["total"].(float64) < 100 {
		t.Errorf("%v", flows)
	}
	a.call("annotate_capture", map[string]any{"capture": id, "output": filepath.Join(dir, t.Name()[len("TestMCP/"):]+".pcapng")})
	written, err := os.ReadFile(filepath.Join(dir, t.Name()[len("TestMCP/"):]+".pcapng"))
	if err != nil || !strings.Contains(string(written), "AI: port scan") {
		t.Errorf("%d bytes, %v", len(written), err)
	}
	report := a.call("web_report", map[string]any{"capture": id})
	if text := report["markdown"].(string); !strings.Contains(text, "192.168.40.66") || report["total"].(float64) < 1000 {
		t.Errorf("%v", report)
	}
	a.live()
	a.refusals(id, dir)
	a.feedback(filepath.Join(dir, "demo.pcapng"))
	a.others(id)
}

// feedback says that the scan is normal: opened again the capture has none. Then
// it takes that back.
func (a *assistantSession) feedback(path string) {
	a.Helper()
	id := a.call("open_capture", map[string]any{"path": path})["capture"]
	scans := a.call("list_packets", map[string]any{"capture": id, "type": "port_scan"})
	frame := scans["packets"].([]any)[0].(map[string]any)["frame"]
	scope := a.call("explain_packet", map[string]any{"capture": id, "frame": frame})["scope"].(map[string]any)
	delete(scope, "service") // each packet has another
	said := a.call("give_feedback", map[string]any{"says": "normal", "scope": scope, "who": "alice", "why": "nightly inventory"})["rule"].(map[string]any)
	if said["who"] != "alice, by assistant" || said["why"] != "nightly inventory" || said["when"] == "" {
		a.Error(said)
	}
	quiet := a.call("open_capture", map[string]any{"path": path})
	if quiet["capture"] == id || quiet["flagged_types"].(map[string]any)["port_scan"] != nil {
		a.Errorf("judged again: %v", quiet)
	}
	why := a.call("explain_packet", map[string]any{"capture": quiet["capture"], "frame": frame})
	if p := why["packet"].(map[string]any); !strings.HasPrefix(p["reason"].(string), "suppressed by rule ") || why["scope"].(map[string]any)["type"] != "port_scan" {
		a.Error(why)
	}
	if again := a.call("open_capture", map[string]any{"path": path}); again["capture"] != quiet["capture"] {
		a.Error("judged again without need")
	}
	later := a.call("open_capture", map[string]any{"path": path, "hindsight": true})
	if later["capture"] == quiet["capture"] || later["flagged"].(float64) <= quiet["flagged"].(float64) {
		a.Errorf("in hindsight: %v", later)
	}
	list := a.call("list_feedback", nil)
	if list["total"] != 1.0 || list["rules"].([]any)[0].(map[string]any)["id"] != said["id"] {
		a.Error(list)
	}
	for _, wrong := range []struct{ says, kind, host, words string }{
		{"harmless", "port_scan", "10.0.0.5", "neither normal nor bad"}, {"bad", "worm", "10.0.0.5", "there is no"},
		{"bad", "port_scan", "router", "no address"}, {"bad", "port_scan", "10.0.0.5/40", "no address"},
	} {
		a.refuse("give_feedback", map[string]any{"says": wrong.says, "why": "x", "scope": map[string]any{"type": wrong.kind, "hosts": []string{wrong.host}}}, wrong.words)
	}
	a.refuse("give_feedback", map[string]any{"says": "bad", "why": "x", "scope": map[string]any{}}, "no scope")
	a.refuse("give_feedback", map[string]any{"says": "bad", "scope": map[string]any{"type": "flood"}}, "why")
	a.refuse("give_feedback", map[string]any{"says": "bad", "why": "x", "scope": map[string]any{"kind": "flood"}}, "kind")
	a.call("undo_feedback", map[string]any{"id": said["id"]})
	a.refuse("undo_feedback", map[string]any{"id": said["id"]}, "there is no such rule")
	before := a.call("open_capture", map[string]any{"path": path})
	if before["flagged_types"].(map[string]any)["port_scan"] == nil {
		a.Errorf("undone: %v", before)
	}
}

// live captures for a moment, where that is allowed.
func (a *assistantSession) live() {
	a.Helper()
	if os.Getuid() != 0 {
		a.Log("not root: no live capture")
		a.used["list_interfaces"], a.used["start_capture"], a.used["capture_status"], a.used["stop_capture"] = true, true, true, true
		return
	}
	if len(a.call("list_interfaces", nil)["interfaces"].([]any)) == 0 {
		a.Error("no interfaces")
	}
	started := a.call("start_capture", map[string]any{"interfaces": []string{"lo"}, "filter": "icmp"})
	if started["state"] != "CAPTURING" {
		a.Errorf("%v", started)
	}
	a.call("capture_status", map[string]any{"capture": started["capture"]})
	if stopped := a.call("stop_capture", map[string]any{"capture": started["capture"]}); stopped["state"] != "DONE" {
		a.Errorf("%v", stopped)
	}
	a.refuse("start_capture", map[string]any{"interfaces": []string{"nope0"}}, "nope0")
}

// refusals asks for what must not or cannot be.
func (a *assistantSession) refusals(id, dir string) {
	a.Helper()
	a.refuse("open_capture", map[string]any{"path": "/etc/passwd"}, "in none of the allowed folders")
	a.refuse("open_capture", map[string]any{"path": dir + "/../../etc/passwd"}, "in none of the allowed folders")
	a.refuse("open_capture", map[string]any{"path": filepath.Join(dir, "missing.pcapng")}, "there is no file")
	a.refuse("open_capture", map[string]any{}, "path")
	a.refuse("list_packets", map[string]any{"capture": id, "host": "office"}, "no IP address")
	a.refuse("list_packets", map[string]any{"capture": id, "hosts": "192.0.2.1"}, "hosts")
	a.refuse("list_packets", map[string]any{"capture": id, "port": "22; rm -rf /"}, "port")
	a.refuse("list_incidents", map[string]any{"capture": id, "type": "scan"}, "none of")
	a.refuse("explain_packet", map[string]any{"capture": id, "frame": 99999}, "1 to 3731")
	a.refuse("annotate_capture", map[string]any{"capture": id, "output": filepath.Join(dir, "demo.pcapng")}, "there already")
	a.refuse("annotate_capture", map[string]any{"capture": id, "output": "/tmp/ampulla-outside.pcapng"}, "in none of the allowed folders")
	a.refuse("annotate_capture", map[string]any{"capture": id, "output": filepath.Join(dir, "x.sh")}, "name it .pcapng")
	a.refuse("start_capture", map[string]any{"interfaces": []string{"-w/tmp/x"}}, "none")
}

// others looks at what is no tool, and whether all tools were used.
func (a *assistantSession) others(id string) {
	a.Helper()
	tools, err := a.ListTools(a.Context(), nil)
	if err != nil {
		a.Fatal(err)
	}
	for _, tool := range tools.Tools {
		if !a.used[tool.Name] {
			a.Errorf("%s was not used", tool.Name)
		}
		writes := slices.Contains([]string{"annotate_capture", "start_capture", "stop_capture", "give_feedback", "undo_feedback"}, tool.Name)
		if tool.Annotations.ReadOnlyHint == writes {
			a.Errorf("%s: read-only is %v", tool.Name, tool.Annotations.ReadOnlyHint)
		}
	}
	report, err := a.ReadResource(a.Context(), &mcp.ReadResourceParams{URI: "ampulla://captures/" + id + "/report.md"})
	if err != nil || !strings.Contains(report.Contents[0].Text, "port_scan, score 1.00") {
		a.Errorf("%v, %v", report, err)
	}
	if _, err := a.ReadResource(a.Context(), &mcp.ReadResourceParams{URI: "ampulla://captures/x/report.md"}); err == nil {
		a.Error("a report of no capture")
	}
	prompts, err := a.ListPrompts(a.Context(), nil)
	if err != nil || len(prompts.Prompts) == 0 {
		a.Fatal(err)
	}
	for _, p := range prompts.Prompts {
		got, err := a.GetPrompt(a.Context(), &mcp.GetPromptParams{Name: p.Name, Arguments: map[string]string{p.Arguments[0].Name: "demo.pcapng"}})
		if err != nil || !strings.Contains(got.Messages[0].Content.(*mcp.TextContent).Text, `"demo.pcapng"`) {
			a.Errorf("%s: %v", p.Name, err)
		}
	}
}

// labelledFrames returns the frames of one of our captures that are an attack or
// the victim's part in it.
func labelledFrames(t *testing.T, name string) []int {
	t.Helper()
	file, err := os.Open("../testdata/labels/" + name + ".tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var frames []int
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 3 || fields[2] != "attack" && fields[2] != "response" {
			continue
		}
		first, _ := strconv.Atoi(fields[0])
		last, _ := strconv.Atoi(fields[1])
		for ; first <= last; first++ {
			frames = append(frames, first)
		}
	}
	return frames
}
