package main

import (
	"os"
	"path/filepath"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
)

// TestFiguresOfVerdicts holds the verdicts on the labelled captures to what the
// models must be worth; models/CARD.md has the figures.
func TestFiguresOfVerdicts(t *testing.T) {
	data := filepath.Join(capturetest.Labelled(t), "anomaly")
	results, err := eval.Run(t.Context(), filepath.Join(data, "captures"), filepath.Join(data, "labels"), 2,
		judge(engine.Default(), testScorer(t)))
	if err != nil {
		t.Fatal(err)
	}
	s := eval.Summarize(results)
	for _, m := range s.Means {
		if m.AUC < 0.945 {
			t.Errorf("mean AUC against %s, %s: %.3f", m.Against, m.Origin, m.AUC)
		}
	}
	var attacks, right int
	for _, c := range s.Captures {
		if c.Frames > 0 {
			attacks++
		}
		if c.Right {
			right++
		}
	}
	if attacks == 0 || float64(right) < 0.9*float64(attacks) {
		t.Errorf("%d of %d attack captures flagged with the right type", right, attacks)
	}
	if b := s.Benign[len(s.Benign)-1]; b.Share > 0.001 || b.Alarmed*20 > b.Captures {
		t.Errorf("benign: %.5f above 0.8, alarms in %d of %d captures", b.Share, b.Alarmed, b.Captures)
	}
	fast := map[string]bool{"port_scan": true, "port_scan_udp": true, "host_sweep": true, "syn_flood": true,
		"udp_flood": true, "icmp_flood": true, "reflection_ddos": true}
	for _, a := range s.Attacks {
		if fast[a.Attack] && (a.Delay < 0 || a.Delay > 2) {
			t.Errorf("%s, %s: found after %.2f s", a.Attack, a.Origin, a.Delay)
		}
	}
}

// TestFiguresOfClasses does the same for the classes, on the ports of the
// captures and on others.
func TestFiguresOfClasses(t *testing.T) {
	data := filepath.Join(capturetest.Labelled(t), "protocols")
	scorer := testScorer(t)
	measure := func(seed uint64) *eval.ClassReport {
		classes, flows := open(t, "../models/train/classes.tsv"), open(t, filepath.Join(data, "flows-dev.tsv"))
		names, err := eval.ReadClasses(classes)
		if err != nil {
			t.Fatal(err)
		}
		table, err := eval.ReadFlows(flows, names)
		if err != nil {
			t.Fatal(err)
		}
		results, err := eval.RunClasses(t.Context(), filepath.Join(data, "dev"), eval.ClassConfig{
			Flows: table, Workers: 2, Renumber: seed, Judge: judgeReader(engine.Default(), scorer), Warn: func(string, error) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		return eval.NewClassReport(results)
	}
	here, elsewhere := measure(0), measure(1)
	for name, f := range here.Figures {
		other := elsewhere.Figures[name]
		switch name {
		case "last packet, weighted by capture", "last packet, plain":
			if f.MacroF1 < 0.92 || other.MacroF1 < f.MacroF1-0.01 || f.Wrong > 0.02 || other.Wrong > 0.02 {
				t.Errorf("%s: macro F1 %.3f, %.3f on other ports; wrong %.4f and %.4f", name, f.MacroF1, other.MacroF1, f.Wrong, other.Wrong)
			}
		}
	}
	if here.MedianNamed < 1 || here.MedianNamed > 2 || elsewhere.MedianNamed > 2 {
		t.Errorf("named at payload packet %d, %d on other ports", here.MedianNamed, elsewhere.MedianNamed)
	}
}

// open opens a file for the length of the test.
func open(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}
