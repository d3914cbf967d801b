package lua_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ampulla/lua"

	"github.com/google/go-cmp/cmp"
)

const (
	scan = "AI: port scan, score 0.97: 412 SYNs to 398 ports of 10.0.0.5 within 1.0 s\n" +
		"ai/1 class=unknown conf=0.41 score=0.970 verdict=anomalous type=port_scan incident=3 first=1 flow=17 " +
		"cid=1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0= model=2026.11.1"
	dns     = "AI: dns, score 0.03\nai/1 class=dns conf=1.00 score=0.031 verdict=normal flow=1"
	beacon  = "AI: beacon, score 0.88: every 10.0 s, 31 times\nai/1 class=tls conf=0.99 score=0.880 verdict=anomalous type=beacon flow=2"
	outlier = "AI: outlier, score 0.62: unlike other ssh\nai/1 class=ssh conf=0.99 score=0.620 verdict=suspicious type=outlier flow=3"
	newer   = "AI: port scan, score 0.97\nai/2 risk=high"
	broken  = "AI: dns, score 1.50\nai/1 class=dns score=1.5"
)

// mixed is one frame of every kind.
var mixed = []frame{
	{scan}, // 1
	{},     // 2
	{dns},  // 3
	{"mine", beacon, "mine as well:\nsecond line"}, // 4
	{"just a comment"}, // 5
	{outlier},          // 6
	{newer},            // 7
	{broken},           // 8
}

// fields are all fields, in the order of the tree, but for ai.incident.last, which
// is not shown in the first pass.
var fields = []string{
	"ai.class", "ai.class.confidence", "ai.anomaly.score", "ai.anomaly.verdict", "ai.anomaly.type", "ai.anomaly.reason",
	"ai.incident", "ai.incident.first", "ai.flow", "ai.flow.community_id", "ai.model", "ai.source", "ai.status",
}

func TestFields(t *testing.T) {
	want := strings.Join([]string{
		"1|unknown|0.41|0.97|anomalous|port_scan|412 SYNs to 398 ports of 10.0.0.5 within 1.0 s|3|1|17|1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=|2026.11.1|comment|",
		"2|||||||||||||",
		"3|dns|1|0.031|normal|||||1|||comment|",
		"4|tls|0.99|0.88|anomalous|beacon|every 10.0 s, 31 times|||2|||comment|",
		"5|||||||||||||",
		"6|ssh|0.99|0.62|suspicious|outlier|unlike other ssh|||3|||comment|",
		"7|||||||||||||a comment in grammar ai/2, but this plugin (0.1.0) reads ai/1 only",
		"8|||||||||||||malformed ai/1 comment: score: 1.5 is not between 0 and 1",
		"",
	}, "\n")
	args := []string{"-T", "fields", "-E", "separator=|", "-e", "frame.number"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		args := append([]string{"-r", capture(t, mixed...)}, args...)
		if diff := cmp.Diff(want, s.run(t, args...)); diff != "" {
			t.Errorf("one pass: %s", diff)
		}
		if diff := cmp.Diff(want, s.run(t, append(args, "-2")...)); diff != "" {
			t.Errorf("two passes: %s", diff)
		}
		if diff := cmp.Diff(want, s.run(t, append(args, "--enable-protocol", "communityid")...)); diff != "" {
			t.Errorf("beside Wireshark's own Community ID: %s", diff)
		}
		s.env = append(s.env, german(t)...)
		if diff := cmp.Diff(want, s.run(t, args...)); diff != "" {
			t.Errorf("decimal comma: %s", diff)
		}
	})
}

