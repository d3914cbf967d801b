package plugin

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const profileFolder = "home/.config/wireshark/profiles/AI"

func (p *place) withProfile(files map[string]string) {
	profile := fstest.MapFS{}
	for name, text := range files {
		profile[name] = &fstest.MapFile{Data: []byte(text)}
	}
	p.cfg.Profile = profile
}

// TestProfile follows the profile through updates, with what the user and
// Wireshark do to it in between.
func TestProfile(t *testing.T) {
	p := newPlace(t)
	p.write(t, "home/.config/wireshark/preferences", "the user's")
	before := p.files(t)
	p.withProfile(map[string]string{"preferences": "1", "colorfilters": "1", "dfilter_buttons": "1"})
	p.install(t, p.cfg)
	for _, name := range []string{"preferences", "colorfilters", "dfilter_buttons"} {
		if text, err := os.ReadFile(p.path(profileFolder + "/" + name)); err != nil || string(text) != "1" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if again := p.install(t, p.cfg); len(again) > 0 {
		t.Errorf("the second time: %v", again)
	}

	// The user changes preferences and removes the buttons; an update comes, which
	// has no colours any more.
	p.write(t, profileFolder+"/preferences", "the user's")
	if err := os.Remove(p.path(profileFolder + "/dfilter_buttons")); err != nil {
		t.Fatal(err)
	}
	p.withProfile(map[string]string{"preferences": "2", "dfilter_buttons": "2"})
	want := []string{
		"installed " + profileFolder + "/dfilter_buttons",
		"kept " + profileFolder + "/preferences",
		"removed " + profileFolder + "/colorfilters",
	}
	if diff := cmp.Diff(want, p.install(t, p.cfg)); diff != "" {
		t.Error(diff)
	}

	// An update without changes by the user.
	p.withProfile(map[string]string{"preferences": "3", "dfilter_buttons": "3"})
	want = []string{"kept " + profileFolder + "/preferences", "updated " + profileFolder + "/dfilter_buttons"}
	got := p.install(t, p.cfg)
	if len(got) == 2 && got[0] > got[1] {
		got[0], got[1] = got[1], got[0]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// Removing leaves what the user has made, and that is nobody's afterwards.
	if _, err := Remove(p.cfg); err != nil {
		t.Fatal(err)
	}
	after := p.files(t)
	if after[profileFolder+"/preferences"] != "the user's" {
		t.Error("the user's preferences have gone")
	}
	delete(after, profileFolder+"/preferences")
	for _, folder := range []string{profileFolder, "home/.config/wireshark/profiles"} {
		delete(after, folder)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

// TestProfileRemoved wants everything gone, Wireshark's notes on the profile
// included.
func TestProfileRemoved(t *testing.T) {
	p := newPlace(t)
	before := p.files(t)
	p.withProfile(map[string]string{"preferences": "1"})
	p.install(t, p.cfg)
	p.write(t, profileFolder+"/recent", "Wireshark's")
	items, err := Remove(p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("removed "+profileFolder+"/recent", p.states(items)[len(items)-1]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, p.files(t)); diff != "" {
		t.Error(diff)
	}
}

// TestProfileOfUsers wants a profile of the same name left as it is.
func TestProfileOfUsers(t *testing.T) {
	p := newPlace(t)
	p.write(t, profileFolder+"/colorfilters", "the user's")
	before := p.files(t)
	p.withProfile(map[string]string{"preferences": "1", "colorfilters": "1"})
	for range 2 {
		items := p.install(t, p.cfg)
		for _, name := range []string{"preferences", "colorfilters"} {
			if !cmp.Equal(1, count(items, "kept "+profileFolder+"/"+name)) {
				t.Errorf("%s was not kept: %v", name, items)
			}
		}
	}
	status, err := Status(t.Context(), p.cfg, Wireshark{personal: p.shark.personal, global: p.shark.global, Settings: p.shark.Settings, Program: "/bin/true"})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(p.states(status), "kept "+profileFolder+"/colorfilters"); n != 1 {
		t.Errorf("status: %v", p.states(status))
	}
	if _, err := Remove(p.cfg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, p.files(t)); diff != "" {
		t.Error(diff)
	}
}

func count(list []string, want string) (n int) {
	for _, s := range list {
		if s == want {
			n++
		}
	}
	return n
}

// TestWriteProfile checks that the zip file has the folder AI and nothing else,
// as Wireshark wants it, with the files that are installed.
func TestWriteProfile(t *testing.T) {
	var b bytes.Buffer
	if err := WriteProfile(&b); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := For(false)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range archive.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		want, _ := fs.ReadFile(cfg.Profile, path.Base(file.Name))
		if err != nil || string(text) != string(want) || len(want) == 0 {
			t.Errorf("%s: %d bytes, want %d: %v", file.Name, len(text), len(want), err)
		}
		names = append(names, file.Name)
	}
	if diff := cmp.Diff([]string{"AI/colorfilters", "AI/dfilter_buttons", "AI/preferences"}, names); diff != "" {
		t.Error(diff)
	}
}
