// Package toolbar talks to the toolbar that Wireshark shows above a running
// capture. The capture does not depend on it: tshark has none.
package toolbar

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"ampulla/extcap/sentence"
)

// Numbers of the controls.
const (
	controlThreshold = iota
	controlPause
	controlFlagged
	controlReport
	controlIncident
	controlNormal
	controlBad
	controlLog
	controlRestore
	controlHelp
)

// Controls describes the toolbar to Wireshark.
func Controls() []sentence.Control {
	return []sentence.Control{
		{Number: controlThreshold, Type: sentence.String, Role: sentence.RoleControl, Display: "Threshold", Default: "0.8",
			Validation: "^(0?[.,][0-9]+|0|1|1[.,]0+)$",
			Tooltip:    "Frames with a higher score are flagged, from now on"},
		{Number: controlPause, Type: sentence.Boolean, Role: sentence.RoleControl, Display: "Pause scoring", Default: "false",
			Tooltip: "Let frames through without verdicts for now"},
		{Number: controlFlagged, Type: sentence.Button, Role: sentence.RoleControl, Display: "Flagged: 0",
			Tooltip: "Frames flagged so far, and those that have no verdict"},
		{Number: controlReport, Type: sentence.Button, Role: sentence.RoleControl, Display: "Report",
			Tooltip: "What was found so far, and what was lost"},
		{Number: controlIncident, Type: sentence.Selector, Role: sentence.RoleControl, Display: "Incident",
			Tooltip: "Incidents so far, for the buttons beside"},
		{Number: controlNormal, Type: sentence.Button, Role: sentence.RoleControl, Display: "Normal here",
			Tooltip: "Packets such as those of the chosen incident need not be flagged, from now on"},
		{Number: controlBad, Type: sentence.Button, Role: sentence.RoleControl, Display: "Bad",
			Tooltip: "Packets between those of the chosen incident have to be flagged, from now on"},
		{Number: controlLog, Type: sentence.Button, Role: sentence.RoleLogger, Display: "Log",
			Tooltip: "What happened to this capture"},
		{Number: controlRestore, Type: sentence.Button, Role: sentence.RoleRestore, Display: "Defaults",
			Tooltip: "Restore the defaults, for the next capture"},
		{Number: controlHelp, Type: sentence.Button, Role: sentence.RoleControl, Display: "Help",
			Tooltip: "What all this means"},
	}
}

const help = `A frame is flagged if its score is above the threshold. A score of 0.8 means that about one benign frame in a thousand scores as high; 0.27 more is a factor of ten.

Flagged frames carry their verdict as a comment. Display filters: ai.anomaly.score > 0.8, ai.anomaly.type == "port_scan", frame.comment contains "AI:".

"Normal here" and "Bad" keep, as a rule, what you say of the incident that is chosen beside: ampulla baseline feedback lists the rules.

The threshold, the pause and the rules hold for frames still to come.`

// Capture is what the toolbar controls.
type Capture interface {
	Threshold() float64         // 0 to 1
	SetThreshold(score float64) // 0 to 1
	Pause(pause bool)           // or go on
	Flagged() uint64            // frames so far
	Unjudged() uint64           // frames without a verdict so far
	Report() string             // what happened so far, up to 65,535 bytes
	// Incidents are those so far that something can be said of. It may take a
	// moment.
	Incidents() []Incident
	// Say keeps that one of these is normal here, or bad, and returns what was
	// kept. It may take a moment, too.
	Say(number uint32, normal bool) (string, error)
}

// Toolbar is the toolbar of one capture. Its methods never wait, and are safe
// for concurrent use.
type Toolbar struct {
	opened chan struct{} // closed when Wireshark has opened its end, or will not
	gone   chan struct{} // closed when Wireshark closed its end
	toSend chan Message

	mu      sync.Mutex
	capture Capture   // nil until Attach
	early   []Message // that came before it
	log     []string  // lines that came before Wireshark was there
	there   bool
	flagged string // as shown

	asking bool       // for the incidents
	listed []Incident // as shown
	chosen uint32     // of these, by number; 0 for none
}

// maxQueued bounds the messages that wait for Wireshark. Beyond it they are
// dropped: the next ones say more.
const maxQueued = 256

// Open opens the pipes to and from Wireshark in the background, at once, as
// Wireshark waits until somebody reads what it sends. Without pipes, that is with
// empty names, there is a Toolbar all the same, which does nothing.
func Open(in, out string) *Toolbar {
	t := &Toolbar{opened: make(chan struct{}), gone: make(chan struct{}), toSend: make(chan Message, maxQueued)}
	if in != "" {
		go t.receive(in)
	} else {
		close(t.opened)
	}
	if out != "" {
		go t.send(out)
	}
	return t
}

