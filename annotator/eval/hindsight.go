package eval

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteHindsight writes the figures of s beside those of s.Hindsight, which are
// of the same captures: recall by kind and origin of the attack, alarms on
// benign frames by folder, and what is said of frames that are neither.
func (s *Summary) WriteHindsight(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "\nattack\torigin\tpackets\trecall at 0.8\tin hindsight\twith right type\tin hindsight")
	for i, a := range s.Attacks {
		h := s.Hindsight.Attacks[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\n", a.Attack, a.Origin, a.Frames, a.Recall, h.Recall, a.RightRecall, h.RightRecall)
	}
	fmt.Fprintln(t, "\nbenign frames of\tpackets\talarms\tin hindsight")
	for i, b := range s.Benign {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", b.Folder, b.Frames, b.Alarms, s.Hindsight.Benign[i].Alarms)
	}
	fmt.Fprintln(t, "\nframes labelled\tpackets\tabove 0.8\tin hindsight")
	for i, o := range s.Others {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", o.Label, o.Frames, o.Flagged, s.Hindsight.Others[i].Flagged)
	}
	return t.Flush()
}
