package models_test

import (
	"encoding/csv"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
	"ampulla/models"
)

// TestManifest wants the shipped models to fit their manifest and the features
// that this program computes.
func TestManifest(t *testing.T) {
	m, err := score.LoadManifest(models.FS)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{verdict.UnknownClass: true}
	for _, row := range classTable(t) {
		known[row[1]] = true
	}
	for _, class := range m.Classifier.Classes {
		if !known[class] {
			t.Errorf("class %q is not in train/classes.tsv", class)
		}
	}
	if got := m.Anomaly.Calibrated().Score(1e9); got != 1 {
		t.Errorf("the oddest packet scores %v, want 1", got)
	}
}

// TestClassesAreDisplayFilters wants every class to be what Wireshark calls
// the protocol, so that a class can be pasted into a display filter.
func TestClassesAreDisplayFilters(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed (run make deps)")
	}
	out, err := exec.Command("tshark", "-G", "protocols").Output()
	if err != nil {
		t.Fatal(err)
	}
	filters := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Split(strings.TrimSpace(line), "\t"); len(fields) >= 3 {
			filters[fields[2]] = true
		}
	}
	if !filters["dns"] {
		t.Fatal("tshark -G protocols names no dns: its format is another")
	}
	for _, row := range classTable(t) {
		if class, since := row[1], row[2]; since == "4.0" && !filters[class] {
			t.Errorf("label %s: Wireshark has no display filter %q", row[0], class)
		}
	}
}

// classTable returns the rows label, class, first Wireshark with such a filter.
func classTable(t *testing.T) [][]string {
	t.Helper()
	f, err := os.Open("train/classes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader := csv.NewReader(f)
	reader.Comma = '\t'
	reader.FieldsPerRecord = 3
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}
