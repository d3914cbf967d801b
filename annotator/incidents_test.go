package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
)

// TestIncidents checks what incidents and the verdicts of their packets say of
// each other, in the project's own captures, and has tshark try their filters:
// each must have all packets of its incident.
func TestIncidents(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("no tshark here")
	}
	scorer := testScorer(t)
	for _, path := range capturetest.Own(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			e, err := engine.New(engine.Default(), scorer)
			if err != nil {
				t.Fatal(err)
			}
			in, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			packets := map[uint32][]*verdict.Verdict{}
			_, err = rewrite.Annotate(context.Background(), bytes.NewReader(in), nil, rewrite.Config{
				Engine: e, OnVerdict: func(v *verdict.Verdict) error {
					if (v.Incident != 0) != (v.Type != "") {
						t.Fatalf("frame %d: incident %d, type %q", v.Frame, v.Incident, v.Type)
					}
					copied := *v
					packets[v.Incident] = append(packets[v.Incident], &copied)
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			all := e.Incidents()
			for n := range all {
				i := &all[n]
				mine := packets[i.Number]
				if int(i.Number) != n+1 || len(mine) == 0 || uint64(len(mine)) != i.Packets ||
					i.First.Frame != mine[0].Frame || i.Last.Frame != mine[len(mine)-1].Frame {
					t.Fatalf("incident %d: %+v, but %d packets", n+1, i, len(mine))
				}
				highest := 0.0
				for _, v := range mine {
					highest = max(highest, v.Score)
					if v.IncidentFirst != i.First.Frame {
						t.Errorf("frame %d: incident %d since %d instead of %d", v.Frame, i.Number, v.IncidentFirst, i.First.Frame)
					}
				}
				if highest != i.Score {
					t.Errorf("incident %d: score %v, but one of %v", i.Number, i.Score, highest)
				}
				if i.Score > verdict.AnomalousScore || capturetest.Full() {
					checkFilter(t, path, i.Filter, mine)
				}
			}
			if len(all)+1 != len(packets) { // and those of none
				t.Errorf("%d incidents, but packets of %d", len(all), len(packets)-1)
			}
		})
	}
}

// checkFilter has tshark apply the filter of an incident.
func checkFilter(t *testing.T, path, filter string, packets []*verdict.Verdict) {
	t.Helper()
	out, err := exec.Command("tshark", "-n", "-r", path, "-Y", filter, "-T", "fields", "-e", "frame.number").CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", filter, err, out)
	}
	shown := map[string]bool{}
	for number := range strings.FieldsSeq(string(out)) {
		shown[number] = true
	}
	for _, v := range packets {
		if !shown[strconv.FormatUint(v.Frame, 10)] {
			t.Errorf("%s does not have frame %d", filter, v.Frame)
			return
		}
	}
}
