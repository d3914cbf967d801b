package eval

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"ampulla/annotator/verdict"

	"github.com/google/go-cmp/cmp"
)

func TestLabels(t *testing.T) {
	l, err := ReadLabels(strings.NewReader("# file\tx\n# default\tunknown\nfirst_frame\tlast_frame\tclass\tattack_type\n3\t4\tattack\tport_scan\n5\t5\tresponse\tport_scan\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Label{{Unknown, ""}, {Unknown, ""}, {Attack, "port_scan"}, {Attack, "port_scan"}, {Response, "port_scan"}, {Unknown, ""}}
	for i, w := range want {
		if got := l.Of(uint64(i + 1)); got != w {
			t.Errorf("frame %d: %v, want %v", i+1, got, w)
		}
	}
}

func TestLabelErrors(t *testing.T) {
	for in, want := range map[string]string{
		"# default evil\n":                   `line 1: default class " evil"`,
		"1\t2\tattack\n":                     "line 1: 3 fields instead of 4",
		"1\t2\tattack\tx\n2\t3\tattack\tx\n": "line 2: frames 2 to 3 are out of order",
		"2\t1\tattack\tx\n":                  "line 1: frames 2 to 1 are out of order",
		"x\t1\tattack\tx\n":                  `line 1: first frame: strconv.ParseUint: parsing "x": invalid syntax`,
		"1\t1\tattacked\tx\n":                `line 1: class "attacked"`,
	} {
		if _, err := ReadLabels(strings.NewReader(in)); err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", in, err, want)
		}
	}
}

func TestCapture(t *testing.T) {
	var c Capture
	add := func(truth Truth, attack string, score float64, typ verdict.Type) {
		c.Add(Label{truth, attack}, &verdict.Verdict{Frame: c.Frames + 1, Score: score, Type: typ})
	}
	add(Benign, "", 0.1, "")
	add(Benign, "", 0.9, verdict.Outlier)
	add(Attack, "port_scan", 0.9, verdict.PortScan)
	add(Attack, "port_scan", 0.95, verdict.Flood)
	add(Attack, "port_scan", 0.8, verdict.PortScan)
	add(Response, "port_scan", 0.9, verdict.PortScan)
	add(Unknown, "", 1, verdict.Flood)
	add(Ignore, "", 0.1, "")
	if f := c.Attacks["port_scan"]; f.Frames != 3 || f.Flagged != 2 || f.Right != 1 {
		t.Errorf("port_scan: %d frames, %d flagged, %d right", f.Frames, f.Flagged, f.Right)
	}
	if c.Alarms != 1 || c.FirstAlarm != 2 || c.Benign != 2 || c.Frames != 8 ||
		c.Others != [...]Others{Unknown: {1, 1}, Response: {1, 1}, Ignore: {1, 0}} {
		t.Errorf("%d alarms, first %d, %d benign, others %v, %d frames", c.Alarms, c.FirstAlarm, c.Benign, c.Others, c.Frames)
	}
	// Pairs won: 0.9 beats 0.1 and ties 0.9 (1.5), 0.95 beats both (2), 0.8 beats one (1).
	if auc, ok := c.AUC(); !ok || math.Abs(auc-4.5/6) > 1e-12 {
		t.Errorf("AUC %v, %v", auc, ok)
	}
}

func TestSummarize(t *testing.T) {
	result := func(name string, frames ...[2]float64) Result { // seconds and score, negative for an attack
		r := Result{Name: name}
		for i, f := range frames {
			label := Label{Truth: Benign}
			v := verdict.Verdict{Frame: uint64(i + 1), Time: int64(f[0] * 1e9), Score: math.Abs(f[1]), Type: verdict.Flood}
			if f[1] < 0 {
				label = Label{Attack, "syn_flood"}
			}
			r.Add(label, &v)
		}
		return r
	}
	s := Summarize([]Result{
		result("lab/a", [2]float64{0, 0.1}, [2]float64{1, -0.2}, [2]float64{3.5, -0.9}),
		result("web/b", [2]float64{0, 0.85}, [2]float64{600, 0.3}, [2]float64{1e6, 0.3}),
	})
	a := s.Attacks[0]
	if len(s.Attacks) != 1 || a.Origin != "laboratory" || a.Delay != 2.5 || a.Recall != 0.5 || a.RecallAt["1%"] != 0.5 {
		t.Errorf("attacks: %d, %s, %v, %v, %v", len(s.Attacks), a.Origin, a.Delay, a.Recall, a.RecallAt)
	}
	// 0.2 beats one of four benign frames, 0.9 all.
	if math.Abs(a.AUC-5.0/8) > 1e-12 {
		t.Errorf("AUC %v", a.AUC)
	}
	if m := s.Means; len(m) != 4 || m[0] != (MeanAUC{"own benign frames", "laboratory", 1, 1}) {
		t.Errorf("means: %v", m)
	}
	if want := []OtherSummary{{"response", 0, 0}, {"ignore", 0, 0}, {"unknown", 0, 0}}; !slices.Equal(s.Others, want) {
		t.Errorf("others: %v", s.Others)
	}
	if b := s.Benign[len(s.Benign)-1]; b.Folder != "all" || b.Alarms != 1 || b.Alarmed != 1 || b.Frames != 4 || math.Abs(b.Hours-603.5/3600) > 1e-9 {
		t.Errorf("benign: %+v", b)
	}
}

func TestBoxes(t *testing.T) {
	var values [baselines][]float64
	values[boxGap] = []float64{10, 11, 12, 13, 14, 15, 16, 17, 100}
	values[boxSize] = []float64{60, 60, 60, 60, 60, 60, 60, 60, 60}
	got := boxes(values)
	for i, g := range got {
		if outside := g[boxGap] > 0; outside != (i == 8) || g[boxSize] != 0 {
			t.Errorf("frame %d: %v", i, g)
		}
	}
}

func TestROC(t *testing.T) {
	var attack, benign histogram
	for _, score := range []float64{0.9, 0.5} {
		attack.add(score)
	}
	for _, score := range []float64{0.5, 0.1, 0.1, 0.1} {
		benign.add(score)
	}
	if diff := cmp.Diff(curve{{0, 0}, {0, 0.5}, {0.25, 1}, {1, 1}}, roc(&attack, &benign)); diff != "" {
		t.Error(diff)
	}
}

// TestSVG: a plot is well-formed whatever attacks are called, with three curves
// each.
func TestSVG(t *testing.T) {
	r := Result{Name: "lab/a"}
	for i, attack := range []string{"a<b", "", "c&d"} {
		label := Label{Attack, attack}
		if attack == "" {
			label = Label{Truth: Benign}
		}
		r.Add(label, &verdict.Verdict{Frame: uint64(i + 1), Score: 0.5})
	}
	var b bytes.Buffer
	if err := Summarize([]Result{r}).WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	decoder := xml.NewDecoder(&b)
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			count[start.Name.Local]++
		}
	}
	if count["polyline"] != 6 || count["g"] != 2 {
		t.Errorf("%v", count)
	}
}
