package lua_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tests in this file look at verdicts of the annotator wherever Wireshark
// shows fields, and compare them with what annotate says. TestSameVerdicts has
// -T fields.

// judged is what annotate says about a frame, by field; what it does not say is
// missing.
type judged map[string]string

func (f judged) score() float64 {
	score, _ := strconv.ParseFloat(f["ai.anomaly.score"], 64)
	return score
}

// headline is the verdict in a few words, as in the tree.
func (f judged) headline() string {
	what := f["ai.class"]
	if kind := f["ai.anomaly.type"]; kind != "" {
		what = strings.NewReplacer("dns_", "DNS ", "icmp_", "ICMP ", "arp_spoof", "ARP spoofing", "_", " ").Replace(kind)
	}
	return fmt.Sprintf("%s, score %.2f", what, f.score())
}

// frames returns what annotate says about each frame of a capture.
func frames(t testing.TB, path string) []judged {
	t.Helper()
	var list []judged
	for line := range strings.Lines(expected(t, path)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		f := judged{}
		for i, field := range fields {
			if columns[i+1] != "" {
				f[field] = columns[i+1]
			}
		}
		list = append(list, f)
	}
	return list
}

// numbers returns the numbers of the frames that are as wanted.
func numbers(list []judged, wanted func(judged) bool) string {
	var b strings.Builder
	for i, f := range list {
		if wanted(f) {
			fmt.Fprintln(&b, i+1)
		}
	}
	return b.String()
}

func is(field, value string) func(judged) bool {
	return func(f judged) bool { return f[field] == value }
}

func flagged(f judged) bool { return f.score() > 0.8 }

// demo has traffic of many kinds and several attacks.
func demo(t testing.TB) (string, []judged) {
	path := own(t, "demo.pcapng")
	return path, frames(t, path)
}

func TestFilterVerdicts(t *testing.T) {
	path, list := demo(t)
	flow := list[len(list)/2]
	severe := func(f judged) bool { return f["ai.anomaly.type"] == "port_scan" && f.score() > 0.95 }
	tests := []struct {
		filter string
		wanted func(judged) bool
	}{
		{"ai", func(judged) bool { return true }},
		{"ai.anomaly.score > 0.8", flagged},
		{"ai.anomaly.score <= 0.8", func(f judged) bool { return !flagged(f) }},
		{`ai.class == "dns"`, is("ai.class", "dns")},
		{"ai.class.confidence == 1", is("ai.class.confidence", "1")},
		{`ai.anomaly.verdict == "suspicious"`, is("ai.anomaly.verdict", "suspicious")},
		{`ai.anomaly.type == "brute_force"`, is("ai.anomaly.type", "brute_force")},
		{`ai.anomaly.reason contains "to 104 ports"`, func(f judged) bool { return strings.Contains(f["ai.anomaly.reason"], "to 104 ports") }},
		{"ai.flow == " + flow["ai.flow"], is("ai.flow", flow["ai.flow"])},
		{`ai.flow.community_id == "` + flow["ai.flow.community_id"] + `"`, is("ai.flow.community_id", flow["ai.flow.community_id"])},
		{`ai.model == "` + flow["ai.model"] + `"`, is("ai.model", flow["ai.model"])},
		{`ai.source == "comment" || ai.status`, func(judged) bool { return false }},
		{`_ws.expert.group == "Security"`, func(f judged) bool { return f.score() >= 0.5 }},
		{"ai.expert.port_scan.error", severe},
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, tt := range tests {
			args := append([]string{"-r", path, "-Y", tt.filter, "-T", "fields", "-e", "frame.number"}, patient...)
			if strings.Contains(tt.filter, "expert") { // nobody can tell that these are looked at
				args = append(args, "-o", "ai.always:TRUE")
			}
			if diff := cmp.Diff(numbers(list, tt.wanted), s.run(t, args...)); diff != "" {
				t.Errorf("%s: %s", tt.filter, diff)
			}
		}
	})
}

