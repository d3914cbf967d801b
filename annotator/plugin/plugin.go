// Package plugin puts what of Ampulla runs in Wireshark where Wireshark finds
// it, together with the units by which systemd starts the annotator, takes it
// away again, and tells what is there.
//
// An installation happens as a whole: a full disk or an interruption leaves
// everything as it was. A manifest lists what was installed. Nothing is replaced
// or removed that is neither listed there nor recognisably Ampulla's.
package plugin

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ampulla/lua"
)

// The files of a build.
const (
	programName = "ampulla"
	moduleName  = "ampulla-native.so"
	extcapName  = "ampulla-extcap"
	runtimeName = "libonnxruntime.so"
)

// Config says for whom to install, from where, and what. Start from [For].
type Config struct {
	// Everyone means Wireshark's global folders instead of one user's.
	Everyone bool
	// Prefix has the program in bin and lib/ampulla.
	Prefix string
	// Manifest is the file that lists what was installed.
	Manifest string
	// Units is systemd's folder for units of this kind, and Enabled the one in
	// which a link enables a socket.
	Units, Enabled string
	// From lists the folders in which to look for the files of a build.
	From []string
	// Program means to install the program itself below Prefix, too, with what
	// it needs there.
	Program bool
	// Profile has the files of the profile AI; nil means to install none.
	Profile fs.FS
	// Service means to install the units of systemd, too. Units that are
	// installed already are kept up to date without it.
	Service bool
}

// For returns how to install for everyone, or for the user of this process,
// what lies beside the running program or in its lib/ampulla.
func For(everyone bool) (Config, error) {
	self, err := executable()
	if err != nil {
		return Config{}, err
	}
	folder := filepath.Dir(self)
	cfg := Config{Everyone: true, Prefix: "/usr/local", Manifest: "/usr/local/share/ampulla/installed", Enabled: "/etc/systemd/user"}
	if folder == "/usr/bin" { // came with a package
		cfg.Prefix, cfg.Manifest = "/usr", "/var/lib/ampulla/installed"
	}
	cfg.Units = filepath.Join(cfg.Prefix, "lib", "systemd", "user")
	if !everyone {
		home, err := os.UserHomeDir()
		if err != nil {
			return Config{}, err
		}
		settings, err := os.UserConfigDir()
		if err != nil {
			return Config{}, err
		}
		units := filepath.Join(settings, "systemd", "user")
		prefix := filepath.Join(home, ".local")
		cfg = Config{Prefix: prefix, Manifest: filepath.Join(prefix, "share", "ampulla", "installed"), Units: units, Enabled: units}
	}
	if cfg.Profile, err = fs.Sub(lua.Profiles, "profile/"+profileName); err != nil {
		return Config{}, err
	}
	cfg.From = []string{folder, filepath.Join(folder, "..", "lib", "ampulla"), cfg.libraries()}
	return cfg, nil
}

// executable returns the path of the running program.
func executable() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(self)
}

func (c *Config) program() string   { return filepath.Join(c.Prefix, "bin", programName) }
func (c *Config) libraries() string { return filepath.Join(c.Prefix, "lib", "ampulla") }

// isProgram tells whether a file belongs to the program rather than to
// Wireshark or systemd.
func (c *Config) isProgram(path string) bool {
	return path == c.program() || filepath.Dir(path) == c.libraries()
}

// A part is one file to have in place: a copy of source, or text, or a symbolic
// link.
type part struct {
	target string
	source string
	text   string
	link   string
	mode   fs.FileMode
	// editable means that users may change the file, and that it then is theirs.
	editable bool
}

// parts returns all files to have in place, for these Wiresharks.
func (c *Config) parts(sharks []Wireshark, service bool) ([]part, error) {
	var all []part
	if c.Program {
		all = c.programParts()
	}
	for _, shark := range sharks {
		if !c.isForeign(shark) {
			all = append(all, c.sharkParts(shark)...)
		}
	}
	if service {
		units, err := c.serviceParts()
		if err != nil {
			return nil, err
		}
		all = append(all, units...)
	}
	var distinct []part // Wiresharks may share folders
	for _, p := range all {
		if !slices.ContainsFunc(distinct, func(q part) bool { return q.target == p.target }) {
			distinct = append(distinct, p)
		}
	}
	return distinct, nil
}

// programParts returns the program and its libraries, which lie where the
// program, and later installations, look for them.
func (c *Config) programParts() []part {
	library := func(name string, mode fs.FileMode) []part {
		return c.built(name, filepath.Join(c.libraries(), name), mode)
	}
	return slices.Concat(
		c.built(programName, c.program(), 0o755),
		library(moduleName, 0o644), library(extcapName, 0o755), library(runtimeName, 0o644),
	)
}

// sharkParts returns what one Wireshark needs. The other scripts and the native
// module lie beside ai.lua, which looks for them there.
func (c *Config) sharkParts(shark Wireshark) []part {
	folders := shark.folders(c.Everyone)
	return slices.Concat(
		[]part{
			{target: folders.script(), text: lua.Script, mode: 0o644},
			{target: folders.asker(), text: lua.Asker, mode: 0o644},
			{target: folders.menus(), text: lua.Menus, mode: 0o644},
		},
		c.built(moduleName, folders.module(), 0o644),
		c.built(extcapName, filepath.Join(folders.extcap, extcapName), 0o755),
		c.profileParts(shark),
	)
}

// built returns a file of the build as a part, or nothing if the build did not
// make it.
func (c *Config) built(name, target string, mode fs.FileMode) []part {
	for _, folder := range c.From {
		source := filepath.Join(folder, name)
		if info, err := os.Stat(source); err == nil && info.Mode().IsRegular() {
			return []part{{target: target, source: source, mode: mode}}
		}
	}
	return nil
}

// isForeign tells that this is for one user, and that the plugin is there for
// everyone already: Wireshark runs only one of them, the global one.
func (c *Config) isForeign(shark Wireshark) bool { return !c.Everyone && shark.ForEveryone() }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
