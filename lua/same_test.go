package lua_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// verdictArgs make tshark print a frame in the form of expected.
var verdictArgs = append([]string{"-T", "fields", "-E", "separator=|", "-e", "frame.number"}, each("-e", fields)...)

// each puts an option before each argument.
func each(option string, args []string) []string {
	var list []string
	for _, arg := range args {
		list = append(list, option, arg)
	}
	return list
}

// expected returns what annotate says about a capture, a line for each frame:
// its number and all fields. What --verdicts does not tell is taken from the
// comments; it is blank for a frame that can have none.
func expected(t testing.TB, path string) string {
	t.Helper()
	annotated := filepath.Join(t.TempDir(), "annotated.pcapng")
	cmd := exec.Command(filepath.Join(programs(t), "ampulla"), "annotate", "--comments", "all", "--verdicts", "-", path, annotated)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err) // a truncated capture is judged as far as it goes
	}
	comments := comments(t, annotated)
	var b strings.Builder
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var v struct {
			Frame                        uint64
			Class, Verdict, Type, Reason string
			Confidence, Score            float64
			Flow, Incident               uint32
			First                        uint64 `json:"incident_first"`
		}
		if err := d.Decode(&v); err == io.EOF {
			return b.String()
		} else if err != nil {
			t.Fatal(err)
		}
		c := comments[v.Frame-1]
		fmt.Fprintf(&b, "%d|%s|%v|%v|%s|%s|%s|%s|%s|%s|%s|%s|annotator|\n", v.Frame, v.Class, v.Confidence, v.Score, v.Verdict,
			v.Type, v.Reason, positive(uint64(v.Incident)), positive(v.First), positive(uint64(v.Flow)), c.CommunityID, c.Model)
	}
}

// positive returns a number as it is shown: not at all if it is 0.
func positive(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// comments returns the verdicts in the comments of a capture, by frame.
func comments(t testing.TB, path string) []verdict.Verdict {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []verdict.Verdict
	for r := pcapng.NewReader(file); ; {
		b, err := r.Next()
		if err != nil {
			return list // the end, or where the capture breaks
		}
		if !b.IsFrame() {
			continue
		}
		var found verdict.Verdict
		for options := b.Options(); ; {
			option, ok := options.Next()
			if !ok {
				break
			}
			if v, err := verdict.ParseComment(string(option.Value)); err == nil {
				found = v
			}
		}
		list = append(list, found)
	}
}

// mode is a way to have a capture dissected.
type mode struct {
	name    string
	options []string
	env     []string
	piped   bool // the capture comes through a pipe
	drops   bool // some frames are dropped, and the rest numbered anew
}

// dropping is a read filter that drops frames here and there in any capture.
const dropping = "frame.len & 3"

var modes = []mode{
	{name: "one pass"},
	{name: "two passes", options: []string{"-2"}},
	{name: "renumbered", options: []string{"-2", "-R", dropping}, drops: true},
	{name: "one pass, no read-ahead", env: []string{"AMPULLA_READAHEAD=0"}},
	{name: "two passes, no read-ahead", options: []string{"-2"}, env: []string{"AMPULLA_READAHEAD=0"}},
	{name: "renumbered, no read-ahead", options: []string{"-2", "-R", dropping}, env: []string{"AMPULLA_READAHEAD=0"}, drops: true},
	{name: "through a pipe", piped: true},
}

// fullModes are the first of the modes, those in which every labelled capture is
// read with AMPULLA_FULL; another one comes in turn.
const fullModes = 4

// modesFor returns the modes in which to read the capture at a place of the
// list: ordinarily one, in turn.
func modesFor(i int, labelled bool) []mode {
	if !labelled || !capturetest.Full() {
		return modes[i%len(modes):][:1]
	}
	rest := modes[fullModes:]
	return append(modes[:fullModes:fullModes], rest[i%len(rest)])
}

// TestSameVerdicts holds tshark to what annotate says, frame by frame, in all
// fields and all modes.
func TestSameVerdicts(t *testing.T) {
	programs(t)
	files := labelled(t)
	list := slices.Concat(files, capturetest.Own(t), converted(t))
	want := make([]string, len(list))
	once := make([]sync.Once, len(list))
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		counts := map[string]int{}
		for i, path := range list {
			once[i].Do(func() { want[i] = expected(t, path) })
			counts["captures"]++
			counts["frames"] += strings.Count(want[i], "\n")
			for _, m := range modesFor(i, i < len(files)) {
				if s.sameInMode(t, path, m, want[i]) {
					counts[m.name]++
				}
			}
			if counts["captures"]%50 == 0 || i == len(list)-1 {
				t.Log(counts)
			}
		}
	})
}

