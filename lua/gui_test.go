package lua_test

import (
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ampulla/annotator/capturetest"
)

// TestGUI walks through Wireshark itself on a display of its own, as a user
// would, with AMPULLA_FULL or AMPULLA_SHOTS, the folder that gets a picture of
// every step. Flagged rows are red: it is seen from the pictures whether the
// list shows those that it should.
func TestGUI(t *testing.T) {
	eachGUI(t, func(t *testing.T, s *shark, a annotator) {
		s.profile(t, "AI", guiProfile)
		t.Run("saved", func(t *testing.T) { walkSaved(t, s) })
		t.Run("live", func(t *testing.T) { walkLive(t, s, a) })
	})
}

// eachGUI hands out each Wireshark that can be run, with our plugin and a display
// of its own.
func eachGUI(t *testing.T, test func(t *testing.T, s *shark, a annotator)) {
	if !capturetest.Full() && os.Getenv("AMPULLA_SHOTS") == "" {
		t.Skip("takes minutes: AMPULLA_FULL is not set")
	}
	for _, tool := range []string{"Xvfb", "xdotool", "import"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs the packages xvfb, xdotool and imagemagick: ", err)
		}
	}
	eachAsking(t, func(t *testing.T, s *shark, a annotator) {
		s.path = filepath.Join(filepath.Dir(s.path), "wireshark")
		if _, err := os.Stat(s.path); err != nil {
			t.Skip("no wireshark beside this tshark (lua/wireshark.sh --gui)")
		}
		s.install(t)
		s.env = append(s.env, "DISPLAY="+xvfb(t), "XDG_RUNTIME_DIR="+t.TempDir())
		test(t, s, a)
	})
}

// guiProfile has columns, colours and places that the walk relies on.
var guiProfile = map[string]string{
	"preferences": `gui.column.format: "Score", "%Cus:ai.anomaly.score:0:R", "No.", "%m", "Source", "%s", "Destination", "%d",` +
		` "Protocol", "%p", "Class", "%Cus:ai.class:0:R", "Type", "%Cus:ai.anomaly.type:0:R", "Info", "%i"` + "\n" +
		"gui.update.enabled: FALSE\ngui.ask_unsaved: FALSE\n",
	"colorfilters": "@Anomalous@ai.anomaly.score > 0.8@[65535,0,0][65535,65535,65535]\n",
	"../../recent_common": "gui.geometry_main_x: 0\ngui.geometry_main_y: 0\ngui.geometry_main_width: 1270\ngui.geometry_main_height: 880\n" +
		"gui.geometry_main_maximized: FALSE\nprivs.warn_if_elevated: FALSE\nsys.warn_if_no_capture: FALSE\n",
}

func walkSaved(t *testing.T, s *shark) {
	g := startGUI(t, s, "demo.pcapng", "-C", "AI", "-r", own(t, "demo.pcapng"))
	g.expect("loaded", false)
	g.click(600, 300)
	g.keys("End", "Prior", "Prior")
	g.expect("scrolled", false)
	g.filter("ai.anomaly.score > 0.8")
	g.expect("filtered", true)
	g.filter("")
	g.expect("unfiltered", false)
	g.click(30, 102)
	g.picture("sorted up")
	g.click(30, 102)
	g.click(600, 300)
	g.keys("Home", "ctrl+Right") // to the first one, and all its details
	g.expect("sorted down", true)
	g.click(300, 700) // in the details
	g.keys("End")
	g.picture("details")
	g.keys("ctrl+shift+l") // reload Lua plugins
	g.expect("reloaded", true)
	g.keys("ctrl+o")
	g.run("type", own(t, "port_scan_syn.pcapng"))
	g.keys("Return")
	g.window("port_scan_syn.pcapng")
	g.filter("ai.anomaly.score > 0.8")
	g.expect("second file", true)
	g.quit()
}

// walkLive watches a capture grow, and kills the annotator meanwhile.
func walkLive(t *testing.T, s *shark, a annotator) {
	options, talk := liveInterface(t)
	tshark := *s
	tshark.path = filepath.Join(filepath.Dir(s.path), "tshark")
	if out := tshark.bare(t, "-i", "lo", "-a", "duration:1", "-w", filepath.Join(t.TempDir(), "lo.pcapng")); out.err != nil {
		options, talk = livePipe(t) // no permission to capture
	}
	g := startGUI(t, s, "Capturing from", append(options, "-C", "AI", "-k")...)
	talk()
	g.picture("live")
	_ = a.Process.Kill()
	talk()
	g.picture("annotator killed")
	g.keys("ctrl+e") // stop
	g.filter("ai.status")
	g.picture("what was wrong")
	g.quit()
}

