package lua_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"ampulla/lua"
)

// profileFile returns a file of the profile AI.
func profileFile(t testing.TB, name string) string {
	t.Helper()
	text, err := lua.Profiles.ReadFile("profile/AI/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestProfile has each tshark read the profile AI: its columns show verdicts,
// its filters are valid, and without the plugin nothing breaks.
func TestProfile(t *testing.T) {
	var filters []string
	for _, m := range regexp.MustCompile(`(?m)^"TRUE","[^"]*","([^"]*)"`).FindAllStringSubmatch(profileFile(t, "dfilter_buttons"), -1) {
		filters = append(filters, strings.ReplaceAll(m[1], `\x22`, `"`))
	}
	for _, m := range regexp.MustCompile(`(?m)^@AI[^@]*@([^@]*)@`).FindAllStringSubmatch(profileFile(t, "colorfilters"), -1) {
		filters = append(filters, m[1])
	}
	if len(filters) != 10 {
		t.Fatalf("%d filters", len(filters))
	}
	eachShark(t, func(t *testing.T, s *shark) {
		entries, err := lua.Profiles.ReadDir("profile/AI")
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, entry := range entries {
			files[entry.Name()] = profileFile(t, entry.Name())
		}
		s.profile(t, "AI", files)
		path := capture(t, mixed...)
		// An error if one is not valid.
		out := s.run(t, "-C", "AI", "-r", path, "-Y", "("+strings.Join(filters, ") || (")+")")
		for _, want := range []string{"unknown", "0.97", "port_scan"} {
			if !strings.Contains(out, want) {
				t.Errorf("columns have no %s: %s", want, out)
			}
		}
		bare := s.bare(t, "-C", "AI", "-r", path)
		if bare.err != nil || strings.Count(bare.stdout, "\n") != len(mixed) {
			t.Errorf("without the plugin: %v: %s%s", bare.err, bare.stdout, bare.stderr)
		}
	})
}

// TestProfileKeepsRules holds the colour rules to those of the Wireshark that is
// installed, ours apart: the profile takes nothing away.
func TestProfileKeepsRules(t *testing.T) {
	theirs, err := os.ReadFile("/usr/share/wireshark/colorfilters")
	if err != nil {
		t.Skip("no Wireshark here: ", err)
	}
	rules := profileFile(t, "colorfilters")
	for line := range strings.Lines(string(theirs)) {
		if strings.HasPrefix(line, "@") && !strings.Contains(rules, line) {
			t.Errorf("missing: %s", line)
		}
	}
}