// TestScoreAlone has filters for which ai.lua adds nothing but the score, and
// others that are nearly the same.
func TestScoreAlone(t *testing.T) {
	path, list := demo(t)
	tests := []struct {
		filter string
		wanted func(judged) bool
	}{
		{"ai.anomaly.score > 0.8", flagged},
		{"ai.anomaly.score > 0.8 && !ai", func(judged) bool { return false }},
		{"ai && ai.anomaly.score > 0.8", flagged},
		{`ai.anomaly.score > 0.8 && ai.class == "tls"`, func(f judged) bool { return flagged(f) && f["ai.class"] == "tls" }},
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		numbered := append([]string{"-r", path, "-o", `gui.column.format:"No.","%m"`}, patient...)
		for i, tt := range tests {
			pass := []string{"-n", "-2"}[i/2]
			got := strings.ReplaceAll(s.run(t, append(numbered, pass, "-Y", tt.filter)...), " ", "")
			if difference := firstDifference(numbers(list, tt.wanted), got); difference != "" {
				t.Errorf("%s %s: %s", pass, tt.filter, difference)
			}
		}
		// A statistic that is made of protocols.
		got := 0
		for line := range strings.Lines(s.run(t, append(numbered, "-q", "-z", "io,phs,ai.anomaly.score > 0.8")...)) {
			n := 0
			if _, err := fmt.Sscanf(strings.Join(strings.Fields(line), " "), "ai frames:%d", &n); err == nil {
				got += n
			}
		}
		if want := strings.Count(numbers(list, flagged), "\n"); got != want {
			t.Errorf("the protocol is in %d frames, want %d", got, want)
		}
	})
}

// TestReadFilterVerdicts has a read filter on ours: the first pass sees all
// frames, and the second those that have passed, numbered anew.
func TestReadFilterVerdicts(t *testing.T) {
	path, list := demo(t)
	want := renumbered(expected(t, path), numbers(list, flagged))
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, env := range [][]string{nil, {"AMPULLA_READAHEAD=0"}} {
			got := s.inMode(t, path, mode{options: []string{"-2", "-R", "ai.anomaly.score > 0.8"}, env: env})
			if difference := firstDifference(want, got.stdout); difference != "" {
				t.Errorf("%s: %s", env, difference)
			}
		}
	})
}

func TestColumnsOfVerdicts(t *testing.T) {
	const columns = `gui.column.format:"No.","%m","Score","%Cus:ai.anomaly.score:0:R","Class","%Cus:ai.class:0:R","Type","%Cus:ai.anomaly.type:0:R"`
	path, list := demo(t)
	want := ""
	for i, f := range list {
		want += strings.TrimSpace(fmt.Sprintf("%d %s %s %s", i+1, f["ai.anomaly.score"], f["ai.class"], f["ai.anomaly.type"])) + "\n"
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, pass := range []string{"-n", "-2"} {
			got := ""
			for line := range strings.Lines(s.run(t, append([]string{pass, "-r", path, "-o", columns}, patient...)...)) {
				got += strings.Join(strings.Fields(line), " ") + "\n"
			}
			if difference := firstDifference(want, got); difference != "" {
				t.Errorf("%s: %s", pass, difference)
			}
		}
	})
}

func TestFormatsOfVerdicts(t *testing.T) {
	path, list := demo(t)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for format, read := range map[string]func(testing.TB, string) []judged{"json": fromJSON, "ek": fromElastic, "pdml": fromPDML} {
			got := read(t, s.run(t, append([]string{"-r", path, "-T", format, "-J", "ai"}, patient...)...))
			if len(got) != len(list) {
				t.Errorf("%s: %d frames, want %d", format, len(got), len(list))
			}
			for i := range min(len(got), len(list)) {
				if diff := cmp.Diff(list[i], got[i]); diff != "" {
					t.Fatalf("%s: frame %d: %s", format, i+1, diff)
				}
			}
		}
		// This one has nothing but bytes, and a verdict is made of none.
		out := s.run(t, append([]string{"-r", path, "-T", "jsonraw", "-J", "ai"}, patient...)...)
		if n := strings.Count(out, `"ai.anomaly.score_raw"`); n != len(list) {
			t.Errorf("jsonraw: %d scores, want %d", n, len(list))
		}
	})
}

