package main

import (
	"bufio"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
)

// TestGUI captures in Wireshark itself, as a user would, on a display of its own,
// with AMPULLA_FULL or AMPULLA_SHOTS, the folder that gets a picture of every
// step: people have to look at them. What can be seen without people, the test
// looks at: red rows, a count that changes, the capture that was saved.
func TestGUI(t *testing.T) {
	shots := os.Getenv("AMPULLA_SHOTS")
	if !capturetest.Full() && shots == "" {
		t.Skip("takes a minute: AMPULLA_FULL is not set")
	}
	for _, tool := range []string{"Xvfb", "xdotool", "import", "wireshark", "nmap", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs the packages wireshark, xvfb, xdotool, imagemagick, nmap and curl: ", err)
		}
	}
	if shots == "" {
		shots = t.TempDir()
	}
	n := newNetwork(t)
	n.play(n.b, "web "+addressB+":8000")
	g := &gui{network: n, shots: shots}
	g.start()

	g.picture("listed")
	g.click(rowX, rowY) // the cog before AI capture
	g.window("Interface Options: AI capture")
	g.click(533, 125) // veth0
	g.click(690, 236) // the capture filter
	g.xdotool("type", "ip")
	g.picture("interfaces")
	g.click(466, 93) // the tab Verdicts
	g.click(690, 125)
	g.xdotool("key", "ctrl+a")
	g.xdotool("type", "0.75")
	g.picture("verdicts")
	g.click(564, 93) // the tab Saved capture
	g.picture("saved capture")
	g.click(716, 470) // Save

	g.window("Wireshark Network Analyzer")
	g.click(100, 11)  // the menu View
	g.click(200, 110) // Interface Toolbars
	g.click(560, 110) // AI capture
	g.xdotool("mousemove", strconv.Itoa(rowX+70), strconv.Itoa(rowY+32), "click", "--repeat", "2", "1")
	g.window("Capturing from AI capture")
	if line := n.behind(); !strings.Contains(line, "-f ip ") || !strings.HasSuffix(line, "-i veth0 ") {
		t.Errorf("dumpcap is called with %s", line)
	}
	load := n.start("sh", "-c", "while curl -s -o page http://"+addressB+":8000; do sleep 0.3; done")
	time.Sleep(2 * time.Second)
	before := g.picture("capturing")
	n.must(n.in(n.a, "nmap", "-n", "-Pn", "-p", "1-600", addressB))
	_ = load.Process.Kill()
	time.Sleep(2 * time.Second)
	flagged := g.picture("flagged")
	if reds := red(flagged); red(before) > 0 || reds < 50 {
		t.Errorf("before the scan %d lines are red, then %d", red(before), reds)
	}
	if same(before, flagged, count) {
		t.Error("the toolbar does not count")
	}

	g.opens(func() { g.click(808, 109) }) // Report
	g.picture("report")
	g.xdotool("key", "Return")
	g.window("Capturing from AI capture")
	g.click(565, 109) // Incident
	g.xdotool("key", "Down")
	g.picture("incidents")
	g.xdotool("key", "Return")
	g.opens(func() { g.click(898, 109) }) // Normal here
	g.picture("said normal")
	g.xdotool("key", "Return")
	g.window("Capturing from AI capture")
	n.must(n.in(n.a, "nmap", "-n", "-Pn", "-p", "1-600", addressB))
	time.Sleep(2 * time.Second)
	if reds := red(g.picture("scanned again")); reds > 0 {
		t.Errorf("%d lines are red of a scan that is normal here", reds)
	}
	g.click(303, 109) // Pause scoring
	n.must(n.in(n.a, "curl", "-s", "-o", "page", "http://"+addressB+":8000"))
	time.Sleep(2 * time.Second)
	g.picture("paused")
	g.opens(func() { g.click(1246, 109) }) // Help
	g.picture("help")
	g.xdotool("key", "Return")
	g.click(1074, 109) // Log
	g.window("ai Log")
	g.picture("log")
	g.xdotool("key", "Escape")

	g.window("Capturing from AI capture")
	g.click(53, 41) // stop
	n.noOrphans()
	g.window("AI capture")
	saved := n.path("saved.pcapng")
	g.xdotool("key", "ctrl+s")
	g.window("Save Capture File As")
	g.xdotool("type", saved)
	g.xdotool("key", "Return")
	n.until("the capture is saved", func() bool { _, err := os.Stat(saved); return err == nil })
	g.window("saved.pcapng")
	stopped := g.picture("saved")
	g.click(1160, 109) // Defaults
	if same(stopped, g.picture("defaults"), pause) {
		t.Error("the defaults do not come back")
	}
	comments := n.comments(saved)
	if frames := len(n.frames(saved)); frames < 1000 || strings.Count(comments, "type=port_scan") < 100 {
		t.Errorf("%d frames were saved, %d of them as part of a scan", frames, strings.Count(comments, "type=port_scan"))
	}
}

// Places in the window.
const rowX, rowY = 171, 257 // the cog in the list of interfaces

