package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Wireshark is one installation of Wireshark, as its tshark describes it.
type Wireshark struct {
	// Program is the path of tshark.
	Program string
	// Version is such as "4.0.17".
	Version string

	// Settings is the folder of the user's own configuration.
	Settings string

	personal, global folders
}

// folders is where Wireshark looks for what extends it.
type folders struct{ lua, extcap, profiles string }

// What ai.lua and what it looks for beside itself are called there: how it asks,
// its menus and the native module.
const (
	scriptName   = "ai.lua"
	askerName    = "ai_ask.lua"
	menusName    = "ai_menu.lua"
	moduleTarget = "ampulla.so"
)

func (f folders) script() string { return filepath.Join(f.lua, "ampulla", scriptName) }
func (f folders) asker() string  { return filepath.Join(f.lua, "ampulla", askerName) }
func (f folders) menus() string  { return filepath.Join(f.lua, "ampulla", menusName) }
func (f folders) module() string { return filepath.Join(f.lua, "ampulla", moduleTarget) }

func (w Wireshark) folders(everyone bool) folders {
	if everyone {
		return w.global
	}
	return w.personal
}

// ForEveryone tells whether the plugin is installed for everyone.
func (w Wireshark) ForEveryone() bool { return exists(w.global.script()) }

// ErrNoWireshark means that there is no Wireshark to install into.
var ErrNoWireshark = errors.New("no tshark found, which knows Wireshark's folders")

// Find returns the Wiresharks of this machine: those whose tshark is in $PATH or
// at one of the usual places, and works.
func Find(ctx context.Context) ([]Wireshark, error) {
	sharks, problems := Search(ctx)
	if len(sharks) == 0 {
		return nil, errors.Join(problems...)
	}
	return sharks, nil
}

// Search returns the Wiresharks of this machine, and what is wrong with those that
// do not answer; at least one of either, see [ErrNoWireshark].
func Search(ctx context.Context) (sharks []Wireshark, problems []error) {
	seen := map[string]bool{}
	for _, folder := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/bin", "/usr/bin") {
		program := filepath.Join(folder, "tshark")
		real, err := filepath.EvalSymlinks(program)
		if err != nil || seen[real] || !filepath.IsAbs(folder) {
			continue
		}
		seen[real] = true
		if shark, err := ask(ctx, program); err != nil {
			problems = append(problems, err)
		} else {
			sharks = append(sharks, shark)
		}
	}
	if len(sharks)+len(problems) == 0 {
		problems = append(problems, ErrNoWireshark)
	}
	return sharks, problems
}

var versionLine = regexp.MustCompile(`\(Wireshark\) (\d+(?:\.\d+)*)`)

// ask has tshark describe itself.
func ask(ctx context.Context, program string) (Wireshark, error) {
	version, _, err := run(ctx, program, "--version")
	if err != nil {
		return Wireshark{}, err
	}
	listing, _, err := run(ctx, program, "-G", "folders")
	if err != nil {
		return Wireshark{}, err
	}
	return describe(program, version, listing)
}

// describe reads what tshark says of its version and its folders. Wireshark 4.0
// has a personal folder for extcaps, too, but does not list it.
func describe(program, version, listing string) (Wireshark, error) {
	paths := map[string]string{}
	for line := range strings.Lines(listing) {
		name, path, _ := strings.Cut(line, ":")
		paths[name] = strings.TrimSpace(path)
	}
	shark := Wireshark{
		Program:  program,
		Settings: paths["Personal configuration"],
		personal: folders{paths["Personal Lua Plugins"], paths["Personal Extcap path"], profilesBelow(paths["Personal configuration"])},
		global:   folders{paths["Global Lua Plugins"], paths["Global Extcap path"], profilesBelow(paths["Global configuration"])},
	}
	if found := versionLine.FindStringSubmatch(version); found != nil {
		shark.Version = found[1]
	}
	if shark.personal.extcap == "" {
		shark.personal.extcap = filepath.Join(shark.Settings, "extcap")
	}
	if shark.global.extcap == "" {
		shark.global.extcap = paths["Extcap path"]
	}
	for _, path := range []string{shark.Settings, shark.personal.lua, shark.global.lua, shark.global.extcap} {
		if !filepath.IsAbs(path) {
			return Wireshark{}, fmt.Errorf("%s -G folders names no folder for Lua plugins or extcaps: was it built without?", program)
		}
	}
	return shark, nil
}

func profilesBelow(configuration string) string { return filepath.Join(configuration, "profiles") }

// patience is how long a tshark may take over one question.
const patience = 30 * time.Second

// run returns what a program prints, and what it complains of. The error of one that
// does not answer wraps [context.DeadlineExceeded].
func run(ctx context.Context, program string, args ...string) (out, complaints string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.WaitDelay = time.Second // for programs that it started itself
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("does not answer: %w", ctx.Err())
		}
		return "", "", fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return stdout.String(), stderr.String(), nil
}

// IsOld tells that a Wireshark is older than 4.0, for which the plugin is made.
func (w Wireshark) IsOld() bool {
	major, _, _ := strings.Cut(w.Version, ".")
	return len(major) == 1 && major < "4"
}
