package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/doctor"
	"ampulla/annotator/plugin"
	"ampulla/annotator/score/ort"
)

// patient is the home of a user who has Ampulla, and what runs there.
type patient struct {
	home, program string
	env           []string
	few           string // $PATH without the Wiresharks that were fetched
}

// newPatient installs the program into a home of its own, as install.sh would,
// for the tshark of this machine and those that lua/wireshark.sh fetched.
func newPatient(t *testing.T) *patient {
	t.Helper()
	program := buildProgram(t)
	library, _ := testScorer(t).(*ort.Scorer).Library()
	if sharks, err := plugin.Find(t.Context()); err != nil || slices.ContainsFunc(sharks, plugin.Wireshark.ForEveryone) {
		t.Skipf("no tshark, or the plugin is installed for everyone, which comes first (%v)", err)
	}
	cache, _ := os.UserCacheDir()
	others, _ := filepath.Glob(filepath.Join(cache, "ampulla-wireshark", "*", "tshark"))
	p := &patient{home: t.TempDir()}
	p.program = filepath.Join(p.home, ".local/bin/ampulla")
	p.few = "PATH=" + filepath.Dir(p.program) + ":" + os.Getenv("PATH")
	path := p.few
	for _, other := range others {
		path += ":" + filepath.Dir(other)
	}
	p.env = append(os.Environ(), "HOME="+p.home, path, "AMPULLA_ONNXRUNTIME="+library,
		"XDG_RUNTIME_DIR="+t.TempDir(), "XDG_CONFIG_HOME=", "XDG_CACHE_HOME=", "AMPULLA=", "AMPULLA_SOCKET=")
	p.write(t, ".config/wireshark/preferences", "# somebody's\n")
	p.write(t, ".local/lib/wireshark/plugins/mine.lua", "-- somebody's\n")
	p.write(t, ".local/bin/other", "somebody's\n")
	copyFile(t, p.program, program)
	return p
}

