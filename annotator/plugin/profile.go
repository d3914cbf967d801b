package plugin

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ampulla/lua"
)

// profileName is what the profile is called in Wireshark's list.
const profileName = "AI"

// recentName is what Wireshark writes into the folder of a profile by itself:
// window sizes and the like.
const recentName = "recent"

// profileParts returns the files of the profile. Users change profiles, Wireshark
// does it for them with every preference; so what was changed since it was
// installed is the user's, see [manifest.changed].
func (c *Config) profileParts(shark Wireshark) []part {
	if c.Profile == nil {
		return nil
	}
	var parts []part
	_ = fs.WalkDir(c.Profile, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(c.Profile, name)
		target := filepath.Join(shark.folders(c.Everyone).profiles, profileName, filepath.FromSlash(name))
		parts = append(parts, part{target: target, text: string(text), mode: 0o644, editable: true})
		return err
	}) // of files in memory; no errors
	return parts
}

// WriteProfile writes the profile AI as a zip file, in the form that Wireshark
// imports (Edit > Configuration Profiles). It is always the same file.
func WriteProfile(w io.Writer) error {
	archive := zip.NewWriter(w)
	err := fs.WalkDir(lua.Profiles, "profile", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(lua.Profiles, name)
		if err != nil {
			return err
		}
		file, err := archive.Create(strings.TrimPrefix(name, "profile/"))
		if err != nil {
			return err
		}
		_, err = file.Write(text)
		return err
	})
	return errors.Join(err, archive.Close())
}

// Why a file of a profile stays as it is.
const (
	editedDetail  = "changed since it was installed"
	foreignDetail = "there already, and not Ampulla's"
)

// own returns why an editable part's place is the user's rather than ours, or
// nothing if the part may be put there.
func (p part) own(old manifest) string {
	switch {
	case !p.editable:
		return ""
	case old.changed(p.target):
		return editedDetail
	case !old.lists(filepath.Dir(p.target)) && isUsed(filepath.Dir(p.target)):
		return foreignDetail
	}
	return ""
}

// lists tells whether a profile in this folder was installed.
func (m manifest) lists(folder string) bool {
	for file := range m.sums {
		if filepath.Dir(file) == folder {
			return true
		}
	}
	return false
}

// isUsed tells whether a profile's folder has more than Wireshark's own notes.
func isUsed(folder string) bool {
	entries, _ := os.ReadDir(folder) // none if there is none
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != recentName })
}

// sums returns what parts that users may change are made of.
func sums(parts []part) map[string]string {
	all := map[string]string{}
	for _, p := range parts {
		if p.editable {
			all[p.target] = sumOf([]byte(p.text))
		}
	}
	return all
}

// leftovers returns what Wireshark wrote into the folders of profiles in which
// nothing but that is left when our files go.
func leftovers(m manifest) []Item {
	var items []Item
	for file := range m.sums {
		folder := filepath.Dir(file)
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		recent := filepath.Join(folder, recentName)
		ours := func(e fs.DirEntry) bool {
			path := filepath.Join(folder, e.Name())
			return path == recent || m.has(path) && !m.changed(path)
		}
		if exists(recent) && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return !ours(e) }) {
			items = append(items, Item{Path: recent, State: "removed", Detail: "Wireshark's, of the profile"})
		}
	}
	return distinct(items)
}
