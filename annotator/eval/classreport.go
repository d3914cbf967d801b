package eval

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"ampulla/annotator/verdict"
)

// ClassReport sums up results of flows. Weighted figures give every class of
// every capture the same weight, plain ones every flow.
type ClassReport struct {
	Flows    int `json:"flows"` // whose class is known, tunnels left out
	Captures int `json:"captures"`
	// MedianNamed is at which packet with payload half of the flows that were
	// named had got their class.
	MedianNamed int                     `json:"median_payload_packet_named"`
	Figures     map[string]ClassFigures `json:"figures"`
	Classes     []ClassRow              `json:"classes"`
	Confusion   []Confusion             `json:"confusion"`
	// Tunnels are the flows that were looked into, by label: their verdicts are
	// of what they carry, so they count nowhere else.
	Tunnels map[string]int `json:"tunnels"`
}

// ClassFigures are shares, and the mean of the F1 of all classes that occur.
type ClassFigures struct {
	Right   float64 `json:"right"`
	Silent  float64 `json:"silent"` // named unknown
	Wrong   float64 `json:"wrong"`
	MacroF1 float64 `json:"macro_f1"`
}

// ClassRow are the figures of one class at the last packet, weighted but for
// the counts.
type ClassRow struct {
	Class       string  `json:"class"`
	Captures    int     `json:"captures"`
	Flows       int     `json:"flows"`
	Recall      float64 `json:"recall"`
	Precision   float64 `json:"precision"`
	F1          float64 `json:"f1"`
	Silent      float64 `json:"silent"`
	MedianNamed int     `json:"median_payload_packet_named"`
}

// Confusion counts flows of one class that got the name of another.
type Confusion struct {
	Truth string `json:"truth"`
	Class string `json:"class"`
	Flows int    `json:"flows"`
}

// The figures of a report, in the order in which they are printed.
const (
	lastWeighted  = "last packet, weighted by capture"
	lastPlain     = "last packet, plain"
	firstWeighted = "first payload, weighted by capture"
	firstPlain    = "first payload, plain"
	portWeighted  = "port table, weighted by capture"
	portPlain     = "port table, plain"
)

var figureOrder = []string{lastWeighted, lastPlain, firstWeighted, firstPlain, portWeighted, portPlain}

// NewClassReport sums the results up.
func NewClassReport(results []FlowResult) *ClassReport {
	r := &ClassReport{Figures: map[string]ClassFigures{}, Tunnels: map[string]int{}}
	var flows []FlowResult
	for _, f := range results {
		switch {
		case f.Truth == "" || f.Payloads == 0:
		case f.Inside:
			r.Tunnels[f.Truth]++
		default:
			flows = append(flows, f)
		}
	}
	weights := captureWeights(flows)
	plain := slices.Repeat([]float64{1}, len(flows))
	last := func(f *FlowResult) string { return f.Class }
	first := func(f *FlowResult) string { return f.First }
	port := func(f *FlowResult) string { return cmp.Or(f.PortTable, verdict.UnknownClass) }
	for name, of := range map[string]struct {
		answer  func(*FlowResult) string
		weights []float64
	}{
		lastWeighted: {last, weights}, lastPlain: {last, plain}, firstWeighted: {first, weights},
		firstPlain: {first, plain}, portWeighted: {port, weights}, portPlain: {port, plain},
	} {
		t := newTally(flows, of.answer, of.weights)
		r.Figures[name] = t.figures()
		if name == lastWeighted {
			r.Classes = t.rows(flows)
		}
	}
	r.Flows, r.Captures = len(flows), len(group(flows, func(f *FlowResult) string { return f.File }))
	r.MedianNamed = medianNamed(flows)
	r.Confusion = confusion(flows)
	return r
}

// captureWeights gives each flow one over how many of its class its capture
// holds.
func captureWeights(flows []FlowResult) []float64 {
	type key struct{ file, truth string }
	count := map[key]float64{}
	for _, f := range flows {
		count[key{f.File, f.Truth}]++
	}
	weights := make([]float64, len(flows))
	for i, f := range flows {
		weights[i] = 1 / count[key{f.File, f.Truth}]
	}
	return weights
}

// tally sums weights by class.
type tally struct {
	total, silent              float64
	truth, answered, both, mum map[string]float64
}

