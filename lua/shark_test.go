package lua_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ampulla/lua"
)

// shark is one tshark, with ai.lua in a file that it can read.
type shark struct {
	path    string
	version string // "4.0"
	script  string // path of ai.lua, with ai_ask.lua beside it
	home    string
	env     []string
	wrap    []string // what runs it, if anything does
}

// tsharks returns the tsharks to test: those in $AMPULLA_TSHARKS, a list as in
// $PATH; without it, the one in $PATH and those fetched by wireshark.sh.
func tsharks() []string {
	if list, ok := os.LookupEnv("AMPULLA_TSHARKS"); ok {
		return filepath.SplitList(list)
	}
	var found []string
	if path, err := exec.LookPath("tshark"); err == nil {
		found = append(found, path)
	}
	cache := os.Getenv("AMPULLA_WIRESHARKS")
	if cache == "" {
		dir, _ := os.UserCacheDir()
		cache = filepath.Join(dir, "ampulla-wireshark")
	}
	fetched, _ := filepath.Glob(filepath.Join(cache, "*", "tshark"))
	return append(found, fetched...)
}

var tsharkVersion = regexp.MustCompile(`\(Wireshark\) (\d+\.\d+)\.`)

// eachShark runs a test with every tshark, and skips it without one.
func eachShark(t *testing.T, test func(t *testing.T, s *shark)) {
	paths := tsharks()
	if len(paths) == 0 {
		t.Skip("no tshark installed; lua/wireshark.sh fetches some")
	}
	for _, path := range paths {
		out, err := exec.Command(path, "--version").Output()
		version := tsharkVersion.FindSubmatch(out)
		if version == nil {
			t.Logf("skipping %s: does not run: %v", path, err)
			continue
		}
		t.Run(string(version[1]), func(t *testing.T) {
			s := &shark{path: path, version: string(version[1]), home: t.TempDir()}
			s.script = filepath.Join(t.TempDir(), "ai.lua")
			writeFiles(t, filepath.Dir(s.script), map[string]string{"ai.lua": lua.Script, "ai_ask.lua": lua.Asker})
			s.env = append(s.env, "WIRESHARK_PLUGIN_DIR="+t.TempDir()) // in vain as root
			found, complaint := s.probe(t)
			switch found {
			case "":
				t.Skipf("this tshark runs no Lua here (root's it does not, since 4.4): %s", complaint)
			case "installed":
				s.hideInstalled(t)
			}
			test(t, s)
		})
	}
}

// writeFiles writes files into a folder, and the folders that they need.
func writeFiles(t testing.TB, dir string, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// probe tells whether an ai.lua is "installed" or "absent"; it is neither where
// tshark runs no Lua, and complaint may say why.
func (s *shark) probe(t *testing.T) (found, complaint string) {
	t.Helper()
	probe := filepath.Join(t.TempDir(), "probe.lua")
	script := `print("ai.lua is " .. (package.loaded["ampulla.ai"] and "installed" or "absent"))`
	if err := os.WriteFile(probe, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	out := s.bare(t, "-X", "lua_script:"+probe, "-r", capture(t))
	_, found, _ = strings.Cut(out.stdout, "ai.lua is ")
	return strings.TrimSpace(found), out.stderr
}

// hideInstalled takes the ai.lua that is installed for everyone out of the
// sight of this tshark: of several copies Wireshark runs but the first, and
// that one is not to be tested. Only root gets here.
func (s *shark) hideInstalled(t *testing.T) {
	t.Helper()
	installed := regexp.MustCompile(`\t(/.*)/ai\.lua\n`).FindStringSubmatch(s.bare(t, "-G", "plugins").stdout)
	if installed == nil {
		t.Fatal("an ai.lua is installed, and tshark does not tell where")
	}
	s.wrap = []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none "$0" && exec "$@"`, installed[1]}
	if found, complaint := s.probe(t); found != "absent" {
		t.Skipf("the ai.lua in %s would be tested instead; ./install.sh --uninstall removes it: %s", installed[1], complaint)
	}
}

type output struct {
	stdout, stderr string
	err            error
}

// command returns tshark with arguments, at home nowhere.
func (s *shark) command(args ...string) *exec.Cmd {
	line := slices.Concat(s.wrap, []string{s.path}, args)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir = s.home
	cmd.Env = append(os.Environ(), "HOME="+s.home, "XDG_CONFIG_HOME="+s.home+"/.config", "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.Env = append(cmd.Env, s.env...)
	return cmd
}

// bare runs tshark as it is.
func (s *shark) bare(t testing.TB, args ...string) output {
	t.Helper()
	cmd := s.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	return output{stdout.String(), stderr.String(), err}
}

// try runs tshark with ai.lua.
func (s *shark) try(t testing.TB, args ...string) output {
	t.Helper()
	return s.bare(t, append([]string{"-X", "lua_script:" + s.script}, args...)...)
}

// run runs tshark with ai.lua, insists that it has nothing to complain about,
// and returns what it prints.
func (s *shark) run(t testing.TB, args ...string) string {
	t.Helper()
	out := s.try(t, args...)
	out.mustBeQuiet(t, args)
	return out.stdout
}

func (o output) mustBeQuiet(t testing.TB, args []string) {
	t.Helper()
	complaint := ""
	for line := range strings.Lines(o.stderr) {
		if !strings.HasPrefix(line, "Running as user") {
			complaint += line
		}
	}
	if o.err != nil || complaint != "" {
		t.Fatalf("tshark %q: %v: %s", args, o.err, complaint)
	}
}