func fromJSON(t testing.TB, out string) (list []judged) {
	t.Helper()
	var packets []struct {
		Source struct {
			Layers struct {
				AI map[string]any `json:"ai"`
			} `json:"layers"`
		} `json:"_source"`
	}
	if err := json.Unmarshal([]byte(out), &packets); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		f := judged{}
		for key, value := range p.Source.Layers.AI {
			if key != "_ws.expert" {
				f[key] = fmt.Sprint(value)
			}
		}
		list = append(list, f)
	}
	return list
}

func fromElastic(t testing.TB, out string) (list []judged) {
	t.Helper()
	names := map[string]string{}
	for _, field := range fields {
		names["ai_"+strings.ReplaceAll(field, ".", "_")] = field
	}
	for line := range strings.Lines(out) {
		var document struct {
			Layers *struct {
				AI map[string]any `json:"ai"`
			} `json:"layers"`
		}
		if err := json.Unmarshal([]byte(line), &document); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if document.Layers == nil {
			continue // the index
		}
		f := judged{}
		for key, value := range document.Layers.AI {
			if names[key] != "" {
				f[names[key]] = fmt.Sprint(value)
			}
		}
		list = append(list, f)
	}
	return list
}

func fromPDML(t testing.TB, out string) (list []judged) {
	t.Helper()
	var document struct {
		Packets []struct {
			Protos []struct {
				Name   string `xml:"name,attr"`
				Fields []struct {
					Name string `xml:"name,attr"`
					Show string `xml:"show,attr"`
				} `xml:"field"`
			} `xml:"proto"`
		} `xml:"packet"`
	}
	if err := xml.Unmarshal([]byte(out), &document); err != nil {
		t.Fatal(err)
	}
	for _, p := range document.Packets {
		f := judged{}
		for _, proto := range p.Protos {
			for _, field := range proto.Fields {
				if proto.Name == "ai" && slices.Contains(fields, field.Name) {
					f[field.Name] = field.Show
				}
			}
		}
		list = append(list, f)
	}
	return list
}

func TestColoursOfVerdicts(t *testing.T) {
	path, list := demo(t)
	want := ""
	for i, f := range list {
		rule := ""
		switch {
		case flagged(f):
			rule = "Flagged"
		case f["ai.anomaly.verdict"] == "suspicious":
			rule = "Suspicious"
		case f["ai.class"] == "dns":
			rule = "Names"
		}
		want += fmt.Sprintf("%d\t%s\n", i+1, rule)
	}
	const rules = "@Flagged@ai.anomaly.score > 0.8@[65535,0,0][65535,65535,65535]\n" +
		"@Suspicious@ai.anomaly.verdict == \"suspicious\"@[65535,65535,0][0,0,0]\n" +
		"@Names@ai.class == \"dns\"@[0,65535,0][0,0,0]\n"
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		s.profile(t, "AI", map[string]string{"colorfilters": rules})
		for _, pass := range []string{"-n", "-2"} {
			args := append([]string{pass, "-C", "AI", "-r", path, "--color", "-T", "fields", "-e", "frame.number", "-e", "frame.coloring_rule.name"}, patient...)
			if difference := firstDifference(want, s.run(t, args...)); difference != "" {
				t.Errorf("%s: %s", pass, difference)
			}
		}
	})
}

// profile writes the files of a configuration profile.
func (s *shark) profile(t testing.TB, name string, files map[string]string) {
	t.Helper()
	dir := filepath.Join(s.home, ".config", "wireshark", "profiles", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStatisticsOfVerdicts has tshark count flagged frames, and average scores,
// by the second.
func TestStatisticsOfVerdicts(t *testing.T) {
	path, list := demo(t)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		type second struct {
			frames, flagged int
			sum             float64
		}
		var want [200]second
		times := strings.Fields(s.bare(t, "-r", path, "-T", "fields", "-e", "frame.time_relative").stdout)
		for i, f := range list {
			at, err := strconv.ParseFloat(times[i], 64)
			if err != nil {
				t.Fatal(err)
			}
			w := &want[int(at)]
			w.frames++
			w.sum += f.score()
			if flagged(f) {
				w.flagged++
			}
		}
		out := s.run(t, append([]string{"-r", path, "-q", "-z", "io,stat,1,ai.anomaly.score>0.8,AVG(ai.anomaly.score)ai.anomaly.score"}, patient...)...)
		rows := 0
		for line := range strings.Lines(out) {
			columns := strings.Split(strings.ReplaceAll(line, " ", ""), "|")
			begin, _, ok := strings.Cut(columns[min(1, len(columns)-1)], "<>")
			at, err := strconv.Atoi(begin)
			if !ok || err != nil {
				continue
			}
			rows++
			w := want[at]
			average, err := strconv.ParseFloat(columns[4], 64)
			if columns[2] != strconv.Itoa(w.flagged) || err != nil || math.Abs(average-w.sum/max(1, float64(w.frames))) > 1e-6 {
				t.Errorf("%q, want %d flagged of %d, sum of scores %g", line, w.flagged, w.frames, w.sum)
			}
		}
		last, _ := strconv.ParseFloat(times[len(times)-1], 64)
		if rows != int(last)+1 {
			t.Errorf("%d rows, want %d: %s", rows, int(last)+1, out)
		}
	})
}