func newTally(flows []FlowResult, answer func(*FlowResult) string, weights []float64) *tally {
	t := &tally{truth: map[string]float64{}, answered: map[string]float64{}, both: map[string]float64{}, mum: map[string]float64{}}
	for i := range flows {
		f, w, class := &flows[i], weights[i], answer(&flows[i])
		t.total += w
		t.truth[f.Truth] += w
		t.answered[class] += w
		if class == f.Truth {
			t.both[class] += w
		}
		if class == verdict.UnknownClass {
			t.silent += w
			t.mum[f.Truth] += w
		}
	}
	return t
}

func (t *tally) f1(class string) float64 {
	return ratio(2*t.both[class], t.truth[class]+t.answered[class])
}

func (t *tally) figures() ClassFigures {
	var f1s []float64
	var right float64
	for _, class := range slices.Sorted(maps.Keys(t.truth)) {
		f1s = append(f1s, t.f1(class))
		right += t.both[class]
	}
	if len(f1s) == 0 {
		return ClassFigures{}
	}
	return ClassFigures{ratio(right, t.total), ratio(t.silent, t.total), ratio(t.total-right-t.silent, t.total), mean(f1s)}
}

func (t *tally) rows(flows []FlowResult) []ClassRow {
	var rows []ClassRow
	byClass := group(flows, func(f *FlowResult) string { return f.Truth })
	for _, class := range slices.Sorted(maps.Keys(byClass)) {
		own := byClass[class]
		rows = append(rows, ClassRow{
			Class: class, Flows: len(own), Captures: len(group(own, func(f *FlowResult) string { return f.File })),
			Recall: ratio(t.both[class], t.truth[class]), Precision: ratio(t.both[class], t.answered[class]),
			F1: t.f1(class), Silent: ratio(t.mum[class], t.truth[class]), MedianNamed: medianNamed(own),
		})
	}
	return rows
}

func group(flows []FlowResult, by func(*FlowResult) string) map[string][]FlowResult {
	groups := map[string][]FlowResult{}
	for i := range flows {
		groups[by(&flows[i])] = append(groups[by(&flows[i])], flows[i])
	}
	return groups
}

func medianNamed(flows []FlowResult) int {
	var named []int
	for _, f := range flows {
		if f.Named > 0 {
			named = append(named, f.Named)
		}
	}
	if len(named) == 0 {
		return 0
	}
	slices.Sort(named)
	return named[len(named)/2]
}

func confusion(flows []FlowResult) []Confusion {
	count := map[Confusion]int{}
	for _, f := range flows {
		if f.Class != f.Truth && f.Class != verdict.UnknownClass {
			count[Confusion{Truth: f.Truth, Class: f.Class}]++
		}
	}
	list := make([]Confusion, 0, len(count))
	for c, n := range count {
		c.Flows = n
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Confusion) int {
		return cmp.Or(cmp.Compare(b.Flows, a.Flows), cmp.Compare(a.Truth, b.Truth), cmp.Compare(a.Class, b.Class))
	})
	return list
}

func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// WriteText writes the report for people.
func (r *ClassReport) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "%d flows of %d classes in %d captures; half of those named had their name at payload packet %d\n\n",
		r.Flows, len(r.Classes), r.Captures, r.MedianNamed)
	fmt.Fprintln(t, "figures\tright\tsilent\twrong\tmacro F1")
	for _, name := range figureOrder {
		f := r.Figures[name]
		fmt.Fprintf(t, "%s\t%.4f\t%.4f\t%.4f\t%.4f\n", name, f.Right, f.Silent, f.Wrong, f.MacroF1)
	}
	fmt.Fprintln(t, "\nclass\tcaptures\tflows\trecall\tprecision\tF1\tsilent\tnamed at payload packet")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%d\n", c.Class, c.Captures, c.Flows, c.Recall, c.Precision, c.F1, c.Silent, c.MedianNamed)
	}
	fmt.Fprintln(t, "\nclass\twas named\tflows")
	for _, c := range r.Confusion {
		fmt.Fprintf(t, "%s\t%s\t%d\n", c.Truth, c.Class, c.Flows)
	}
	if len(r.Tunnels) > 0 {
		var tunnels []string
		for _, name := range slices.Sorted(maps.Keys(r.Tunnels)) {
			tunnels = append(tunnels, fmt.Sprintf("%s %d", name, r.Tunnels[name]))
		}
		fmt.Fprintf(t, "\ntunnels looked into, counted nowhere above: %s\n", strings.Join(tunnels, ", "))
	}
	return t.Flush()
}
