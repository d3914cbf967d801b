package toolbar

import (
	"fmt"
	"slices"
	"strconv"

	"ampulla/extcap/sentence"
)

// Incident is one that something can be said of.
type Incident struct {
	Number uint32
	Words  string // what it is, in a few
}

// maxListed is how many incidents are shown, the latest.
const maxListed = 20

// nothing is the first of the list, which stands for none.
const nothing = "0"

// Values are what the controls can take when a capture begins.
func Values() []sentence.ControlValue {
	return []sentence.ControlValue{{Control: controlIncident, Value: nothing, Display: "none chosen", Default: true}}
}

// ask asks for the incidents, unless that goes on already. The lock is held.
func (t *Toolbar) ask() {
	if t.asking {
		return
	}
	t.asking = true
	go func() {
		list := t.capture.Incidents()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.asking = false
		t.list(list)
	}()
}

// list shows incidents: what has changed.
func (t *Toolbar) list(incidents []Incident) {
	incidents = incidents[max(len(incidents)-maxListed, 0):]
	for _, old := range t.listed {
		if !slices.Contains(incidents, old) {
			t.queue(controlIncident, Remove, strconv.FormatUint(uint64(old.Number), 10))
		}
	}
	for _, i := range incidents {
		if !slices.Contains(t.listed, i) {
			t.queue(controlIncident, Add, fmt.Sprintf("%d\x00%s", i.Number, i.Words))
		}
	}
	t.listed = slices.Clone(incidents)
}

// choose notes which incident is chosen.
func (t *Toolbar) choose(value string) {
	n, _ := strconv.ParseUint(value, 10, 32) // 0 for what is no number
	t.chosen = uint32(n)
}

// say keeps that the chosen incident is normal here, or bad.
func (t *Toolbar) say(normal bool) {
	if t.chosen == 0 {
		t.queue(0, InformationMessage, "Choose an incident first: the list in the toolbar has those that were flagged so far.")
		return
	}
	number, capture := t.chosen, t.capture
	go func() {
		kept, err := capture.Say(number, normal)
		if err != nil {
			t.queue(0, WarningMessage, fmt.Sprintf("Nothing was noted: %v", err))
			return
		}
		t.queue(0, InformationMessage, kept)
		t.Log(kept)
	}()
}
