package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteReport writes the figures as tables for people: the networks in which
// anything was flagged, all of them, and the attacks.
func (h *Halves) WriteReport(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "second half of\tlearned\tjudged\tfalse alarms\twith baseline\tincidents\twith baseline")
	var frames, incidents Alarms
	learned, judged := 0, 0
	for _, n := range h.Networks {
		frames.add(n.Frames)
		incidents.add(n.Incidents)
		learned, judged = learned+n.Learned, judged+n.Judged
		if n.Frames != (Alarms{}) {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n", n.Name, n.Learned, n.Judged,
				n.Frames.Without, n.Frames.With, n.Incidents.Without, n.Incidents.With)
		}
	}
	fmt.Fprintf(t, "all %d\t%d\t%d\t%d\t%d\t%d\t%d\n", len(h.Networks), learned, judged,
		frames.Without, frames.With, incidents.Without, incidents.With)
	if len(h.Mixed) > 0 {
		fmt.Fprintln(t, "\nattack mixed into second halves\tattacks\tin\tfound\twith baseline\tpackets\trecall\twith baseline")
	}
	found, total, flagged, packets := Alarms{}, 0, Alarms{}, 0
	for _, m := range h.Mixed {
		found.add(m.Found)
		flagged.add(m.Flagged)
		total, packets = total+m.Networks, packets+m.Frames
		m.write(t, m.Name, strings.Join(m.Attacks, ", "))
	}
	if len(h.Mixed) > 0 {
		all := MixedAttack{Networks: total, Found: found, Frames: packets, Flagged: flagged}
		all.write(t, fmt.Sprintf("all %d", len(h.Mixed)), "")
	}
	return t.Flush()
}

func (m *MixedAttack) write(w io.Writer, name, attacks string) {
	share := func(n int) float64 { return float64(n) / float64(max(m.Frames, 1)) }
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%.3f\t%.3f\n", name, attacks, m.Networks, m.Found.Without, m.Found.With,
		m.Frames, share(m.Flagged.Without), share(m.Flagged.With))
}

// WriteJSON writes the figures as JSON.
func (h *Halves) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(h)
}
