package plugin

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Status tells what one Wireshark has, compared with what Install would give it.
func Status(ctx context.Context, cfg Config, shark Wireshark) ([]Item, error) {
	where := cfg
	where.Everyone = cfg.Everyone || cfg.isForeign(shark)
	mend := where.installCommand()
	if where.Everyone != cfg.Everyone {
		mend = asRoot + mend
	}
	var items []Item
	for _, p := range where.sharkParts(shark) {
		item, err := p.status(mend)
		if err == nil && item.State == "ok" {
			err = shark.check(ctx, p, mend, &item)
		}
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	for _, stray := range cfg.strays([]Wireshark{shark}) {
		if stray.State == "removed" {
			stray.State, stray.Mend = "stray", cfg.installCommand()
		}
		items = append(items, stray)
	}
	return items, nil
}

const asRoot = "as root: "

// installCommand is what mends most things.
func (c *Config) installCommand() string {
	self, err := executable()
	if err != nil {
		self = programName
	}
	if self += " plugin install"; !c.Everyone && os.Geteuid() == 0 {
		self += " --user"
	}
	return self
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
		item, err := p.status(cfg.installCommand())
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

// check finds out whether Wireshark takes a file that is in place.
func (w Wireshark) check(ctx context.Context, p part, mend string, item *Item) error {
	switch filepath.Base(p.target) {
	case scriptName:
		loaded, err := w.loads(ctx, p.target)
		switch {
		case err != nil:
			return err
		case loaded:
			item.Detail = "loaded"
		case os.Geteuid() == 0 && p.target == w.personal.script():
			*item = Item{p.target, "not run", "since 4.4 Wireshark skips root's own plugins", strings.TrimSuffix(mend, " --user")}
		default:
			*item = Item{p.target, "not run", "does this Wireshark run Lua plugins?", "look at: " + w.Program + " -G plugins"}
		}
	case moduleTarget:
		if err := checkModule(p.target, w.Program); err != nil {
			*item = Item{p.target, "unusable", err.Error(), "make build; " + mend}
			return nil
		}
		item.Detail = "can be loaded"
	}
	return nil
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
