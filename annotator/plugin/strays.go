package plugin

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// protoAI finds in a Lua script the protocol that only one plugin can define.
var protoAI = regexp.MustCompile(`\bProto(\.new)?\s*\(\s*["']ai["']`)

// strays returns the scripts that Wireshark may run instead of the one that is
// installed: it runs all that lie anywhere below its folders, and of those that
// define ai.* only the first counts. Copies of ai.lua are to be removed, with
// the module beside them; what is somebody else's, or everyone's, is left. Root
// does not look into personal folders, which may be another user's.
func (c *Config) strays(sharks []Wireshark) []Item {
	var items []Item
	for _, shark := range sharks {
		folders := []string{shark.global.lua}
		if !c.Everyone {
			folders = append(folders, shark.personal.lua, filepath.Join(shark.Settings, "plugins"))
		}
		for _, folder := range folders {
			for _, script := range scriptsOf(folder) {
				if script != shark.personal.script() && script != shark.global.script() {
					items = append(items, c.stray(script, folder == shark.global.lua)...)
				}
			}
		}
	}
	return distinct(items)
}

// distinct leaves out what is there twice, as Wiresharks may share folders.
func distinct(items []Item) []Item {
	var list []Item
	for _, item := range items {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

// stray says what is to be done about one script.
func (c *Config) stray(script string, global bool) []Item {
	switch {
	case !namesAmpulla(script):
		return []Item{{script, "kept", "another plugin for ai.* fields; Wireshark runs but one", move(script)}}
	case global && !c.Everyone:
		return []Item{{script, "kept", "an older copy, which Wireshark runs instead", InstallCommand(true)}}
	}
	items := []Item{{Path: script, State: "removed", Detail: "an older copy"}}
	if module := filepath.Join(filepath.Dir(script), moduleTarget); namesAmpulla(module) {
		items = append(items, Item{Path: module, State: "removed", Detail: "belonged to the older copy"})
	}
	return items
}

// scriptsOf returns the Lua scripts below a folder that define ai.*.
func scriptsOf(folder string) []string {
	var scripts []string
	_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&^fs.ModeSymlink == 0 && filepath.Ext(path) == ".lua" {
			if text, err := os.ReadFile(path); err == nil && protoAI.Match(text) {
				scripts = append(scripts, path)
			}
		}
		return nil // what cannot be read, Wireshark does not run either
	})
	return scripts
}

// namesAmpulla tells whether a file looks like one of Ampulla's.
func namesAmpulla(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && (bytes.Contains(text, []byte("Ampulla")) || bytes.Contains(text, []byte("ampulla/annotator")))
}