func TestFilters(t *testing.T) {
	const all = "1,3,4,6"
	tests := []struct{ filter, want string }{
		{"ai", "1,3,4,6,7,8"},
		{"ai.anomaly.score", all},
		{"ai.anomaly.score > 0.8", "1,4"},
		{"ai.anomaly.score >= 0.62 && ai.anomaly.score < 0.97", "4,6"},
		{"ai.anomaly.score == 0.031", "3"},
		{"ai.class.confidence < 0.5", "1"},
		{`ai.class in {"dns", "ssh"}`, "3,6"},
		{`ai.anomaly.verdict == "suspicious"`, "6"},
		{`ai.anomaly.type == "port_scan"`, "1"},
		{`ai.anomaly.reason contains "398 ports"`, "1"},
		{`ai.anomaly.reason matches "^every \\d+"`, "4"},
		{"ai.flow == 17", "1"},
		{"ai.flow > 1 && ai.flow < 17", "4,6"},
		{`ai.flow.community_id == "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="`, "1"},
		{`ai.model == "2026.11.1"`, "1"},
		{`ai.source == "comment"`, all},
		{"ai.status", "7,8"},
		{"ai.expert.port_scan.error", "1"},
		{"ai.expert.beacon.warn", "4"},
		{"ai.expert.outlier.note", "6"},
		{"ai.expert.anomaly.chat", ""},
		{`_ws.expert.group == "Security"`, "1,4,6"},
		{`_ws.expert.message contains "31 times"`, "4"}, // the comment has it too
		{"_ws.lua", ""},
		{"udp.port == 4097 && !ai", "2,5"},
	}
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		path := capture(t, mixed...)
		for _, tt := range tests {
			numbers := s.run(t, "-r", path, "-Y", tt.filter, "-T", "fields", "-e", "frame.number")
			if got := strings.Join(strings.Fields(numbers), ","); got != tt.want {
				t.Errorf("%s: frames %s, want %s", tt.filter, got, tt.want)
			}
		}
		// The read filter drops frames, and the rest is numbered anew.
		got := s.run(t, "-r", path, "-2", "-R", "ai.anomaly.score > 0.8", "-T", "fields", "-e", "frame.number", "-e", "ai.anomaly.type")
		if want := "1\tport_scan\n2\tbeacon\n"; got != want {
			t.Errorf("read filter: %q, want %q", got, want)
		}
	})
}

func TestSummary(t *testing.T) {
	const columns = `gui.column.format:"Protocol","%p","Score","%Cus:ai.anomaly.score:0:R","Class","%Cus:ai.class:0:U"`
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		path := capture(t, mixed...)
		read := func(args ...string) string {
			args = append([]string{"-r", path, "-o", columns, "-Y", "frame.number in {1,2,3}"}, args...)
			lines := ""
			for line := range strings.Lines(s.run(t, args...)) {
				lines += strings.Join(strings.Fields(line), " ") + "\n"
			}
			return lines
		}
		for _, tt := range []struct {
			name, want string
			args       []string
		}{
			{"columns", "UDP 0.97 unknown\nUDP\nUDP 0.031 dns\n", nil},
			{"class as protocol", "UDP 0.97 unknown\nUDP\nDNS 0.031 dns\n", []string{"-o", "ai.column:TRUE"}},
			{"disabled by preference", "UDP\nUDP\nUDP\n", []string{"-o", "ai.enable:FALSE"}},
			{"disabled as a protocol", "UDP\nUDP\nUDP\n", []string{"--disable-protocol", "ai"}},
		} {
			if diff := cmp.Diff(tt.want, read(tt.args...)); diff != "" {
				t.Errorf("%s: %s", tt.name, diff)
			}
		}
	})
}

func TestTree(t *testing.T) {
	const want = `[AI: beacon, score 0.88]
    [Class: tls]
    [Class confidence: 0.99]
    [Anomaly score: 0.88]
    [Verdict: anomalous]
    [Anomaly type: beacon]
    [Reason: every 10.0 s, 31 times]
    [Flow: 2]
    [Source: comment]
    [Expert Info (Warning/Security): every 10.0 s, 31 times]
        [every 10.0 s, 31 times]
        [Severity level: Warning]
        [Group: Security]
`
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		got := s.run(t, "-r", capture(t, mixed...), "-Y", "frame.number == 4", "-O", "ai")
		_, got, _ = strings.Cut(got, "\n[AI")
		if diff := cmp.Diff(want, strings.TrimRight("[AI"+got, "\n")+"\n"); diff != "" {
			t.Error(diff)
		}
	})
}

