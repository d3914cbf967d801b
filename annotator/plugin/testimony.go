package plugin

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// testimony is what one Wireshark says of its plugins.
type testimony struct {
	// loaded has the paths of the scripts and of the extcaps that it runs.
	loaded map[string]bool
	// troubles are the Lua scripts that it could not run.
	troubles []Item
}

// hear has tshark tell which plugins it runs, for which it starts them all.
func (w Wireshark) hear(ctx context.Context) (testimony, error) {
	listing, complaints, err := run(ctx, w.Program, "-G", "plugins")
	if err != nil {
		return testimony{}, err
	}
	heard := testimony{loaded: map[string]bool{}, troubles: w.luaTroubles(complaints)}
	for line := range strings.Lines(listing) { // name, version, kind and path, with tabs between
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) > 1 {
			heard.loaded[fields[len(fields)-1]] = true
		}
	}
	return heard, nil
}

// luaPlace finds the script and what is wrong with it. Lua leaves out the
// beginning of a long path.
var luaPlace = regexp.MustCompile(`(?m)(?:^\s*|syntax error: )((?:/|\.\.\.)[^\n:]*\.lua):(\d+: [^\n]+)`)

// luaTroubles reads what tshark says about scripts while it starts. A complaint
// begins with "tshark: Lua: " and goes on for as many lines as it takes.
func (w Wireshark) luaTroubles(complaints string) []Item {
	var items []Item
	for _, complaint := range strings.Split("\n"+complaints, "\ntshark: Lua: ")[1:] {
		item := Item{State: "error"}
		if place := luaPlace.FindStringSubmatch(complaint); place != nil {
			item.Path, item.Detail = w.whole(place[1]), "Lua, line "+place[2]
			item.Mend = move(item.Path)
		} else {
			item.Path, item.Detail = "Lua", strings.Join(strings.Fields(complaint), " ")
			item.Mend = "look at: " + w.Program + " -G plugins"
		}
		items = append(items, item)
	}
	return distinct(items)
}

// whole returns the path of a script of which Lua tells the end only.
func (w Wireshark) whole(path string) string {
	end, shortened := strings.CutPrefix(path, "...")
	if !shortened {
		return path
	}
	for _, folder := range []string{w.personal.lua, w.global.lua, filepath.Join(w.Settings, "plugins")} {
		_ = filepath.WalkDir(folder, func(file string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(file, end) {
				path = file
				return fs.SkipAll
			}
			return nil // what cannot be read, Wireshark does not run either
		})
	}
	return path
}

// move is the command that takes a script out of Wireshark's way.
func move(script string) string {
	command := "mv " + quoted(script) + " " + quoted(script+".off")
	if home, err := os.UserHomeDir(); err == nil && strings.HasPrefix(script, home+"/") {
		return command
	}
	return asRoot() + command
}

// asRoot is what to put before a command that only root may run.
func asRoot() string {
	if os.Geteuid() == 0 {
		return ""
	}
	return "sudo "
}

// quoted returns a path as a shell takes it for one word.
func quoted(path string) string {
	if !strings.ContainsFunc(path, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-+:@%,", r)
	}) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