// liveInterface returns options to capture what an HTTP client and its server
// say to one another, and what makes them talk.
func liveInterface(t testing.TB) (options []string, talk func()) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":")+1:]
	return []string{"-i", "lo", "-f", "tcp port " + port}, func() {
		for range 100 {
			response, err := http.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// livePipe returns options to capture from a pipe that a third of a capture is
// written to, and what writes another one.
func livePipe(t testing.TB) (options []string, talk func()) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(own(t, "demo.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(path, os.O_RDWR, 0) // does not wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	third := len(data) / 3
	parts := make(chan []byte, 3)
	parts <- data[:third]
	go func() {
		for part := range parts {
			_, _ = pipe.Write(part)
		}
	}()
	t.Cleanup(func() { close(parts); _ = pipe.Close() })
	return []string{"-i", path}, func() {
		data = data[third:]
		parts <- data[:third]
	}
}

// gui is a running Wireshark.
type gui struct {
	testing.TB
	shark *shark
	ended chan error
	shots string
}

// startGUI starts Wireshark and waits for a window with a name.
func startGUI(t testing.TB, s *shark, window string, args ...string) *gui {
	t.Helper()
	g := &gui{TB: t, shark: s, ended: make(chan error, 1), shots: os.Getenv("AMPULLA_SHOTS")}
	if g.shots == "" {
		g.shots = t.TempDir()
	}
	cmd := s.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() { g.ended <- cmd.Wait() }()
	g.window(window)
	return g
}

// run calls xdotool.
func (g *gui) run(args ...string) string {
	g.Helper()
	cmd := exec.Command("xdotool", args...)
	cmd.Env = append(os.Environ(), g.shark.env...)
	out, err := cmd.Output()
	if err != nil && args[0] != "search" { // which says so when it finds nothing
		g.Fatalf("xdotool %q: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// window waits for a window with a name, gives it the keyboard and returns where it
// is.
func (g *gui) window(name string) place {
	g.Helper()
	for range 600 {
		select {
		case err := <-g.ended:
			g.Fatal("Wireshark ended: ", err)
		default:
		}
		if id, _, _ := strings.Cut(g.run("search", "--onlyvisible", "--name", name), "\n"); id != "" {
			g.run("windowfocus", id)
			g.settled()
			return g.place(id)
		}
		time.Sleep(100 * time.Millisecond)
	}
	g.picture("no window")
	g.Fatalf("no window %q; see the picture in %s", name, g.shots)
	return place{}
}

func (g *gui) keys(keys ...string) {
	g.Helper()
	for _, key := range keys {
		g.run("key", key)
		g.settled()
	}
}

func (g *gui) click(x, y int) {
	g.Helper()
	g.run("mousemove", strconv.Itoa(x), strconv.Itoa(y), "click", "1")
	g.settled()
}

func (g *gui) filter(filter string) {
	g.Helper()
	g.run("key", "ctrl+slash", "ctrl+a", "BackSpace")
	if filter != "" {
		g.run("type", filter)
	}
	g.keys("Return")
}

// settled waits until the display stays the same for a while, and returns it.
func (g *gui) settled() image.Image {
	g.Helper()
	path := filepath.Join(g.TempDir(), "shot.png")
	var last []byte
	for range 120 {
		cmd := exec.Command("import", "-window", "root", "-define", "png:exclude-chunk=date,time", path)
		cmd.Env = append(os.Environ(), g.shark.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			g.Fatalf("import: %v: %s", err, out)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			g.Fatal(err)
		}
		if string(data) == string(last) {
			break
		}
		last = data
		time.Sleep(700 * time.Millisecond)
	}
	picture, err := png.Decode(strings.NewReader(string(last)))
	if err != nil {
		g.Fatal(err)
	}
	return picture
}

// picture keeps what is on the display and returns it. No error is among the
// windows.
func (g *gui) picture(name string) image.Image {
	g.Helper()
	picture := g.settled()
	file, err := os.Create(filepath.Join(g.shots, strings.ReplaceAll(g.shark.version+" "+name, " ", "-")+".png"))
	if err != nil {
		g.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, picture); err != nil {
		g.Fatal(err)
	}
	if found := g.run("search", "--name", "Error|error"); found != "" {
		g.Errorf("%s: a window with an error", name)
	}
	return picture
}

// expect keeps a picture and tells whether all of the packet list is red.
func (g *gui) expect(name string, red bool) {
	g.Helper()
	picture := g.picture(name)
	var rows, reds int
	for y := 150; y < 400; y++ {
		rows++
		if r, green, b, _ := picture.At(2, y).RGBA(); r > 0xf000 && green < 0x2000 && b < 0x2000 {
			reds++
		}
	}
	if red != (reds > rows*9/10) {
		g.Errorf("%s: %d of %d lines are red; see the picture in %s", name, reds, rows, g.shots)
	}
}

// quit ends Wireshark as a user does.
func (g *gui) quit() {
	g.Helper()
	g.run("key", "ctrl+q")
	select {
	case err := <-g.ended:
		if err != nil {
			g.Error("Wireshark ended with ", err)
		}
	case <-time.After(time.Minute):
		g.picture("does not quit")
		g.Error("Wireshark does not quit")
	}
}