// Opened is closed when Wireshark has opened its end, and at once if there is no
// toolbar. Whoever ends before that leaves Wireshark waiting for ever.
func (t *Toolbar) Opened() <-chan struct{} { return t.opened }

// Gone is closed when Wireshark has closed its end, as it does when the capture
// is to stop.
func (t *Toolbar) Gone() <-chan struct{} { return t.gone }

// receive obeys Wireshark until it closes the pipe.
func (t *Toolbar) receive(path string) {
	pipe, err := os.OpenFile(path, os.O_RDONLY, 0) // waits for Wireshark
	close(t.opened)
	if err != nil {
		return // no toolbar is no reason not to capture
	}
	defer pipe.Close()
	for {
		m, err := Read(pipe)
		if err != nil {
			_, _ = io.Copy(io.Discard, pipe) // nonsense is no reason to stop
			close(t.gone)
			return
		}
		t.handle(m)
	}
}

// send sends what is to be sent, until Wireshark closes the pipe.
func (t *Toolbar) send(path string) {
	pipe, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for Wireshark
	if err != nil {
		return
	}
	defer pipe.Close()
	for m := range t.toSend {
		if _, err := pipe.Write(m.Append(nil)); err != nil {
			return
		}
	}
}

func (t *Toolbar) queue(control byte, command Command, payload string) {
	select {
	case t.toSend <- Message{control, command, []byte(payload)}:
	default:
	}
}

// Attach says what the toolbar controls. What people did before is done now.
func (t *Toolbar) Attach(c Capture) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.capture = c
	for _, m := range t.early {
		t.obey(m)
	}
	t.early = nil
}

// handle obeys a message, as soon as there is a capture.
func (t *Toolbar) handle(m Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.capture != nil:
		t.obey(m)
	case len(t.early) < maxQueued:
		t.early = append(t.early, m)
	}
}

// obey does what a message says. The lock is held.
func (t *Toolbar) obey(m Message) {
	switch {
	case m.Command == Initialized:
		t.greet()
	case m.Command != Set:
	case m.Control == controlThreshold:
		t.threshold(string(m.Payload))
	case m.Control == controlPause:
		t.pause(len(m.Payload) > 0 && m.Payload[0] != 0)
	case m.Control == controlReport, m.Control == controlFlagged:
		t.queue(0, InformationMessage, t.capture.Report())
	case m.Control == controlIncident:
		t.choose(string(m.Payload))
	case m.Control == controlNormal, m.Control == controlBad:
		t.say(m.Control == controlNormal)
	case m.Control == controlHelp:
		t.queue(0, InformationMessage, help)
	}
}

// greet shows the state of the capture, once Wireshark can.
func (t *Toolbar) greet() {
	t.there = true
	t.queue(controlThreshold, Set, strconv.FormatFloat(t.capture.Threshold(), 'g', -1, 64))
	for _, line := range t.log {
		t.queue(controlLog, Add, line)
	}
	t.log = nil
}

// threshold takes over what somebody typed, or puts back what it was.
func (t *Toolbar) threshold(text string) {
	score, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(text), ",", ".", 1), 64)
	if err != nil || !(score >= 0 && score <= 1) {
		t.queue(controlThreshold, Set, strconv.FormatFloat(t.capture.Threshold(), 'g', -1, 64))
		t.queue(0, WarningMessage, fmt.Sprintf("%q is not a number from 0 to 1", text))
		return
	}
	t.capture.SetThreshold(score)
	t.note(fmt.Sprintf("the threshold is %v", score))
}

func (t *Toolbar) pause(pause bool) {
	t.capture.Pause(pause)
	if pause {
		t.note("scoring is paused")
	} else {
		t.note("scoring goes on")
	}
}

// Refresh shows the number of flagged frames, and of those without a verdict if
// there are any, where it has changed.
func (t *Toolbar) Refresh() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.capture == nil || !t.there {
		return
	}
	flagged := fmt.Sprintf("Flagged: %d", t.capture.Flagged())
	if n := t.capture.Unjudged(); n > 0 {
		flagged += fmt.Sprintf(", unscored: %d", n)
	}
	if flagged != t.flagged {
		t.flagged = flagged
		t.queue(controlFlagged, Set, flagged)
		t.ask()
	}
}

// Log adds a line to the log.
func (t *Toolbar) Log(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note(line)
}

// note is Log with the lock held.
func (t *Toolbar) note(line string) {
	line += "\n"
	switch {
	case t.there:
		t.queue(controlLog, Add, line)
	case len(t.log) < maxQueued:
		t.log = append(t.log, line)
	}
}
