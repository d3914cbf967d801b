package lua_test

import (
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ampulla/lua"
)

// TestMenus goes through the menus in plain Lua, with windows that print what they
// show (testdata/menus.lua), and compares with testdata/menus.txt.
func TestMenus(t *testing.T) {
	want, err := os.ReadFile("testdata/menus.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, interpreter := range []string{"lua5.2", "lua5.4"} {
		t.Run(interpreter, func(t *testing.T) {
			if _, err := exec.LookPath(interpreter); err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(interpreter, "testdata/menus.lua", "ai.lua", "ai_menu.lua")
			cmd.Env = append(os.Environ(), "HOME=/home/me")
			got, err := cmd.CombinedOutput()
			if diff := cmp.Diff(string(want), string(got)); err != nil || diff != "" {
				t.Errorf("%v: %s", err, diff)
			}
		})
	}
}

// TestMenusMissing has each Wireshark load ai.lua by itself, as if it had windows.
func TestMenusMissing(t *testing.T) {
	windows := filepath.Join(t.TempDir(), "windows.lua")
	if err := os.WriteFile(windows, []byte("_G.gui_enabled = function() return true end\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	eachShark(t, func(t *testing.T, s *shark) {
		out := s.bare(t, "-X", "lua_script:"+windows, "-X", "lua_script:"+s.script, "-r", capture(t, mixed...), "-T", "fields", "-e", "ai.class")
		out.mustBeQuiet(t, nil)
	})
}

// homeProfile is the profile AI as it is installed, and places that the walk
// relies on.
func homeProfile(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{"../../recent_common": guiProfile["../../recent_common"]}
	for _, name := range []string{"colorfilters", "dfilter_buttons", "preferences"} {
		files[name] = profileFile(t, name)
	}
	files["preferences"] += "\ngui.update.enabled: FALSE\ngui.ask_unsaved: FALSE\n"
	return files
}

// The menu Tools > AI as Wireshark sorts it.
const (
	itemFilter = iota
	itemExplain
	itemReport
	itemSave
	itemSummary
	itemBad
	itemNormal
)

// menu chooses an item of Tools > AI, which is the last but one there.
func (g *gui) menu(item int) {
	g.Helper()
	g.click(521, 9)
	g.keys("Up", "Up", "Right")
	for range item {
		g.keys("Down")
	}
	g.keys("Return")
}

// packetMenu chooses an item of AI in the menu of the packet under the mouse, where
// there is one.
func (g *gui) packetMenu(item int) {
	g.Helper()
	g.run("mousemove", "100", "200", "click", "3")
	g.keys("Down", "Down", "Down", "Down", "Down", "Down", "Right")
	g.picture("packet menu")
	for range item {
		g.keys("Down")
	}
	g.keys("Return")
}

// titled waits for a window of ours with a title, keeps a picture and returns
// where it is.
func (g *gui) titled(title, name string) place {
	g.Helper()
	for range 100 {
		if id, _, _ := strings.Cut(g.run("search", "--onlyvisible", "--name", "AI: "+title), "\n"); id != "" {
			g.picture(name)
			return g.place(id)
		}
		time.Sleep(100 * time.Millisecond)
	}
	g.picture(name)
	g.Fatalf("no window %q; see the picture %q in %s", title, name, g.shots)
	return place{}
}

// place is where a window is.
type place struct {
	id         string
	x, y, w, h int
}

func (g *gui) place(id string) place {
	p := place{id: id}
	for line := range strings.Lines(g.run("getwindowgeometry", "--shell", id)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "X":
			p.x = n
		case "Y":
			p.y = n
		case "WIDTH":
			p.w = n
		case "HEIGHT":
			p.h = n
		}
	}
	return p
}

// press presses the button at a place from the right, from 0, where Close is.
func (g *gui) press(p place, fromRight int) {
	g.Helper()
	g.click(p.x+p.w-50-86*fromRight, p.y+p.h-23)
}

// close closes a window of ours.
func (g *gui) close(p place) {
	g.Helper()
	g.press(p, 0)
	if strings.Contains(g.run("search", "--onlyvisible", "--name", "AI: "), p.id) {
		g.Errorf("window %s does not close", p.id)
	}
}

// tinted keeps a picture and tells how many lines of the packet list have the
// colours of suspicious and anomalous packets, if all have.
func (g *gui) tinted(name string) {
	g.Helper()
	picture := g.picture(name)
	lines, tinted := 0, 0
	for y := 160; y < 400; y++ {
		lines++
		c := color.NRGBAModel.Convert(picture.At(25, y)).(color.NRGBA)
		if anomalous, suspicious := c.R > 240 && c.G > 160 && c.G < 195, c.R > 240 && c.G > 225 && c.B < 190; anomalous || suspicious {
			tinted++
		}
	}
	if tinted < lines*8/10 { // one line is selected, and text is dark
		g.Errorf("%s: %d of %d lines are tinted; see the picture in %s", name, tinted, lines, g.shots)
	}
}

// TestGUIMenus walks through the menus with the profile AI, as TestGUI does
// through the rest.
func TestGUIMenus(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	rules := filepath.Join(config, "ampulla", "feedback.yaml")
	eachGUI(t, func(t *testing.T, s *shark, _ annotator) {
		_ = os.Remove(rules) // of the one before
		s.profile(t, "AI", homeProfile(t))
		plugins := filepath.Join(s.home, ".local/lib/wireshark/plugins")
		if err := os.WriteFile(filepath.Join(plugins, "ai_menu.lua"), []byte(lua.Menus), 0o644); err != nil {
			t.Fatal(err)
		}
		s.env = append(s.env, "AMPULLA="+filepath.Join(programs(t), "ampulla"))
		g := startGUI(t, s, "demo.pcapng", "-C", "AI", "-r", own(t, "demo.pcapng"))
		g.picture("profile")
		walkIncidents(g)
		walkFeedback(g, rules)
		walkCopies(g)
		g.quit()
	})
}