// sameInMode compares what tshark shows of a capture in a mode with what
// annotate says, and tells whether it could.
func (s *shark) sameInMode(t testing.TB, path string, m mode, want string) bool {
	t.Helper()
	if m.drops {
		want = renumbered(want, s.bare(t, "-r", path, "-Y", dropping, "-T", "fields", "-e", "frame.number").stdout)
	}
	got := s.inMode(t, path, m)
	difference := firstDifference(want, got.stdout)
	if unreadable.MatchString(got.stderr) || difference != "" && m.piped && s.misreads(t, path) {
		t.Logf("%s, %s: left out, tshark does not read it as it is: %s", path, m.name, got.stderr)
		return false
	}
	if difference != "" {
		t.Errorf("%s, %s: %s\n%v: %s", path, m.name, difference, got.err, got.stderr)
	}
	return true
}

// unreadable is what tshark says of what it takes for no capture, or cannot read
// through a pipe.
var unreadable = regexp.MustCompile("isn't a capture file in a format|can't be read from a pipe")

// misreads tells whether tshark by itself sees other frames when a capture comes
// through a pipe, where it cannot look ahead to tell variants of pcap apart.
func (s *shark) misreads(t testing.TB, path string) bool {
	t.Helper()
	piped := *s
	piped.wrap = slices.Concat(s.wrap, pipe(path))
	return piped.bare(t, "-r", "-").stdout != s.bare(t, "-r", path).stdout
}

// pipe is what runs a program with a file as its standard input, through a pipe.
func pipe(path string) []string {
	return []string{"sh", "-c", `file=$0; cat "$file" | "$@"`, path}
}

// inMode runs tshark in a mode; it prints the verdicts in the form of expected.
func (s *shark) inMode(t testing.TB, path string, m mode) output {
	t.Helper()
	with := *s
	with.env = slices.Concat(s.env, m.env)
	if m.piped {
		with.wrap = slices.Concat(s.wrap, pipe(path))
		path = "-"
	}
	out := with.try(t, slices.Concat([]string{"-r", path}, patient, m.options, verdictArgs)...)
	if exit := new(exec.ExitError); out.err != nil && !errors.As(out.err, &exit) {
		t.Fatal(out.err)
	}
	return out
}

// verdicts returns what tshark says about a capture, in the form of expected.
func (s *shark) verdicts(t testing.TB, path string) string {
	t.Helper()
	return s.inMode(t, path, mode{}).stdout
}

// renumbered returns the lines of verdicts that have the given numbers, with
// the numbers that they get when the others are dropped. The first frame of an
// incident has none then if it is one of those.
func renumbered(all, numbers string) string {
	lines := strings.Split(all, "\n")
	kept := map[string]string{}
	for i, number := range strings.Fields(numbers) {
		kept[number] = strconv.Itoa(i + 1)
	}
	const first = 8 // column
	var b strings.Builder
	for number := range strings.FieldsSeq(numbers) {
		n, _ := strconv.Atoi(number)
		columns := strings.Split(lines[n-1], "|")
		columns[0], columns[first] = kept[number], kept[columns[first]]
		b.WriteString(strings.Join(columns, "|") + "\n")
	}
	return b.String()
}

// firstDifference says how verdicts differ, with the first line that does: all would be
// too many. It returns "" if they do not.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	different, first := 0, ""
	for i := range min(len(w), len(g)) {
		if w[i] == g[i] || w[i] == withoutComment(g[i]) {
			continue
		}
		if different++; different == 1 {
			first = fmt.Sprintf("\n got %s\nwant %s", g[i], w[i])
		}
	}
	if different == 0 && len(w) == len(g) {
		return ""
	}
	return fmt.Sprintf("%d lines, want %d; %d differ%s", len(g)-1, len(w)-1, different, first)
}

// withoutComment returns a line of verdicts without what only comments tell.
func withoutComment(line string) string {
	columns := strings.Split(line, "|")
	if len(columns) == len(fields)+1 {
		columns[10], columns[11] = "", ""
	}
	return strings.Join(columns, "|")
}

