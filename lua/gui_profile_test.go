package lua_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestGUIProfile has Wireshark import the profile AI from its zip file, as
// somebody does who was sent it, and with "annotate always" looks for the verdicts
// in Expert Information.
func TestGUIProfile(t *testing.T) {
	eachGUI(t, func(t *testing.T, s *shark, _ annotator) {
		s.profile(t, "mine", map[string]string{
			"../../recent_common": guiProfile["../../recent_common"],
			"preferences":         "ai.always: TRUE\ngui.update.enabled: FALSE\ngui.ask_unsaved: FALSE\n",
		})
		archive := filepath.Join(t.TempDir(), "AI.zip")
		if out, err := exec.Command(filepath.Join(programs(t), "ampulla"), "plugin", "profile", archive).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		g := startGUI(t, s, "demo.pcapng", "-C", "mine", "-r", own(t, "demo.pcapng"))
		walkExperts(g)
		walkImport(g, archive)
		g.quit()
	})
}

// walkExperts opens Expert Information, where errors are the first, and ours are
// the only ones.
func walkExperts(g *gui) {
	g.click(262, 9)
	g.keys("Up", "Return")
	p := g.window("Expert Information")
	g.keys("Home", "Right")
	g.picture("experts")
	g.press(p, 1)
	g.window("demo.pcapng")
}

// walkImport imports the profile AI and changes to it.
func walkImport(g *gui, archive string) {
	g.keys("ctrl+shift+a")
	p := g.window("Configuration Profiles")
	g.press(p, 3)
	g.picture("import")
	g.keys("Down", "Return")
	g.run("type", archive)
	g.keys("Return")
	g.picture("imported")
	g.keys("Return") // to the message that says so
	g.run("windowfocus", p.id)
	g.press(p, 4)
	g.window("demo.pcapng")
	g.filter("ai.incident == 1")
	g.tinted("imported profile")
}
