package lua_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ampulla/lua"

	"github.com/google/go-cmp/cmp"
)

// vector is a comment and what is to be read from it. With neither Verdict nor
// Error, the comment is none of ours.
type vector struct {
	Name    string         `json:"name"`
	Comment string         `json:"comment"`
	Verdict map[string]any `json:"verdict"`
	Error   string         `json:"error"` // the key at fault
}

func vectors(t *testing.T) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/comments.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(data, &vs); err != nil {
		t.Fatal(err)
	}
	return vs
}

// result is what testdata/parse.lua prints for one comment. Numbers are in
// thousandths.
type result map[string]string

func (v vector) want() result {
	want := result{}
	for key, value := range v.Verdict {
		if x, ok := value.(float64); ok {
			value = strconv.FormatFloat(x*1000, 'f', 0, 64)
		}
		want[key] = fmt.Sprint(value)
	}
	return want
}

// interpreters returns the plain Luas that are installed, of the versions in
// Wireshark.
func interpreters(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, name := range []string{"lua5.2", "lua5.4"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("neither lua5.2 nor lua5.4 installed")
	}
	return found
}

// parse runs comments through ai.lua's parser in a plain Lua.
func parse(t *testing.T, interpreter string, comments []string, args, env []string) []result {
	t.Helper()
	var in bytes.Buffer
	for _, c := range comments {
		fmt.Fprintf(&in, "%d\n%s", len(c), c)
	}
	cmd := exec.Command(interpreter, append([]string{"testdata/parse.lua", "ai.lua"}, args...)...)
	cmd.Stdin = &in
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", interpreter, err, stderr.Bytes())
	}
	var results []result
	r := result{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if lines.Text() == "." {
			results = append(results, r)
			r = result{}
			continue
		}
		key, value, _ := strings.Cut(lines.Text(), "=")
		r[key] = value
	}
	if len(results) != len(comments) {
		t.Fatalf("%d results for %d comments", len(results), len(comments))
	}
	return results
}

func TestParseVectors(t *testing.T) {
	vs := vectors(t)
	comments := make([]string, len(vs))
	for i, v := range vs {
		comments[i] = v.Comment
	}
	check := func(t *testing.T, results []result) {
		for i, v := range vs {
			got, want := results[i], v.want()
			if v.Error != "" {
				prefix := "malformed ai/1 comment: " + v.Error + ": "
				if v.Error == "score" && got["problem"] == "malformed ai/1 comment: no score" {
					continue
				}
				if !strings.HasPrefix(got["problem"], prefix) {
					t.Errorf("%s: %v, want a problem that starts with %q", v.Name, got, prefix)
				}
				continue
			}
			delete(got, "headline")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", v.Name, diff)
			}
		}
	}
	for _, interpreter := range interpreters(t) {
		t.Run(filepath.Base(interpreter), func(t *testing.T) {
			check(t, parse(t, interpreter, comments, nil, nil))
		})
	}
	t.Run("decimal comma", func(t *testing.T) {
		env := german(t)
		for _, interpreter := range interpreters(t) {
			check(t, parse(t, interpreter, comments, []string{germanLocale}, env))
		}
	})
}

const germanLocale = "de_DE.UTF-8"

// german makes a locale with a decimal comma and returns the environment in
// which it is found.
func german(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("localedef", "-i", "de_DE", "-f", "UTF-8", filepath.Join(dir, germanLocale)).CombinedOutput()
	if err != nil {
		t.Skipf("no locale with a decimal comma: %v: %s", err, out)
	}
	return []string{"LOCPATH=" + dir, "LC_ALL=" + germanLocale}
}