// walkFeedback says that a scan is normal, sees that it is not flagged any more,
// and takes that back; then it says, by the menu of a packet, that it is bad.
func walkFeedback(g *gui, rules string) {
	g.window("demo.pcapng")
	g.filter(`ai.anomaly.type == "port_scan"`)
	g.click(100, 300)
	g.menu(itemNormal)
	g.picture("asked what is normal")
	g.click(686, 427) // why; the dialog comes up in the middle of the display
	g.run("type", "nightly inventory")
	g.picture("typed what is normal")
	g.keys("Return")
	said := g.titled("This is normal here", "said what is normal")
	if text, err := os.ReadFile(rules); err != nil || !strings.Contains(string(text), "hosts: [\"192.168.40.66\", \"192.168.40.10\"]\n  type: port_scan\n") ||
		!strings.Contains(string(text), "why: \"nightly inventory\"\n") {
		g.Errorf("%v: %s", err, text)
	}
	g.press(said, 2) // Show it here; then come Undo and Close
	g.blank("judged again", true)
	g.window("demo.pcapng") // no window manager gives the keyboard back
	g.filter(`ai.anomaly.reason contains "suppressed by rule 1 "`)
	g.blank("suppressed", false)
	g.press(said, 1)
	undone := g.titled("Rule 1", "undone")
	if text, err := os.ReadFile(rules); err != nil || strings.Contains(string(text), "port_scan") {
		g.Errorf("%v: %s", err, text)
	}
	g.press(undone, 1)
	g.blank("judged as before", true)
	g.close(undone)
	g.close(said)
	g.window("demo.pcapng")
	g.filter(`ai.anomaly.type == "port_scan"`)
	g.click(100, 200)
	if g.shark.version == "4.0" {
		g.menu(itemBad)
	} else {
		g.packetMenu(3)
	}
	g.picture("asked what is bad")
	g.click(700, 455) // OK
	said = g.titled("This is bad", "said what is bad")
	if text, err := os.ReadFile(rules); err != nil || !strings.Contains(string(text), "- id: 2\n  says: bad\n  hosts: [\"192.168.40.66\", \"192.168.40.10\"]\n  type: port_scan\n") {
		g.Errorf("%v: %s", err, text)
	}
	g.close(said)
	g.window("demo.pcapng")
}

// walkIncidents looks at the summary and at one packet.
func walkIncidents(g *gui) {
	g.menu(itemSummary)
	summary := g.titled("Summary of this capture", "summary")
	g.press(summary, 4) // Show 1; then come 2, 3, all and Close
	g.close(summary)
	g.tinted("incident of the summary")
	g.click(100, 300)
	g.menu(itemExplain)
	packet := g.titled("Packet", "explained")
	g.close(packet)
	first, height := g.details()
	g.click(150, first+4*height) // the last line of the packet's details
	g.keys("Right")
	g.picture("details")
	g.run("mousemove", "150", strconv.Itoa(first+12*height), "click", "--repeat", "2", "1") // Incident begins with
	picture := g.picture("jumped")
	if c := color.NRGBAModel.Convert(picture.At(25, g.top())).(color.NRGBA); c.B < c.R+50 {
		g.Errorf("the first packet is not selected: %v; see the picture in %s", c, g.shots)
	}
	g.filter("ai.anomaly.score > 0.8")
	g.click(100, 400)
	g.menu(itemFilter)
	g.tinted("incident of a packet")
}

// details returns where the first line of the packet's details is, and how far
// the next is below it; both are places on the display.
func (g *gui) details() (first, height int) {
	if g.shark.version == "4.0" {
		return 487, 17
	}
	return 482, 14
}

// top returns where the first line of the packet list is.
func (g *gui) top() int {
	if g.shark.version == "4.0" {
		return 123
	}
	return 113
}

// blank keeps a picture and tells whether there are no packets in the list.
func (g *gui) blank(name string, want bool) {
	g.Helper()
	picture := g.picture(name)
	lines := 0
	for y := 160; y < 400; y++ {
		if c := color.NRGBAModel.Convert(picture.At(15, y)).(color.NRGBA); c.R < 250 || c.G < 250 || c.B < 250 {
			lines++
		}
	}
	if want != (lines == 0) {
		g.Errorf("%s: %d lines have a packet; see the picture in %s", name, lines, g.shots)
	}
}

// walkCopies saves an annotated copy and a report, and looks at the copy.
func walkCopies(g *gui) {
	copied := filepath.Join(g.TempDir(), "copy.pcapng")
	g.menu(itemSave)
	g.answer(copied)
	saved := g.titled("Save annotated copy", "saved")
	if _, err := os.Stat(copied); err != nil {
		g.Error("the copy: ", err)
	}
	g.press(saved, 1) // Open it
	g.close(saved)
	g.window("copy.pcapng")
	g.menu(itemSummary)
	g.close(g.titled("Summary of this capture", "summary of comments"))
	g.menu(itemReport)
	report := filepath.Join(g.TempDir(), "report.html")
	g.answer(report)
	g.close(g.titled("Report", "report"))
	if _, err := os.Stat(report); err != nil {
		g.Error("the report: ", err)
	}
	g.window("copy.pcapng") // no window manager gives the keyboard back
}

// answer types into the dialog that has come up, in the middle of the display.
func (g *gui) answer(text string) {
	g.Helper()
	g.picture("asked for " + filepath.Base(text))
	g.click(640, 385)
	g.run("key", "ctrl+a")
	g.run("type", text)
	g.keys("Return")
}
