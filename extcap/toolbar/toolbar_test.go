package toolbar_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/extcap/toolbar"
)

func TestMessage(t *testing.T) {
	for _, tt := range []struct {
		message toolbar.Message
		wire    string
	}{
		{toolbar.Message{Command: toolbar.Initialized}, "T\x00\x00\x02\x00\x00"}, // as Wireshark sends it
		{toolbar.Message{Control: 3, Command: toolbar.Set, Payload: []byte("0.9")}, "T\x00\x00\x05\x03\x010.9"},
		{toolbar.Message{Control: 255, Command: toolbar.ErrorMessage, Payload: bytes.Repeat([]byte("x"), 65_535)},
			"T\x01\x00\x01\xff\x09" + strings.Repeat("x", 65_535)},
	} {
		if got := string(tt.message.Append(nil)); got != tt.wire {
			t.Errorf("%.20q instead of %.20q", got, tt.wire)
		}
		got, err := toolbar.Read(strings.NewReader(tt.wire))
		if diff := cmp.Diff(tt.message, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	}
	if got := (toolbar.Message{Payload: make([]byte, 70_000)}).Append(nil); len(got) != 6+65_535 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestReadErrors(t *testing.T) {
	for _, wire := range []string{"T\x00\x00\x01\x00", "X\x00\x00\x02\x00\x00", "T\x00\x00\x01\x00\x00", "T\x01\x00\x02\x00\x00", "T\x00\x00\x05\x00\x01ab"} {
		if m, err := toolbar.Read(strings.NewReader(wire)); err == nil || err == io.EOF {
			t.Errorf("%q is %+v, %v", wire, m, err)
		}
	}
	if _, err := toolbar.Read(strings.NewReader("")); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// FuzzRead checks that what was read is what was written, and nothing panics.
func FuzzRead(f *testing.F) {
	f.Add([]byte("T\x00\x00\x02\x00\x00T\x00\x00\x05\x03\x010.9"))
	f.Add([]byte("T\xff\xff\xff\x00\x00"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := bytes.NewReader(wire)
		var again []byte
		for {
			m, err := toolbar.Read(r)
			if err != nil {
				break
			}
			again = m.Append(again)
		}
		if !bytes.HasPrefix(wire, again) {
			t.Errorf("%q became %q", wire, again)
		}
	})
}

// capture notes what the toolbar does with it.
type capture struct {
	mu        sync.Mutex
	threshold float64
	paused    bool
	flagged   uint64
	incidents []toolbar.Incident
}

func (c *capture) Threshold() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.threshold
}

func (c *capture) SetThreshold(score float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.threshold = score
}

func (c *capture) Pause(pause bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = pause
}

func (c *capture) Flagged() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flagged++
	return c.flagged
}

func (c *capture) Unjudged() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flagged < 2 {
		return 0
	}
	return 7
}

func (c *capture) Incidents() []toolbar.Incident {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.incidents
}

func (c *capture) Say(number uint32, normal bool) (string, error) {
	if number != 2 {
		return "", errors.New("not known")
	}
	return fmt.Sprintf("rule on %d, normal %v", number, normal), nil
}

func (c *capture) Report() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("threshold %v, paused %v", c.threshold, c.paused)
}

// wireshark is the other end of the pipes.
type wireshark struct {
	t       *testing.T
	out, in *os.File // to and from the toolbar
}

// open makes pipes and a toolbar at their ends.
func open(t *testing.T) (*toolbar.Toolbar, *wireshark) {
	t.Helper()
	to, from := filepath.Join(t.TempDir(), "to"), filepath.Join(t.TempDir(), "from")
	for _, path := range []string{to, from} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bar := toolbar.Open(to, from)
	w := &wireshark{t: t}
	var err error
	if w.out, err = os.OpenFile(to, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	if w.in, err = os.OpenFile(from, os.O_RDONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.out.Close(); _ = w.in.Close() })
	<-bar.Opened()
	return bar, w
}

func (w *wireshark) send(control byte, command toolbar.Command, payload string) {
	w.t.Helper()
	if _, err := w.out.Write(toolbar.Message{Control: control, Command: command, Payload: []byte(payload)}.Append(nil)); err != nil {
		w.t.Fatal(err)
	}
}

// expect reads messages, each as "control command payload".
func (w *wireshark) expect(want ...string) {
	w.t.Helper()
	for _, text := range want {
		m, err := toolbar.Read(w.in)
		if err != nil {
			w.t.Fatal(err)
		}
		if got := fmt.Sprintf("%d %d %s", m.Control, m.Command, m.Payload); got != text {
			w.t.Fatalf("got %q, want %q", got, text)
		}
	}
}