func TestMachineFormats(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		path := capture(t, mixed...)
		var packets []struct {
			Source struct {
				Layers struct {
					AI map[string]any `json:"ai"`
				} `json:"layers"`
			} `json:"_source"`
		}
		out := s.run(t, "-r", path, "-Y", "ai.flow == 3", "-T", "json")
		if err := json.Unmarshal([]byte(out), &packets); err != nil || len(packets) != 1 {
			t.Fatalf("json: %v: %s", err, out)
		}
		delete(packets[0].Source.Layers.AI, "_ws.expert")
		if diff := cmp.Diff(map[string]any{
			"ai.class": "ssh", "ai.class.confidence": "0.99", "ai.anomaly.score": "0.62", "ai.anomaly.verdict": "suspicious",
			"ai.anomaly.type": "outlier", "ai.anomaly.reason": "unlike other ssh", "ai.flow": "3", "ai.source": "comment",
		}, packets[0].Source.Layers.AI); diff != "" {
			t.Errorf("json: %s", diff)
		}

		out = s.run(t, "-r", path, "-Y", "ai.flow == 3", "-T", "ek")
		_, document, _ := strings.Cut(out, "\n")
		var ek struct {
			Layers struct {
				AI map[string]any `json:"ai"`
			} `json:"layers"`
		}
		if err := json.Unmarshal([]byte(document), &ek); err != nil {
			t.Fatalf("ek: %v: %s", err, out)
		}
		if got := fmt.Sprint(ek.Layers.AI["ai_ai_anomaly_score"]); got != "0.62" {
			t.Errorf("ek: score %s: %s", got, document)
		}

		out = s.run(t, "-r", path, "-Y", "ai.flow == 3", "-T", "pdml")
		for _, part := range []string{`name="ai.anomaly.score" showname="Anomaly score: 0.62"`, `show="unlike other ssh"`} {
			if !strings.Contains(out, part) {
				t.Errorf("pdml without %s: %s", part, out)
			}
		}
	})
}

func TestStatistics(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		path := capture(t, mixed...)
		out := s.run(t, "-r", path, "-q", "-z", "io,stat,0,ai.anomaly.score>0.8,MAX(ai.anomaly.score)ai.anomaly.score")
		if row := "|      2 |"; !strings.Contains(out, row) {
			t.Errorf("io,stat without %q: %s", row, out)
		}
		if !strings.Contains(out, "0.970000") {
			t.Errorf("io,stat without the largest score: %s", out)
		}
		out = s.run(t, "-r", path, "-q", "-z", "expert")
		var got []string
		for line := range strings.Lines(out) {
			if words := strings.Fields(line); len(words) > 1 && words[1] == "Security" {
				got = append(got, strings.Join(words, " "))
			} else if heading, _, ok := strings.Cut(line, " ("); ok && !strings.Contains(heading, " ") {
				got = append(got, heading)
			}
		}
		want := []string{
			"Errors", "1 Security AI 412 SYNs to 398 ports of 10.0.0.5 within 1.0 s",
			"Warns", "1 Security AI every 10.0 s, 31 times",
			"Notes", "1 Security AI unlike other ssh",
			"Comments",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("expert: %s\n%s", diff, out)
		}
	})
}

func TestExpertThreshold(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		path := capture(t, mixed...)
		for preference, want := range map[string]string{
			"0": "1,3,4,6", "0.5": "1,4,6", "0.62": "1,4,6", "0,9": "1", "1": "", "": "1,4,6", "high": "1,4,6", "7": "1,4,6",
		} {
			out := s.run(t, "-r", path, "-o", "ai.expert:"+preference, "-Y", `_ws.expert.group == "Security"`, "-T", "fields", "-e", "frame.number")
			if got := strings.Join(strings.Fields(out), ","); got != want {
				t.Errorf("from %q: frames %s, want %s", preference, got, want)
			}
		}
	})
}

