package detect

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// label is what is known of a frame.
type label struct{ class, attack string }

// readLabels returns the label of every frame, n of them.
func readLabels(t *testing.T, path string, n int) []label {
	t.Helper()
	labels := make([]label, n)
	for i := range labels {
		labels[i].class = "benign"
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return labels
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var first, last int
		line := strings.Split(s.Text(), "\t")
		if line[0] == "# default" {
			for i := range labels {
				labels[i].class = line[1]
			}
		}
		if _, err := fmt.Sscan(line[0], &first); err != nil || len(line) < 4 {
			continue
		}
		if _, err := fmt.Sscan(line[1], &last); err != nil {
			t.Fatalf("%s: %q: %v", path, s.Text(), err)
		}
		for i := first; i <= last && i <= n; i++ {
			labels[i-1] = label{line[2], line[3]}
		}
	}
	return labels
}

// replay runs the detectors over a capture and returns the highest finding of
// every frame.
func replay(t *testing.T, path string, detectors []Detector) []Finding {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks := pcapng.NewReader(f)
	table := flow.NewTable(flow.Default())
	var (
		decoder  packet.Decoder
		pkt      packet.Packet
		o        flow.Observation
		findings []Finding
	)
	for {
		block, err := blocks.Next()
		if err != nil {
			return findings
		}
		if !block.IsFrame() {
			continue
		}
		decoder.Decode(block.Frame(), &pkt)
		table.Observe(&pkt, &o)
		var worst Finding
		for _, d := range detectors {
			if f := d.Observe(&o); f.Score > worst.Score {
				worst = f
			}
		}
		findings = append(findings, worst)
	}
}

// typeOf maps the labels of the captures to the types of anomalies; what is
// missing there has no detector.
var typeOf = map[string]verdict.Type{
	"port_scan": verdict.PortScan, "port_scan_slow": verdict.PortScan, "port_scan_udp": verdict.PortScan,
	"host_sweep": verdict.HostScan, "c2_udp_spray": verdict.HostScan,
	"syn_flood": verdict.Flood, "udp_flood": verdict.Flood, "icmp_flood": verdict.Flood, "reflection_ddos": verdict.Flood,
	"slow_dos":       verdict.SlowDoS,
	"ssh_bruteforce": verdict.BruteForce, "ftp_bruteforce": verdict.BruteForce, "http_bruteforce": verdict.BruteForce,
	"exfiltration": verdict.Exfiltration,
	"dns_tunnel":   verdict.DNSTunnel, "icmp_tunnel": verdict.ICMPTunnel,
	"beaconing": verdict.Beacon, "arp_spoof": verdict.ARPSpoof,
}

// TestData measures the detectors on the labelled captures: go test -run
// TestData -v prints every capture with an alarm.
func TestData(t *testing.T) {
	dir := filepath.Join(capturetest.Labelled(t), "anomaly")
	paths, err := filepath.Glob(filepath.Join(dir, "captures", "*", "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures in %s: %v", dir, err)
	}
	only := os.Getenv("AMPULLA_ONLY")
	for _, path := range paths {
		name := filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
		if filepath.Base(path) == "MANIFEST.tsv" || !strings.Contains(name, only) {
			continue
		}
		findings := replay(t, path, All(Default()))
		labels := readLabels(t, filepath.Join(dir, "labels", name+".tsv"), len(findings))
		report(t, name, findings, labels)
	}
}

// report prints what was found in one capture.
func report(t *testing.T, name string, findings []Finding, labels []label) {
	type row struct{ frames, flagged, right int }
	rows := map[string]*row{}
	first := map[string]int{}
	alarms := map[string]int{}
	for i, f := range findings {
		l := labels[i]
		key := l.class + " " + l.attack
		if rows[key] == nil {
			rows[key] = &row{}
		}
		rows[key].frames++
		if f.Score > verdict.AnomalousScore {
			rows[key].flagged++
			if f.Type == typeOf[l.attack] {
				rows[key].right++
			}
			k := key + " -> " + string(f.Type)
			if alarms[k]++; first[k] == 0 {
				first[k] = i + 1
			}
		}
	}
	var lines []string
	for key, r := range rows {
		if strings.HasPrefix(key, "attack") {
			lines = append(lines, fmt.Sprintf("  %s: %d of %d flagged, %d with the right type", key, r.flagged, r.frames, r.right))
		}
	}
	for key, n := range alarms {
		f := findings[first[key]-1]
		lines = append(lines, fmt.Sprintf("  %-50s %6d, first frame %d: %.3f %s", key, n, first[key], f.Score, f.Reason))
	}
	if len(lines) > 0 {
		slices.Sort(lines)
		t.Logf("%s (%d frames)\n%s", name, len(findings), strings.Join(lines, "\n"))
	}
}