// TestExpertItems compares the table of expert items, which has those of all
// frames that score 0.5 or more.
func TestExpertItems(t *testing.T) {
	path, list := demo(t)
	want := map[string]int{}
	for _, f := range list {
		text := f["ai.anomaly.reason"]
		if text == "" {
			text = f.headline()
		}
		switch score := f.score(); {
		case score > 0.95:
			want["Errors "+text]++
		case score > 0.8:
			want["Warns "+text]++
		case score >= 0.5:
			want["Notes "+text]++
		}
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		out := s.run(t, append([]string{"-r", path, "-q", "-z", "expert", "-o", "ai.always:TRUE"}, patient...)...)
		got := map[string]int{}
		heading := ""
		for line := range strings.Lines(out) {
			if words := strings.Fields(line); len(words) > 3 && words[1] == "Security" {
				n, _ := strconv.Atoi(words[0])
				got[heading+" "+strings.Join(words[3:], " ")] += n
			} else if before, _, ok := strings.Cut(line, " ("); ok && !strings.Contains(before, " ") {
				heading = before
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestCommunityID compares ours with what Wireshark computes by itself.
func TestCommunityID(t *testing.T) {
	path, list := demo(t)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		field := "communityid.hash"
		if slices.Contains([]string{"4.0", "4.2", "4.4"}, s.version) {
			field = "communityid"
		}
		args := append([]string{"--enable-protocol", "communityid", "-r", path, "-T", "fields", "-e", field, "-e", "ai.flow.community_id"}, patient...)
		both := 0
		for i, line := range strings.Split(strings.TrimSuffix(s.run(t, args...), "\n"), "\n") {
			theirs, ours, _ := strings.Cut(line, "\t")
			if ours != list[i]["ai.flow.community_id"] {
				t.Fatalf("frame %d: %q, want %q", i+1, ours, list[i]["ai.flow.community_id"])
			}
			if ours != "" && theirs != "" {
				both++
				if ours != theirs {
					t.Errorf("frame %d: %s, Wireshark: %s", i+1, ours, theirs)
				}
			}
		}
		if both < len(list)/2 {
			t.Errorf("only %d of %d frames have both", both, len(list))
		}
	})
}

// another is a script that reads our fields.
const another = `
local score, kind = Field.new("ai.anomaly.score"), Field.new("ai.anomaly.type")
local tap = Listener.new("frame")
function tap.packet(pinfo)
    local s, k = score(), kind()
    print(("%d|%.3f|%s"):format(pinfo.number, s and s.value or -1, k and k.value or ""))
end
`

// TestOtherScripts has another script read our fields.
func TestOtherScripts(t *testing.T) {
	path, list := demo(t)
	want := ""
	for i, f := range list {
		want += fmt.Sprintf("%d|%.3f|%s\n", i+1, f.score(), f["ai.anomaly.type"])
	}
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		script := filepath.Join(t.TempDir(), "another.lua")
		if err := os.WriteFile(script, []byte(another), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, pass := range []string{"-q", "-2q"} {
			got := s.run(t, append([]string{"-X", "lua_script:" + script, pass, "-r", path}, patient...)...)
			if difference := firstDifference(want, got); difference != "" {
				t.Errorf("%s: %s", pass, difference)
			}
		}
	})
}