// TestToolbar plays a capture from Wireshark's side: first comes what people
// changed before, then the greeting.
func TestToolbar(t *testing.T) {
	bar, w := open(t)
	c := &capture{threshold: 0.8}
	bar.Log("before")
	w.send(0, toolbar.Set, "0,9")
	w.send(0, toolbar.Initialized, "")
	bar.Attach(c)
	w.expect("0 1 0.9", "7 2 before\n", "7 2 the threshold is 0.9\n")
	bar.Log("after")
	w.expect("7 2 after\n")
	bar.Refresh()
	w.expect("2 1 Flagged: 1")
	bar.Refresh()
	w.expect("2 1 Flagged: 2, unscored: 7")

	w.send(1, toolbar.Set, "\x01")
	w.send(3, toolbar.Set, "")
	w.expect("7 2 scoring is paused\n", "0 7 threshold 0.9, paused true")
	w.send(1, toolbar.Set, "\x00")
	w.send(0, toolbar.Set, "1.5")
	w.expect("7 2 scoring goes on\n", "0 1 0.9", `0 8 "1.5" is not a number from 0 to 1`)
	w.send(99, toolbar.Set, "what is this?")
	w.send(0, toolbar.Add, "1")
	w.send(0, toolbar.Set, " .25 ")
	w.send(2, toolbar.Set, "")
	w.expect("7 2 the threshold is 0.25\n", "0 7 threshold 0.25, paused false")
	w.send(9, toolbar.Set, "")
	if m, err := toolbar.Read(w.in); err != nil || m.Command != toolbar.InformationMessage || !strings.Contains(string(m.Payload), "threshold") {
		t.Errorf("help is %+v, %v", m, err)
	}

	_ = w.out.Close()
	<-bar.Gone()
}

// TestNonsense checks that a Wireshark that speaks something else is no longer
// listened to, and nothing more.
func TestNonsense(t *testing.T) {
	bar, w := open(t)
	bar.Attach(&capture{})
	w.send(0, toolbar.Initialized, "")
	w.expect("0 1 0")
	if _, err := w.out.WriteString("GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	for range 100_000 / 6 { // more than the pipe holds
		w.send(9, toolbar.Set, "")
	}
	bar.Log("still there")
	w.expect("7 2 still there\n")
	select {
	case <-bar.Gone():
		t.Error("gone")
	default:
	}
	_ = w.out.Close()
	<-bar.Gone()
}

// TestNoToolbar checks that without Wireshark nothing waits or fails.
func TestNoToolbar(t *testing.T) {
	for _, bar := range []*toolbar.Toolbar{toolbar.Open("", ""), toolbar.Open("/nonexistent/in", "/nonexistent/out")} {
		bar.Attach(&capture{})
		<-bar.Opened()
		for range 1000 {
			bar.Log("line")
			bar.Refresh()
		}
		select {
		case <-bar.Gone():
			t.Error("gone")
		default:
		}
	}
}

func TestControls(t *testing.T) {
	seen := map[int]bool{}
	for _, c := range toolbar.Controls() {
		if seen[c.Number] || c.Display == "" || c.Tooltip == "" {
			t.Errorf("control %+v", c)
		}
		seen[c.Number] = true
	}
}

// TestIncidents chooses among incidents, which change, and says something of them.
func TestIncidents(t *testing.T) {
	bar, w := open(t)
	c := &capture{threshold: 0.8}
	for i := range uint32(21) {
		c.incidents = append(c.incidents, toolbar.Incident{Number: i + 1, Words: "an incident"})
	}
	w.send(0, toolbar.Initialized, "")
	bar.Attach(c)
	w.expect("0 1 0.8")
	bar.Refresh()
	w.expect("2 1 Flagged: 1")
	for i := range 20 { // the latest ones
		w.expect(fmt.Sprintf("4 2 %d\x00an incident", i+2))
	}
	w.send(5, toolbar.Set, "")
	w.expect("0 7 Choose an incident first: the list in the toolbar has those that were flagged so far.")
	w.send(4, toolbar.Set, "2")
	w.send(5, toolbar.Set, "")
	w.expect("0 7 rule on 2, normal true", "7 2 rule on 2, normal true\n")
	w.send(6, toolbar.Set, "")
	w.expect("0 7 rule on 2, normal false", "7 2 rule on 2, normal false\n")
	w.send(4, toolbar.Set, "3")
	w.send(6, toolbar.Set, "")
	w.expect("0 8 Nothing was noted: not known")
	w.send(4, toolbar.Set, "no number")
	w.send(6, toolbar.Set, "")
	w.expect("0 7 Choose an incident first: the list in the toolbar has those that were flagged so far.")

	c.mu.Lock()
	c.incidents = append(c.incidents[2:20:20], toolbar.Incident{Number: 21, Words: "a scan"})
	c.mu.Unlock()
	bar.Refresh()
	w.expect("2 1 Flagged: 2, unscored: 7", "4 3 2", "4 3 21", "4 2 21\x00a scan")
}
