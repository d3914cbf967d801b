package plugin

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/lua"
)

// place is a machine of its own in a folder: a home, the system's folders, and a
// build with its files.
type place struct {
	dir   string
	cfg   Config // for one user
	shark Wireshark
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	p := &place{dir: dir}
	p.cfg = Config{
		Prefix:   p.path("home/.local"),
		Manifest: p.path("home/.local/share/ampulla/installed"),
		Units:    p.path("home/.config/systemd/user"),
		Enabled:  p.path("home/.config/systemd/user"),
		From:     []string{p.path("build")},
	}
	p.shark = Wireshark{
		Program:  "/usr/bin/tshark",
		Settings: p.path("home/.config/wireshark"),
		personal: folders{p.path("home/.local/lib/wireshark/plugins"), p.path("home/.config/wireshark/extcap"), p.path("home/.config/wireshark/profiles")},
		global:   folders{p.path("usr/lib/wireshark/plugins"), p.path("usr/lib/wireshark/extcap"), p.path("usr/share/wireshark/profiles")},
	}
	for _, name := range []string{programName, moduleName, extcapName, runtimeName} {
		p.write(t, "build/"+name, "Ampulla's "+name)
	}
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// files returns everything there is but the build: the text of files, the
// targets of links, and folders as "/".
func (p *place) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(p.dir, path)
		switch {
		case name == "build":
			return filepath.SkipDir
		case entry.IsDir():
			all[name] = "/"
		case entry.Type() == fs.ModeSymlink:
			all[name], err = os.Readlink(path)
		default:
			var text []byte
			text, err = os.ReadFile(path)
			all[name] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (p *place) install(t *testing.T, cfg Config) []string {
	t.Helper()
	items, err := Install(t.Context(), cfg, []Wireshark{p.shark})
	if err != nil {
		t.Fatal(err)
	}
	return p.states(items)
}

// states lists items in words, without those that are unchanged.
func (p *place) states(items []Item) []string {
	var list []string
	for _, item := range items {
		if item.State != "unchanged" {
			list = append(list, item.State+" "+strings.TrimPrefix(item.Path, p.dir+"/"))
		}
	}
	return list
}

// TestInstall installs everything, again, and removes it in both ways.
func TestInstall(t *testing.T) {
	p := newPlace(t)
	p.write(t, "home/.local/bin/other", "somebody's")
	before := p.files(t)
	all := p.cfg
	all.Program, all.Service = true, true
	want := []string{
		"installed home/.local/bin/ampulla",
		"installed home/.local/lib/ampulla/ampulla-native.so",
		"installed home/.local/lib/ampulla/ampulla-extcap",
		"installed home/.local/lib/ampulla/libonnxruntime.so",
		"installed home/.local/lib/wireshark/plugins/ampulla/ai.lua",
		"installed home/.local/lib/wireshark/plugins/ampulla/ai_ask.lua",
		"installed home/.local/lib/wireshark/plugins/ampulla/ai_menu.lua",
		"installed home/.local/lib/wireshark/plugins/ampulla/ampulla.so",
		"installed home/.config/wireshark/extcap/ampulla-extcap",
		"installed home/.config/systemd/user/ampulla.socket",
		"installed home/.config/systemd/user/ampulla.service",
		"installed home/.config/systemd/user/sockets.target.wants/ampulla.socket",
	}
	if diff := cmp.Diff(want, p.install(t, all)); diff != "" {
		t.Error(diff)
	}
	installed := p.files(t)
	if got := installed["home/.local/lib/wireshark/plugins/ampulla/ai.lua"]; got != lua.Script {
		t.Errorf("ai.lua has %d bytes instead of %d", len(got), len(lua.Script))
	}
	for name, mode := range map[string]fs.FileMode{
		"home/.local/bin/ampulla": 0o755, "home/.config/wireshark/extcap/ampulla-extcap": 0o755,
		"home/.local/lib/wireshark/plugins/ampulla/ai.lua": 0o644,
	} {
		if info, err := os.Stat(p.path(name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	// Units, once installed, stay.
	if again := p.install(t, p.cfg); len(again) > 0 {
		t.Errorf("the second time: %v", again)
	}
	if diff := cmp.Diff(installed, p.files(t)); diff != "" {
		t.Error(diff)
	}
	items, err := Remove(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != 8 {
		t.Errorf("removed %v", p.states(items))
	}
	for _, name := range []string{"home/.local/lib/wireshark", "home/.config"} {
		if exists(p.path(name)) {
			t.Errorf("%s is still there", name)
		}
	}
	if !exists(p.path("home/.local/lib/ampulla/libonnxruntime.so")) {
		t.Error("the program's library has gone, too")
	}
	// What install.sh --uninstall does with the manifest.
	m, err := readManifest(p.cfg.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cfg.removeFiles(m, m.files); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.files(t)); diff != "" {
		t.Error(diff)
	}
}

// TestInstallIsWhole lets installations fail and wants nothing changed.
func TestInstallIsWhole(t *testing.T) {
	for _, test := range []struct {
		name    string
		prepare func(p *place) context.Context
	}{
		{"a file where a folder should be", func(p *place) context.Context {
			p.write(t, "home/.config/wireshark/extcap", "")
			return t.Context()
		}},
		{"somebody else's file", func(p *place) context.Context {
			p.write(t, "home/.config/wireshark/extcap/ampulla-extcap", "somebody's")
			return t.Context()
		}},
		{"somebody else's library", func(p *place) context.Context {
			p.write(t, "home/.local/lib/ampulla/libonnxruntime.so", "somebody's")
			return t.Context()
		}},
		{"no place for the manifest", func(p *place) context.Context {
			p.write(t, "home/.local/share", "")
			return t.Context()
		}},
		{"interrupted", func(*place) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return ctx
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlace(t)
			ctx := test.prepare(p)
			before := p.files(t)
			cfg := p.cfg
			cfg.Program = true
			if items, err := Install(ctx, cfg, []Wireshark{p.shark}); err == nil {
				t.Errorf("installed %v", p.states(items))
			}
			if diff := cmp.Diff(before, p.files(t)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMoved wants files to follow when a Wireshark looks elsewhere, such as 4.2
// for extcaps, and what was made for them gone.
func TestMoved(t *testing.T) {
	p := newPlace(t)
	p.install(t, p.cfg)
	p.shark.personal.extcap = p.path("home/.local/lib/wireshark/extcap")
	want := []string{
		"installed home/.local/lib/wireshark/extcap/ampulla-extcap",
		"removed home/.config/wireshark/extcap/ampulla-extcap",
	}
	if diff := cmp.Diff(want, p.install(t, p.cfg)); diff != "" {
		t.Error(diff)
	}
	if exists(p.path("home/.config")) {
		t.Error("the folder made for it is still there")
	}
}

// TestForEveryone wants a user's plugin gone when there is one for everyone,
// which is the one that Wireshark runs.
func TestForEveryone(t *testing.T) {
	p := newPlace(t)
	p.install(t, p.cfg)
	everyone := p.cfg
	everyone.Everyone = true
	everyone.Prefix, everyone.Manifest = p.path("usr/local"), p.path("usr/local/share/ampulla/installed")
	want := []string{
		"installed usr/lib/wireshark/plugins/ampulla/ai.lua",
		"installed usr/lib/wireshark/plugins/ampulla/ai_ask.lua",
		"installed usr/lib/wireshark/plugins/ampulla/ai_menu.lua",
		"installed usr/lib/wireshark/plugins/ampulla/ampulla.so",
		"installed usr/lib/wireshark/extcap/ampulla-extcap",
	}
	if diff := cmp.Diff(want, p.install(t, everyone)); diff != "" {
		t.Error(diff)
	}
	want = []string{
		"kept usr/lib/wireshark/plugins/ampulla/ai.lua",
		"removed home/.local/lib/wireshark/plugins/ampulla/ai.lua",
		"removed home/.local/lib/wireshark/plugins/ampulla/ai_ask.lua",
		"removed home/.local/lib/wireshark/plugins/ampulla/ai_menu.lua",
		"removed home/.local/lib/wireshark/plugins/ampulla/ampulla.so",
		"removed home/.config/wireshark/extcap/ampulla-extcap",
	}
	if diff := cmp.Diff(want, p.install(t, p.cfg)); diff != "" {
		t.Error(diff)
	}
	if home := slices.DeleteFunc(slices.Collect(maps.Keys(p.files(t))), func(name string) bool {
		return !strings.HasPrefix(name, "home")
	}); len(home) > 0 {
		t.Errorf("in the home there is still %v", home)
	}
}

// TestStrays finds copies of ai.lua that would be run instead.
func TestStrays(t *testing.T) {
	p := newPlace(t)
	p.write(t, "home/.local/lib/wireshark/plugins/ai.lua", lua.Script)
	p.write(t, "home/.local/lib/wireshark/plugins/ampulla.so", "Ampulla's module")
	p.write(t, "home/.config/wireshark/plugins/deep/down/verdicts.lua", lua.Script)
	p.write(t, "home/.local/lib/wireshark/plugins/dns.lua", `local p = Proto("dnsx", "not ours")`)
	p.write(t, "home/.local/lib/wireshark/plugins/notes.txt", lua.Script)
	p.write(t, "usr/lib/wireshark/plugins/ai.lua", lua.Script)
	p.write(t, "usr/lib/wireshark/plugins/theirs.lua", `local p = Proto.new( 'ai', "Somebody else's")`)
	want := []string{
		"kept usr/lib/wireshark/plugins/ai.lua",
		"kept usr/lib/wireshark/plugins/theirs.lua",
		"removed home/.local/lib/wireshark/plugins/ai.lua",
		"removed home/.local/lib/wireshark/plugins/ampulla.so",
		"removed home/.config/wireshark/plugins/deep/down/verdicts.lua",
	}
	if diff := cmp.Diff(want, p.states(p.cfg.strays([]Wireshark{p.shark, p.shark}))); diff != "" {
		t.Error(diff)
	}
	everyone := p.cfg
	everyone.Everyone = true
	want = []string{"removed usr/lib/wireshark/plugins/ai.lua", "kept usr/lib/wireshark/plugins/theirs.lua"}
	if diff := cmp.Diff(want, p.states(everyone.strays([]Wireshark{p.shark}))); diff != "" {
		t.Error(diff)
	}
}

// TestCheckModule loads nothing; it looks at modules that gcc makes.
func TestCheckModule(t *testing.T) {
	dir := t.TempDir()
	compile := func(name, source string) string {
		path := filepath.Join(dir, name)
		cmd := exec.Command("gcc", "-shared", "-o", path, "-x", "c", "-")
		cmd.Stdin = strings.NewReader(source)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("gcc: %v %s", err, out)
		}
		return path
	}
	good := compile("good.so", "int luaopen_ampulla(void *L) { return 0; }")
	other := compile("other.so", "extern int luaopen_ampulla(void *L); int f(void *L) { return luaopen_ampulla(L); }")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkModule(good, self); err != nil {
		t.Error(err)
	}
	if err := checkModule(good, filepath.Join(dir, "script")); err != nil {
		t.Errorf("with a program that is no ELF file: %v", err)
	}
	foreign := filepath.Join(dir, "foreign.so")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	text[18] ^= 1 // e_machine, see elf(5)
	if err := os.WriteFile(foreign, text, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{other, foreign, filepath.Join(dir, "missing")} {
		if err := checkModule(bad, self); err == nil {
			t.Errorf("%s is fine", bad)
		}
	}
}

// TestUnits wants a path with anything in it to reach systemd as it is.
func TestUnits(t *testing.T) {
	p := newPlace(t)
	p.cfg.Prefix, p.cfg.Program = `/home/a "b" $HOME 5% \n/.local`, true
	parts, err := p.cfg.serviceParts()
	if err != nil {
		t.Fatal(err)
	}
	const want = `ExecStart="/home/a \"b\" $$HOME 5%% \\n/.local/bin/ampulla" serve` + "\n"
	if !slices.ContainsFunc(parts, func(q part) bool { return strings.Contains(q.text, want) }) {
		t.Errorf("no unit has %s", want)
	}
}

// TestTaken wants the error to say what to do.
func TestTaken(t *testing.T) {
	p := newPlace(t)
	p.write(t, "home/.local/lib/wireshark/plugins/ampulla/ai.lua", "-- somebody's")
	_, err := Install(t.Context(), p.cfg, []Wireshark{p.shark})
	if taken, ok := errors.AsType[*TakenError](err); !ok || taken.Hint() == "" {
		t.Errorf("error %v", err)
	}
}
