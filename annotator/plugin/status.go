package plugin

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Status tells what one Wireshark has, compared with what Install would give it,
// and what keeps it from using that.
func Status(ctx context.Context, cfg Config, shark Wireshark) ([]Item, error) {
	where := cfg
	where.Everyone = cfg.Everyone || cfg.isForeign(shark)
	installed, err := readManifest(where.Manifest)
	if err != nil {
		return nil, err
	}
	heard, err := shark.hear(ctx)
	if err != nil {
		return nil, err
	}
	mend := InstallCommand(where.Everyone)
	var items []Item
	for _, p := range where.sharkParts(shark) {
		item, err := p.status(mend)
		if err != nil {
			return nil, err
		}
		switch why := p.own(installed); {
		case item.State == "ok":
			shark.check(heard, p, mend, &item)
		case why != "":
			item = Item{Path: p.target, State: "kept", Detail: why}
		}
		items = append(items, item)
	}
	for _, stray := range cfg.strays([]Wireshark{shark}) {
		if stray.State == "removed" {
			stray.State, stray.Mend = "stray", InstallCommand(cfg.Everyone)
		}
		items = append(items, stray)
	}
	return append(items, heard.troubles...), nil
}

// InstallCommand is what mends most things: the command that installs for everyone,
// or for this user.
func InstallCommand(everyone bool) string {
	self, err := executable()
	if err != nil {
		self = programName
	}
	command := quoted(self) + " plugin install"
	switch {
	case everyone:
		return asRoot() + command
	case os.Geteuid() == 0:
		return command + " --user"
	}
	return command
}

// ServiceStatus tells what there is of the units; nothing if they are not
// installed.
func ServiceStatus(cfg Config) ([]Item, error) {
	if !cfg.HasService() {
		return nil, nil
	}
	parts, err := cfg.serviceParts()
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, p := range parts {
		item, err := p.status(InstallCommand(cfg.Everyone))
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// status compares a part with what there is.
func (p part) status(mend string) (Item, error) {
	same, err := p.same()
	switch {
	case err != nil:
		return Item{}, err
	case same:
		return Item{Path: p.target, State: "ok"}, nil
	case !exists(p.target):
		return Item{Path: p.target, State: "missing", Mend: mend}, nil
	}
	return Item{Path: p.target, State: "differs", Detail: "another version than this program's", Mend: mend}, nil
}

const loadedDetail = "loaded"

// IsRunningScript tells that an item is ai.lua, and that Wireshark runs it.
func (i Item) IsRunningScript() bool {
	return filepath.Base(i.Path) == scriptName && i.Detail == loadedDetail
}

// check finds out whether Wireshark takes a file that is in place.
func (w Wireshark) check(heard testimony, p part, mend string, item *Item) {
	look := "look at: " + w.Program + " -G plugins"
	switch filepath.Base(p.target) {
	case scriptName:
		switch {
		case heard.loaded[p.target]:
			item.Detail = loadedDetail
		case os.Geteuid() == 0 && p.target == w.personal.script():
			*item = Item{p.target, "not run", "since 4.4 Wireshark skips root's own plugins", InstallCommand(true)}
		case slices.ContainsFunc(heard.troubles, func(t Item) bool { return t.Path == p.target }):
			*item = Item{p.target, "not run", "it has an error, see below", mend}
		default:
			*item = Item{p.target, "not run", "does this Wireshark run Lua plugins?", look}
		}
	case moduleTarget:
		if err := checkModule(p.target, w.Program); err != nil {
			*item = Item{p.target, "unusable", err.Error(), "make build; " + mend}
			return
		}
		item.Detail = "can be loaded"
	case extcapName:
		if !heard.loaded[p.target] {
			*item = Item{p.target, "unusable", "Wireshark does not list AI capture", "look at: " + p.target + " --extcap-interfaces"}
			return
		}
		item.Detail = "listed as AI capture"
	}
}

// checkModule returns an error unless a module can be loaded by a program, as
// far as their files tell.
func checkModule(module, program string) error {
	m, err := elf.Open(module)
	if err != nil {
		return err
	}
	defer m.Close()
	// A program may be a script that runs the real one.
	if p, err := elf.Open(program); err == nil {
		defer p.Close()
		if m.Machine != p.Machine || m.Class != p.Class {
			return fmt.Errorf("it is for %v, Wireshark for %v", m.Machine, p.Machine)
		}
	}
	symbols, err := m.DynamicSymbols()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "luaopen_ampulla" && s.Section != elf.SHN_UNDEF }) {
		return errors.New("it has no luaopen_ampulla")
	}
	return nil
}
