package eval

import (
	"math"
	"strings"
	"testing"

	"ampulla/annotator/verdict"
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
	if f := *c.Attacks["port_scan"]; f != (AttackFigures{Frames: 3, Flagged: 2, Right: 1}) {
		t.Errorf("port_scan: %+v", f)
	}
	if c.Alarms != 1 || c.FirstAlarm != 2 || c.Benign != 2 || c.ResponseAlarms != 1 || c.Frames != 7 {
		t.Errorf("%+v", c)
	}
	// Pairs won: 0.9 beats 0.1 and ties 0.9 (1.5), 0.95 beats both (2), 0.8 beats one (1).
	if auc, ok := c.AUC(); !ok || math.Abs(auc-4.5/6) > 1e-12 {
		t.Errorf("AUC %v, %v", auc, ok)
	}
}
