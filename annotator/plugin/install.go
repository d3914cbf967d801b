package plugin

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// An Item is one file, and what was done about it or what is the matter with it.
type Item struct {
	Path   string
	State  string // one word, such as "installed" or "missing"
	Detail string // may be empty
	// Mend is what to do about it, if possible a command; empty if all is well.
	Mend string
}

// TakenError says that somebody else's file is where one is to go.
type TakenError struct{ Path string }

func (e *TakenError) Error() string {
	return e.Path + " is there already, and neither was it installed by Ampulla nor does it look like it"
}

// Hint tells what to do about it.
func (e *TakenError) Hint() string { return "move it away, then try again" }

// Install puts everything in place, updates what is there, and removes older
// copies and whatever it once installed that has no place any more. It returns
// what it did about each file. After an error, or when ctx ends early enough,
// nothing has changed.
func Install(ctx context.Context, cfg Config, sharks []Wireshark) ([]Item, error) {
	old, err := readManifest(cfg.Manifest)
	if err != nil {
		return nil, err
	}
	parts, err := cfg.parts(sharks, cfg.Service || slices.ContainsFunc(old.files, cfg.isUnit))
	if err != nil {
		return nil, err
	}
	items, ours, missing, err := plan(parts, old)
	if err != nil {
		return nil, err
	}
	t := &transaction{everyone: cfg.Everyone}
	if err := t.stageAll(ctx, missing); err != nil {
		t.undo()
		return nil, err
	}
	for _, shark := range sharks {
		if cfg.isForeign(shark) {
			items = append(items, Item{Path: shark.global.script(), State: "kept", Detail: "for everyone; Wireshark runs this one"})
		}
	}
	items = append(items, cfg.strays(sharks)...)
	for _, path := range cfg.obsolete(old, parts) {
		items = append(items, old.removal(path, "of an earlier installation"))
	}
	items = distinct(items)
	if err := cfg.carryOut(t, old, ours, removed(items)); err != nil {
		t.undo()
		return nil, err
	}
	return items, nil
}

// plan says what is to be done about each part, and returns the parts that are
// ours, and those of them that are not in place yet: all but what the user has
// made of a profile.
func plan(parts []part, old manifest) (items []Item, ours, missing []part, err error) {
	for _, p := range parts {
		state, err := p.state(old)
		if err != nil {
			return nil, nil, nil, err
		}
		why := p.own(old)
		switch {
		case state == "unchanged":
		case why != "":
			items = append(items, Item{Path: p.target, State: "kept", Detail: why + "; remove it to have Ampulla's"})
			continue
		default:
			missing = append(missing, p)
		}
		ours = append(ours, p)
		items = append(items, Item{Path: p.target, State: state})
	}
	return items, ours, missing, nil
}

// stageAll stages the parts that are not in place yet.
func (t *transaction) stageAll(ctx context.Context, parts []part) error {
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := t.stage(p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// state says what installing a part comes to.
func (p part) state(old manifest) (string, error) {
	same, err := p.same()
	switch {
	case err != nil:
		return "", err
	case same:
		return "unchanged", nil
	case !exists(p.target):
		return "installed", nil
	case !p.editable && !old.has(p.target) && !namesAmpulla(p.target):
		return "", &TakenError{p.target}
	}
	return "updated", nil
}

// obsolete returns the files that were installed and have no place any more.
func (c *Config) obsolete(old manifest, parts []part) []string {
	return slices.DeleteFunc(slices.Clone(old.files), func(file string) bool {
		return c.isProgram(file) && !c.Program ||
			slices.ContainsFunc(parts, func(p part) bool { return p.target == file })
	})
}

func removed(items []Item) []string {
	var paths []string
	for _, item := range items {
		if item.State == "removed" {
			paths = append(paths, item.Path)
		}
	}
	return paths
}

// carryOut makes all changes. The manifest comes first, so that it lists whatever
// a power failure leaves; and it lists what is to be removed until it is.
func (c *Config) carryOut(t *transaction, old manifest, parts []part, removals []string) error {
	var targets []string
	for _, p := range parts {
		targets = append(targets, p.target)
	}
	listed := old.with(targets, t.dirs, sums(parts))
	if len(t.staged) > 0 || listed.String() != old.String() {
		var err error
		if listed, err = c.stageManifest(t, listed); err != nil {
			return err
		}
		if err := t.commit(); err != nil {
			return err
		}
	}
	return c.removeFiles(listed, removals)
}

// stageManifest stages a manifest, which also lists the folder made for it.
func (c *Config) stageManifest(t *transaction, m manifest) (manifest, error) {
	file := part{target: c.Manifest, mode: 0o644}
	if err := t.makeDir(filepath.Dir(file.target)); err != nil {
		return m, err
	}
	m = m.with(nil, t.dirs, nil)
	file.text = m.String()
	return m, t.stage(file)
}

// removal is what removing a file that was installed comes to.
func (m manifest) removal(path, detail string) Item {
	if m.changed(path) {
		return Item{Path: path, State: "kept", Detail: editedDetail}
	}
	return Item{Path: path, State: "removed", Detail: detail}
}

// removeFiles removes files, except those that the user has changed, the folders
// made for them, and what the manifest says of them, itself included when it has
// nothing more to list.
func (c *Config) removeFiles(m manifest, files []string) error {
	if len(files) == 0 {
		return nil
	}
	for _, file := range files {
		if m.changed(file) {
			continue
		}
		if err := os.Remove(file); ignore(err, fs.ErrNotExist) != nil {
			return err
		}
	}
	if m = m.without(files); len(m.files) == 0 {
		err := os.Remove(c.Manifest)
		m.prune()
		return ignore(err, fs.ErrNotExist)
	}
	t := &transaction{everyone: c.Everyone}
	_, err := c.stageManifest(t, m.prune())
	if err == nil {
		err = t.commit()
	}
	if err != nil {
		t.undo()
	}
	return err
}

// Remove takes away what Install has put into Wireshark and systemd, and with
// [Config.Program] the program, too. It returns what it did.
func Remove(cfg Config) ([]Item, error) {
	old, err := readManifest(cfg.Manifest)
	if err != nil {
		return nil, err
	}
	var items []Item
	var files []string
	for _, file := range old.files {
		if cfg.Program || !cfg.isProgram(file) {
			items, files = append(items, old.removal(file, "")), append(files, file)
		}
	}
	rest := leftovers(old)
	return append(items, rest...), cfg.removeFiles(old, append(files, removed(rest)...))
}
