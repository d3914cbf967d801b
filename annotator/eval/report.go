package eval

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// WriteReport writes the results as tables for people: attacks by kind and
// origin, mean areas, false alarms by folder, attack captures, and each capture
// that raised an alarm on benign frames.
func WriteReport(w io.Writer, results []Result) error {
	s := Summarize(results)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	s.writeAttacks(t)
	s.writeBenign(t)
	s.writeCaptures(t)
	writeAlarms(t, results)
	return t.Flush()
}

func (s *Summary) writeAttacks(w io.Writer) {
	fmt.Fprint(w, "attack\torigin\tcaptures\tdetected\tright type\tpackets\trecall at 0.8\twith right type")
	for _, p := range falsePositives {
		fmt.Fprintf(w, "\tat %s false", p.name)
	}
	fmt.Fprintln(w, "\tAUC\tbox plot: gaps\tsizes\tseconds until found")
	for i := range s.Attacks {
		a := &s.Attacks[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%.3f\t%.3f", a.Attack, a.Origin, a.Captures, a.Detected, a.Right,
			a.Frames, a.Recall, a.RightRecall)
		for _, p := range falsePositives {
			fmt.Fprintf(w, "\t%.3f", a.RecallAt[p.name])
		}
		delay := "-"
		if a.Delay >= 0 {
			delay = fmt.Sprintf("%.3f", a.Delay)
		}
		fmt.Fprintf(w, "\t%.3f\t%.3f\t%.3f\t%s\n", a.AUC, a.GapAUC, a.SizeAUC, delay)
	}
	fmt.Fprintln(w, "\nmean AUC of attack captures against\torigin\tcaptures\tmean")
	for _, m := range s.Means {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.3f\n", m.Against, m.Origin, m.Captures, m.AUC)
	}
}

func (s *Summary) writeBenign(w io.Writer) {
	fmt.Fprintln(w, "\nbenign frames of\tcaptures\twith alarms\tpackets\talarms\tfalse positives at 0.8\thours\talarms an hour")
	for _, b := range s.Benign {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.5f\t%.2f\t%.1f\n", b.Folder, b.Captures, b.Alarmed, b.Frames, b.Alarms, b.Share,
			b.Hours, float64(b.Alarms)/max(b.Hours, 1e-9))
	}
}

func (s *Summary) writeCaptures(w io.Writer) {
	fmt.Fprintln(w, "\nattack capture\tpackets\trecall at 0.8\tAUC\tagainst its own\tattacks")
	for _, c := range s.Captures {
		if c.Frames == 0 {
			continue
		}
		own := "-"
		if c.OwnAUC >= 0 {
			own = fmt.Sprintf("%.3f", c.OwnAUC)
		}
		fmt.Fprintf(w, "%s\t%d\t%.3f\t%.3f\t%s\t%s\n", c.Name, c.Frames, c.Recall, c.AUC, own, strings.Join(c.Attacks, ", "))
	}
}

func writeAlarms(w io.Writer, results []Result) {
	fmt.Fprintln(w, "\ncapture with alarms on benign frames\tpackets\talarms\tfirst at frame\ttypes")
	for i := range results {
		c := &results[i]
		if c.Err != nil {
			fmt.Fprintf(w, "%s\t%d\t-\t-\tstopped: %v\n", c.Name, c.Frames, c.Err)
		}
		if c.Alarms == 0 {
			continue
		}
		var types []string
		for typ, n := range c.AlarmTypes {
			types = append(types, fmt.Sprintf("%s %d", typ, n))
		}
		slices.Sort(types)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", c.Name, c.Benign, c.Alarms, c.FirstAlarm, strings.Join(types, ", "))
	}
}