// Where the toolbar shows how many frames are flagged, and whether scoring is
// paused.
var count, pause = image.Rect(660, 98, 762, 122), image.Rect(296, 102, 313, 118)

// gui is a running Wireshark in host a.
type gui struct {
	*network
	shots string
}

// settings of the profile, beside those of the profile AI. Wireshark lists
// veth0 and AI capture only, so that these are where they are expected.
const guiPreferences = `
gui.update.enabled: FALSE
gui.ask_unsaved: FALSE
capture.devices_hide: any,lo,bluetooth-monitor,nflog,nfqueue,dbus-system,dbus-session,ciscodump,dpauxmon,randpkt,sdjournal,sshdump,udpdump,wifidump
`

const guiRecent = `
gui.geometry_main_x: 0
gui.geometry_main_y: 0
gui.geometry_main_width: 1300
gui.geometry_main_height: 640
gui.geometry_main_maximized: FALSE
privs.warn_if_elevated: FALSE
sys.warn_if_no_capture: FALSE
`

// start starts Wireshark with the profile AI.
func (g *gui) start() {
	g.t.Helper()
	profile := g.path(".config/wireshark/profiles/AI")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		g.t.Fatal(err)
	}
	for file, more := range map[string]string{"preferences": guiPreferences, "colorfilters": "", "dfilter_buttons": "", "../../recent_common": guiRecent} {
		text, _ := os.ReadFile(filepath.Join("../lua/profile/AI", file))
		if err := os.WriteFile(filepath.Join(profile, file), append(text, more...), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	g.env = append(g.env, "DISPLAY="+g.display())
	wireshark := g.in(g.a, "wireshark", "-C", "AI")
	if err := wireshark.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = wireshark.Process.Kill(); _ = wireshark.Wait() })
	g.window("The Wireshark Network Analyzer")
	time.Sleep(2 * time.Second) // it lists interfaces in the background
}

// display starts a display and returns its name.
func (g *gui) display() string {
	g.t.Helper()
	number, writer, err := os.Pipe()
	if err != nil {
		g.t.Fatal(err)
	}
	defer number.Close()
	server := g.command("Xvfb", "-displayfd", "3", "-screen", "0", "1300x720x24", "-nolisten", "tcp")
	server.ExtraFiles = []*os.File{writer}
	err = server.Start()
	_ = writer.Close()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	line, err := bufio.NewReader(number).ReadString('\n')
	if err != nil {
		g.t.Fatal("Xvfb does not start: ", err)
	}
	return ":" + strings.TrimSpace(line)
}

// xdotool uses mouse and keyboard, and lets Wireshark follow.
func (g *gui) xdotool(args ...string) {
	g.t.Helper()
	g.must(g.command("xdotool", args...))
	time.Sleep(500 * time.Millisecond)
}

func (g *gui) click(x, y int) {
	g.t.Helper()
	g.xdotool("mousemove", strconv.Itoa(x), strconv.Itoa(y), "click", "1")
}

// window waits for a window with a name and gives it the keyboard, as no window
// manager does it.
func (g *gui) window(name string) {
	g.t.Helper()
	g.until(fmt.Sprintf("there is a window %q", name), func() bool {
		id, _, _ := strings.Cut(g.find(name), "\n")
		return id != "" && g.command("xdotool", "windowfocus", id).Run() == nil
	})
	time.Sleep(time.Second)
}

// find returns the numbers of the windows with a name.
func (g *gui) find(name string) string {
	out, _ := g.command("xdotool", "search", "--onlyvisible", "--name", name).Output()
	return string(out)
}

// opens does what should open a dialog, and waits for it.
func (g *gui) opens(do func()) {
	g.t.Helper()
	windows := func() int {
		out, _ := g.command("xdotool", "search", "--onlyvisible", "--class", "wireshark").Output()
		return strings.Count(string(out), "\n")
	}
	before := windows()
	do()
	g.until("a dialog opens", func() bool { return windows() > before })
}

// picture keeps and returns what is on the display. No error is.
func (g *gui) picture(name string) image.Image {
	g.t.Helper()
	time.Sleep(time.Second)
	path := filepath.Join(g.shots, "capture-"+strings.ReplaceAll(name, " ", "-")+".png")
	g.must(g.command("import", "-window", "root", "-crop", "1300x640+0+0", path))
	file, err := os.Open(path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.Decode(file)
	if err != nil {
		g.t.Fatal(err)
	}
	if g.find("Error|error") != "" {
		g.t.Errorf("%s: a window with an error", name)
	}
	return picture
}

// red counts the lines of the packet list that have the colour of anomalies.
func red(picture image.Image) int {
	lines := 0
	for y := 145; y < 355; y++ {
		if r, green, b, _ := picture.At(4, y).RGBA(); r>>8 > 240 && green>>8 > 150 && green>>8 < 200 && b>>8 < 180 {
			lines++
		}
	}
	return lines
}

// same tells whether two pictures show the same in a place.
func same(a, b image.Image, place image.Rectangle) bool {
	for y := place.Min.Y; y < place.Max.Y; y++ {
		for x := place.Min.X; x < place.Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				return false
			}
		}
	}
	return true
}