// converted returns one capture of ours in the other formats that annotate
// reads.
func converted(t testing.TB) []string {
	t.Helper()
	dir, from := t.TempDir(), own(t, "port_scan_syn.pcapng")
	var list []string
	for _, format := range []string{"pcap", "nsecpcap", "modpcap", "nokiapcap"} {
		path := filepath.Join(dir, format+".pcap")
		run(t, "editcap", "-F", format, from, path)
		list = append(list, path)
	}
	run(t, "sh", "-c", `gzip <"$0" >"$1" && zstd -q <"$0" >"$2"`, from, filepath.Join(dir, "gzip.pcapng.gz"), filepath.Join(dir, "zstd.pcapng.zst"))
	return append(list, filepath.Join(dir, "gzip.pcapng.gz"), filepath.Join(dir, "zstd.pcapng.zst"))
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

// maxLabelled is the largest labelled capture to read, in bytes; some two dozen are larger.
const maxLabelled = 2_000_000

// labelled returns a selection of the labelled captures, none where they are
// missing: the smallest of each combination of file format and link types; with
// AMPULLA_FULL=1 also every tenth in the order of paths, and with
// AMPULLA_FULL=all the lot. Those over maxLabelled are left out.
func labelled(t *testing.T) (list []string) {
	t.Run("labelled", func(t *testing.T) {
		type capture struct {
			path string
			size int64
		}
		smallest := map[string]capture{}
		for i, path := range capturetest.Files(t, capturetest.Labelled(t)) {
			info, err := os.Stat(path)
			if err != nil || info.Size() > maxLabelled {
				continue
			}
			kind := kindOf(t, path)
			if best, ok := smallest[kind]; !ok || info.Size() < best.size {
				smallest[kind] = capture{path, info.Size()}
			}
			if capturetest.Full() && (i%10 == 0 || os.Getenv("AMPULLA_FULL") == "all") {
				list = append(list, path)
			}
		}
		for _, best := range smallest {
			list = append(list, best.path)
		}
		slices.Sort(list)
		list = slices.Compact(list)
	})
	return list
}

// kindOf returns the format of a capture file and the link types in it.
func kindOf(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for r := pcapng.NewReader(bytes.NewReader(data)); ; {
		b, err := r.Next()
		if err != nil {
			slices.Sort(links)
			return fmt.Sprintf("%x %s", data[:min(4, len(data))], strings.Join(slices.Compact(links), " "))
		}
		if b.IsFrame() {
			links = append(links, strconv.Itoa(int(b.Frame().LinkType)))
		}
	}
}

// TestPartlyAnnotated reads a capture in which annotate has commented what it
// flagged: the annotator is asked about the rest only, and nothing else is
// different.
func TestPartlyAnnotated(t *testing.T) {
	path, list := demo(t)
	lines := strings.SplitAfter(expected(t, path), "\n")
	for i, f := range list {
		if flagged(f) {
			lines[i] = strings.Replace(lines[i], "|annotator|", "|comment|", 1)
		}
	}
	want := strings.Join(lines, "")
	annotated := filepath.Join(t.TempDir(), "annotated.pcapng")
	run(t, filepath.Join(programs(t), "ampulla"), "annotate", path, annotated)
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		for _, m := range modes {
			if m.drops {
				continue
			}
			if difference := firstDifference(want, s.inMode(t, annotated, m).stdout); difference != "" {
				t.Errorf("%s: %s", m.name, difference)
			}
		}
	})
}

// TestRenumbered drops frames with a read filter so that frames of a scan, all
// alike, move up.
func TestRenumbered(t *testing.T) {
	const filter = "tcp.flags.syn == 1 && tcp.dstport > 1000"
	path := own(t, "port_scan_syn.pcapng")
	eachAsking(t, func(t *testing.T, s *shark, _ annotator) {
		t.Parallel()
		kept := s.try(t, "-r", path, "-Y", filter, "-T", "fields", "-e", "frame.number")
		want := renumbered(expected(t, path), kept.stdout)
		for _, env := range [][]string{nil, {"AMPULLA_READAHEAD=0"}} {
			got := s.inMode(t, path, mode{options: []string{"-2", "-R", filter}, env: env})
			if difference := firstDifference(want, got.stdout); difference != "" {
				t.Errorf("%s: %s", env, difference)
			}
		}
	})
}
