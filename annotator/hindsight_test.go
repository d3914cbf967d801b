package main

import (
	"path/filepath"
	"slices"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/eval"
)

// swift are the attacks of which hindsight must find all: fast scans, floods
// and the guessing of passwords, by their names in labels.
var swift = []string{"port_scan", "port_scan_udp", "host_scan", "host_sweep", "flood", "syn_flood", "udp_flood", "icmp_flood",
	"reflection_ddos", "brute_force", "ssh_bruteforce", "ftp_bruteforce", "http_bruteforce"}

// TestHindsight: in hindsight nearly all packets of those attacks are marked, no
// fewer of the others, and of the benign ones none that are not without it. On
// the project's own captures; with AMPULLA_FULL also on the labelled ones.
func TestHindsight(t *testing.T) {
	sets := map[string][2]string{"own": {"../testdata/captures", "../testdata/labels"}}
	if capturetest.Full() {
		data := filepath.Join(capturetest.Labelled(t), "anomaly")
		sets["labelled"] = [2]string{filepath.Join(data, "captures"), filepath.Join(data, "labels")}
	}
	scorer := testScorer(t)
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			measure := func(hindsight bool) *eval.Summary {
				cfg := engine.Default()
				cfg.Hindsight = hindsight
				results, err := eval.Run(t.Context(), set[0], set[1], 2, judge(cfg, scorer))
				if err != nil || len(results) == 0 {
					t.Fatalf("%d captures: %v", len(results), err)
				}
				return eval.Summarize(results)
			}
			first, second := measure(false), measure(true)
			for i, a := range second.Attacks {
				if recall := first.Attacks[i].Recall; a.Recall < recall || slices.Contains(swift, a.Attack) && a.Recall < 0.98 {
					t.Errorf("%s, %s: recall %.3f, was %.3f", a.Attack, a.Origin, a.Recall, recall)
				}
			}
			for i, b := range second.Benign {
				if alarms := first.Benign[i].Alarms; b.Alarms != alarms {
					t.Errorf("%s: %d alarms on benign frames, were %d", b.Folder, b.Alarms, alarms)
				}
			}
		})
	}
}