// TestParseOdd has what JSON cannot hold or no other reader needs to agree on.
func TestParseOdd(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	tests := []struct {
		name, comment string
		want          result
	}{
		{"newer grammar", "AI: x\nai/2 score=1", result{
			"problem": "a comment in grammar ai/2, but this plugin (0.1.0) reads ai/1 only"}},
		{"absurd grammar", "ai/" + strings.Repeat("9", 60_000) + " x", result{
			"problem": "a comment in grammar ai/999999999, but this plugin (0.1.0) reads ai/1 only"}},
		{"bytes that are no text", "AI: \xff, score 1: a\xffb\x01\nai/1 score=1 type=a\xff class=%00%ff model=\xc3\xbc%41", result{
			"class": "%00%ff", "model": "üA", "type": "a?", "score": "1000", "verdict": "anomalous",
			"reason": "a?b?", "headline": "a?, score 1.00"}},
		{"long number", "ai/1 score=0." + strings.Repeat("3", 60_000), result{
			"problem": "malformed ai/1 comment: score: 0." + strings.Repeat("3", 38) + " is not between 0 and 1"}},
		{"60 kB reason", "AI: flood, score 1.00: " + long + "\nai/1 score=1 type=flood", result{
			"class": "unknown", "score": "1000", "verdict": "anomalous", "type": "flood", "reason": long, "headline": "flood, score 1.00"}},
		{"60,000 lines", strings.Repeat("\n", 60_000) + "ai/1 score=0", result{
			"class": "unknown", "score": "0", "verdict": "normal", "headline": "unknown, score 0.00"}},
		{"60,000 blanks", "ai/1 score=0" + strings.Repeat(" ", 60_000), result{
			"class": "unknown", "score": "0", "verdict": "normal", "headline": "unknown, score 0.00"}},
		{"60 kB word", "ai/1 score=0 " + long, result{
			"class": "unknown", "score": "0", "verdict": "normal", "headline": "unknown, score 0.00"}},
		{"60 kB of digits, almost", "ai/1 score=" + strings.Repeat("0", 60_000) + "x", result{
			"problem": "malformed ai/1 comment: score: " + strings.Repeat("0", 40) + " is not between 0 and 1"}},
		{"60,000 scores and no reason", "AI: " + strings.Repeat(", score ", 7_500) + "\nai/1 score=0 type=x", result{
			"class": "unknown", "score": "0", "verdict": "normal", "type": "x", "headline": "x, score 0.00"}},
		{"type in words", "ai/1 score=0.805 type=brute_force", result{
			"class": "unknown", "score": "805", "verdict": "anomalous", "type": "brute_force", "headline": "brute force, score 0.81"}},
		{"type in capitals", "ai/1 score=0.9 type=dns_tunnel", result{
			"class": "unknown", "score": "900", "verdict": "anomalous", "type": "dns_tunnel", "headline": "DNS tunnel, score 0.90"}},
	}
	comments := make([]string, len(tests))
	for i, tt := range tests {
		comments[i] = tt.comment
	}
	for _, interpreter := range interpreters(t) {
		t.Run(filepath.Base(interpreter), func(t *testing.T) {
			for i, got := range parse(t, interpreter, comments, nil, nil) {
				if diff := cmp.Diff(tests[i].want, got); diff != "" {
					t.Errorf("%s: %s", tests[i].name, diff)
				}
			}
		})
	}
}

// TestSource runs the compilers and the linter for both versions of Lua.
func TestSource(t *testing.T) {
	// It stays one file, as that is what a colleague drops into a folder.
	if lines := strings.Count(lua.Script, "\n"); lines > 550 {
		t.Errorf("ai.lua has %d lines", lines)
	}
	for _, command := range [][]string{
		{"luac5.2", "-p", "ai.lua", "ai_ask.lua", "ai_menu.lua"},
		{"luac5.4", "-p", "ai.lua"}, // 5.4's may crash with two
		{"luac5.4", "-p", "ai_ask.lua"},
		{"luac5.4", "-p", "ai_menu.lua"},
		{"luacheck", "--no-color", "--std", "lua52", "ai.lua", "ai_ask.lua", "ai_menu.lua"},
		{"luacheck", "--no-color", "--std", "lua54", "ai.lua", "ai_ask.lua", "ai_menu.lua"},
		{"shellcheck", "wireshark.sh", "bench.sh"},
	} {
		t.Run(strings.Join(command, " "), func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip(command[0], "not installed")
			}
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