func TestColourRules(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		dir := filepath.Join(s.home, ".config/wireshark")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		rules := "@Flagged@ai.anomaly.score > 0.8@[65535,0,0][65535,65535,65535]\n" +
			"@Expert@ai.expert.outlier.note@[65535,65535,0][0,0,0]\n"
		if err := os.WriteFile(filepath.Join(dir, "colorfilters"), []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
		got := s.run(t, "-r", capture(t, mixed...), "--color", "-T", "fields", "-e", "frame.number", "-e", "frame.coloring_rule.name")
		want := "1\tFlagged\n2\t\n3\t\n4\tFlagged\n5\t\n6\tExpert\n7\t\n8\t\n"
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestOddComments has comments that must neither break the packet nor cost it
// its other fields.
func TestOddComments(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	many := make(frame, 40)
	for i := range many {
		many[i] = fmt.Sprintf("note %d", i)
	}
	many[20] = dns
	tests := []struct {
		name  string
		frame frame
		want  string // score, then status
	}{
		{"empty", frame{""}, "|"},
		{"empty before ours", frame{"", dns}, "0.031|"},
		{"60 kB of a person", frame{long, dns}, "0.031|"},
		{"60 kB reason", frame{"AI: flood, score 1.00: " + long + "\nai/1 score=1 type=flood"}, "1|"},
		{"60 kB class", frame{"ai/1 score=1 class=" + long}, "1|"},
		{"60 kB of lines", frame{strings.Repeat("a\n", 30_000) + "ai/1 score=1"}, "1|"},
		{"forty", many, "0.031|"},
		{"not UTF-8", frame{"\xff\xfe", "AI: \xff, score 1: \xc3\nai/1 score=1 class=\xff type=\xf0\x9f"}, "1|"},
		{"encoded, not UTF-8", frame{"ai/1 score=1 class=%ff%00 type=%0a"}, "1|"},
		{"NUL", frame{"ai/1 score=1\x00 class=dns"}, "1|"},
		{"good after malformed", frame{broken, dns}, "0.031|"},
		{"malformed after good", frame{dns, broken}, "0.031|"},
		{"good after newer", frame{newer, dns}, "0.031|"},
		{"no score", frame{"ai/1 class=dns"}, "|malformed ai/1 comment: no score"},
	}
	frames := make([]frame, len(tests))
	for i, tt := range tests {
		frames[i] = tt.frame
	}
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		path := capture(t, frames...)
		out := s.run(t, "-r", path, "-T", "fields", "-E", "separator=|", "-e", "ai.anomaly.score", "-e", "ai.status")
		lines := strings.Split(out, "\n")
		if len(lines) != len(tests)+1 {
			t.Fatalf("%d lines: %s", len(lines), out)
		}
		for i, tt := range tests {
			if lines[i] != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, lines[i], tt.want)
			}
		}
		tree := s.run(t, "-r", path, "-V")
		if n := strings.Count(tree, "\nUser Datagram Protocol"); n != len(tests) || strings.Contains(tree, "Lua Error") {
			t.Errorf("%d of %d frames have their details, or there is a Lua error", n, len(tests))
		}
		var packets []any
		if out := s.run(t, "-r", path, "-T", "json"); json.Unmarshal([]byte(out), &packets) != nil || len(packets) != len(tests) {
			t.Errorf("%d packets in json", len(packets))
		}
		s.run(t, "-r", path, "-q", "-z", "expert")
	})
}

// TestBug breaks ai.lua on purpose: every frame must keep its details and say
// what is wrong.
func TestBug(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		broken := strings.Replace(lua.Script, "local verdict, problem\n    if", "local verdict, problem = fields.nothing.there\n    if", 1)
		if broken == lua.Script {
			t.Fatal("no place found for a bug")
		}
		if err := os.WriteFile(s.script, []byte(broken), 0o644); err != nil {
			t.Fatal(err)
		}
		path := capture(t, frame{dns}, frame{})
		out := s.run(t, "-r", path, "-T", "fields", "-E", "occurrence=f", "-e", "udp.dstport", "-e", "ai.status", "-e", "_ws.lua.error")
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, "4097\tbug in ai.lua: ") || !strings.HasSuffix(line, "\t\n") {
				t.Errorf("%q", line)
			}
		}
		if n := strings.Count(out, "\n"); n != 2 {
			t.Errorf("%d lines", n)
		}
	})
}

// TestPluginFolder has ai.lua where an installer puts it, and more than once.
func TestPluginFolder(t *testing.T) {
	eachShark(t, func(t *testing.T, s *shark) {
		t.Parallel()
		dir := filepath.Join(s.home, ".local/lib/wireshark/plugins")
		if err := os.MkdirAll(filepath.Join(dir, "old"), 0o755); err != nil {
			t.Fatal(err)
		}
		script, err := os.ReadFile(s.script)
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"-r", capture(t, mixed...), "-Y", "ai.anomaly.score > 0.8", "-T", "fields", "-e", "frame.number", "-e", "ai.flow"}
		const want = "1\t17\n4\t2\n"
		for _, name := range []string{"ai.lua", "ai-copy.lua", "old/ai.lua"} {
			if err := os.WriteFile(filepath.Join(dir, name), script, 0o644); err != nil {
				t.Fatal(err)
			}
			out := s.bare(t, args...)
			out.mustBeQuiet(t, args)
			if out.stdout != want {
				t.Errorf("with %s too: %q, want %q", name, out.stdout, want)
			}
			if out := s.run(t, args...); out != want {
				t.Errorf("with %s and lua_script: %q, want %q", name, out, want)
			}
		}
		if out := s.bare(t, "-G", "plugins"); !strings.Contains(out.stdout, "ai.lua") || !strings.Contains(out.stdout, "0.1.0") {
			t.Errorf("-G plugins: %s", out.stdout)
		}
	})
}