func (p *patient) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// do runs a command of the program.
func (p *patient) do(t *testing.T, args ...string) {
	t.Helper()
	command := exec.Command(p.program, args...)
	command.Env = p.env
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("ampulla %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// examine returns what the doctor finds wrong, but for the right to capture,
// which is whoever's runs the test.
func (p *patient) examine(t *testing.T, env ...string) (wrong []doctor.Finding) {
	t.Helper()
	command := exec.Command(p.program, "doctor", "--user", "--json", "--from", filepath.Join(p.home, "build"))
	command.Env = append(p.env, env...)
	out, err := command.Output()
	var report doctor.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if failed := errors.As(err, new(*exec.ExitError)); failed != (report.Wrong > 0) || err != nil && !failed {
		t.Errorf("%d are wrong, and the error is %v", report.Wrong, err)
	}
	for _, section := range report.Sections {
		for _, finding := range section.Findings {
			if finding.Mend != "" && section.Title != "Capturing" {
				wrong = append(wrong, finding)
			}
		}
	}
	return wrong
}

// files returns all that is in the home: texts, links, folders, and modes.
func (p *patient) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(p.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := ""
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(content)
		}
		all[path] = info.Mode().String() + " " + text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestDoctor installs the plugin for every Wireshark there is, breaks it in each
// way that the doctor knows, and mends it by the commands that the doctor names.
// Removing it leaves the home as it was.
func TestDoctor(t *testing.T) {
	p := newPatient(t)
	build := p.build(t)
	before := p.files(t)
	for _, finding := range p.examine(t, p.few) {
		if finding.State != "missing" || finding.Mend != p.program+" plugin install"+asUser() {
			t.Errorf("before: %+v", finding)
		}
	}
	p.do(t, "plugin", "install", "--user", "--from", build, "--service")
	if wrong := p.examine(t); len(wrong) > 0 {
		t.Fatalf("installed, and wrong: %+v", wrong)
	}
	p.breakAndMend(t, build)
	for _, name := range []string{".config/wireshark/plugins", ".config/wireshark/disabled_protos", ".local/lib/wireshark/plugins/it's broken.lua.off"} {
		if err := os.Remove(filepath.Join(p.home, name)); err != nil {
			t.Error(err)
		}
	}
	p.do(t, "plugin", "remove", "--user")
	if diff := cmp.Diff(before, p.files(t)); diff != "" {
		t.Errorf("the home is not as it was:\n%s", diff)
	}
}

// build makes what Wireshark loads, and returns the folder.
func (p *patient) build(t *testing.T) string {
	t.Helper()
	build := filepath.Join(p.home, "build")
	for name, args := range map[string][]string{
		"ampulla-native.so": {"-buildmode=c-shared", "../lua/native"},
		"ampulla-extcap":    {"../extcap"},
	} {
		command := exec.Command("go", append([]string{"build", "-o", filepath.Join(build, name)}, args...)...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	_ = os.Remove(filepath.Join(build, "ampulla-native.h"))
	return build
}

func asUser() string {
	if os.Geteuid() == 0 {
		return " --user"
	}
	return ""
}

// ailment is one thing that goes wrong, and how the doctor tells of it.
type ailment struct {
	state, detail string
	make          func(t *testing.T)
}

// breakAndMend goes through what can go wrong, several things at a time.
func (p *patient) breakAndMend(t *testing.T, build string) {
	const plugins, settings = ".local/lib/wireshark/plugins/", ".config/wireshark/"
	const script, module = plugins + "ampulla/ai.lua", plugins + "ampulla/ampulla.so"
	text, err := os.ReadFile(filepath.Join(p.home, script))
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range []struct {
		env      string // what makes it, and mending does not help
		ailments []ailment
	}{
		{"", []ailment{
			{"error", "line 1", func(t *testing.T) { p.write(t, plugins+"it's broken.lua", "this is no Lua") }},
			{"differs", "another version", func(t *testing.T) { p.write(t, module, "Ampulla's, once") }},
			{"stray", "older copy", func(t *testing.T) { p.write(t, settings+"plugins/ai.lua", string(text)) }},
			{"turned off", "Enabled Protocols", func(t *testing.T) { p.write(t, settings+"disabled_protos", "ai\n") }},
		}},
		{"", []ailment{
			{"turned off", "ai.ask", func(t *testing.T) { p.write(t, settings+"preferences", "# somebody's\nai.ask: FALSE\n") }},
			{"missing", "", func(t *testing.T) { _ = os.Remove(filepath.Join(p.home, settings, "extcap/ampulla-extcap")) }},
		}},
		{"AMPULLA_ONNXRUNTIME=/nowhere.so", []ailment{
			{"missing", "1.24", func(*testing.T) {}},
			{"failed", "/nowhere.so", func(*testing.T) {}},
		}},
		{"XDG_CONFIG_HOME=" + mistaken(t), []ailment{{"failed", "no whole number; put that right", func(*testing.T) {}}}},
		{"AMPULLA=/bin/false", []ailment{{"broken", "does not run", func(*testing.T) {}}}},
	} {
		for _, ailment := range round.ailments {
			ailment.make(t)
		}
		wrong := p.examine(t, p.few, round.env)
		for _, ailment := range round.ailments {
			if !slices.ContainsFunc(wrong, func(f doctor.Finding) bool {
				return f.State == ailment.state && strings.Contains(f.Detail+"; "+f.Mend, ailment.detail)
			}) {
				t.Errorf("%s, %s: not in %+v", ailment.state, ailment.detail, wrong)
			}
		}
		if round.env == "" {
			p.mend(t, wrong, build)
			if wrong := p.examine(t, p.few); len(wrong) > 0 {
				t.Errorf("mended, and still wrong: %+v", wrong)
			}
		}
	}
}

// mistaken returns a folder with a configuration that cannot be.
func mistaken(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "ampulla"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ampulla", "config.yaml"), []byte("limits: {max_packets: many}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// mend runs the commands that the doctor names, each once.
func (p *patient) mend(t *testing.T, wrong []doctor.Finding, build string) {
	t.Helper()
	done := map[string]bool{}
	for _, finding := range wrong {
		if done[finding.Mend] {
			continue
		}
		done[finding.Mend] = true
		command := exec.Command("sh", "-c", strings.Replace(finding.Mend, "plugin install", "plugin install --from "+build, 1))
		command.Env = p.env
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", finding.Mend, err, out)
		}
	}
}
