package detect

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"maps"
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

// packets calls each with every packet of a capture, up to where it breaks.
func packets(t *testing.T, path string, each func(p *packet.Packet)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks := pcapng.NewReader(f)
	var (
		decoder packet.Decoder
		p       packet.Packet
	)
	for {
		block, err := blocks.Next()
		if err != nil {
			return
		}
		if block.IsFrame() {
			decoder.Decode(block.Frame(), &p)
			each(&p)
		}
	}
}

// replay runs the detectors over a capture and returns the highest finding of
// every frame.
func replay(t *testing.T, path string) (findings []Finding) {
	t.Helper()
	table, detectors := flow.NewTable(flow.Default()), New(Default(), nil)
	var o flow.Observation
	packets(t, path, func(p *packet.Packet) {
		table.Observe(p, &o)
		findings = append(findings, *detectors.Observe(&o))
	})
	return findings
}

// typeOf maps the labels of the captures to the types of anomalies; what is
// missing there has no detector. The project's own captures are labelled with
// the types themselves.
var typeOf = map[string]verdict.Type{
	"port_scan": verdict.PortScan, "port_scan_slow": verdict.PortScan, "port_scan_udp": verdict.PortScan,
	"host_sweep": verdict.HostScan, "c2_udp_spray": verdict.HostScan, "host_scan": verdict.HostScan,
	"syn_flood": verdict.Flood, "udp_flood": verdict.Flood, "icmp_flood": verdict.Flood,
	"reflection_ddos": verdict.Flood, "flood": verdict.Flood,
	"slow_dos":       verdict.SlowDoS,
	"ssh_bruteforce": verdict.BruteForce, "ftp_bruteforce": verdict.BruteForce,
	"http_bruteforce": verdict.BruteForce, "brute_force": verdict.BruteForce,
	"exfiltration": verdict.Exfiltration,
	"dns_tunnel":   verdict.DNSTunnel, "icmp_tunnel": verdict.ICMPTunnel,
	"beaconing": verdict.Beacon, "beacon": verdict.Beacon, "arp_spoof": verdict.ARPSpoof,
	"dga": verdict.Outlier, "web_attack": verdict.Outlier, "webshell": verdict.Outlier, "wifi_arp_replay": verdict.Flood,
}

// unseen are attacks that leave no trace a detector here could know.
var unseen = map[string]string{
	"westermo/right_extended.pcap arp_spoof": "the mirror port shows only the attacker's questions, under its own address, none of the forged replies",
}

// notBenign are captures labelled benign that hold an attack.
var notBenign = map[string]verdict.Type{
	"benign-ics/pcaps__C37.118__C37118__c37118_1100_unclean.pcap": verdict.ARPSpoof, // unasked replies every 1.6 s, as the name says
	"benign-ics/pcaps__C37.118__C37118__c37_pmu_unclean.pcap":     verdict.ARPSpoof,
}

// tally counts the frames of one label, or of several captures.
type tally struct {
	captures, detected     int
	frames, flagged, right int
}

// measure counts, for every label of a capture, how many frames were flagged,
// and logs where.
func measure(t *testing.T, name string, findings []Finding, labels []label) map[label]*tally {
	t.Helper()
	tallies := map[label]*tally{}
	alarms, first := map[string]int{}, map[string]int{}
	for i, f := range findings {
		l := labels[i]
		if tallies[l] == nil {
			tallies[l] = &tally{captures: 1}
		}
		c := tallies[l]
		c.frames++
		if f.Score <= verdict.AnomalousScore {
			continue
		}
		c.flagged++
		if f.Type == typeOf[l.attack] {
			c.detected = 1
			c.right++
		}
		key := fmt.Sprintf("%s %s -> %s", l.class, l.attack, f.Type)
		if alarms[key]++; first[key] == 0 {
			first[key] = i + 1
		}
	}
	for _, key := range slices.Sorted(maps.Keys(alarms)) {
		f := findings[first[key]-1]
		t.Logf("%s: %s: %d, first in frame %d: %.3f %s", name, key, alarms[key], first[key], f.Score, f.Reason)
	}
	return tallies
}

// TestData measures the detectors on the labelled captures; -v prints every
// capture with an alarm and two tables.
func TestData(t *testing.T) {
	dir := filepath.Join(capturetest.Labelled(t), "anomaly")
	totals := map[bool]map[label]*tally{true: {}, false: {}} // by whether it is of the laboratory
	for _, path := range capturetest.Files(t, filepath.Join(dir, "captures")) {
		folder := filepath.Base(filepath.Dir(path))
		name := filepath.Join(folder, filepath.Base(path))
		findings := replay(t, path)
		labels := readLabels(t, filepath.Join(dir, "labels", name+".tsv"), len(findings))
		for l, c := range measure(t, name, findings, labels) {
			if strings.HasPrefix(folder, "benign-") {
				l.attack = "(benign captures)"
				checkBenign(t, name, c.flagged, findings)
			}
			kind, known := typeOf[l.attack]
			if l.class == "attack" && known && (c.detected == 0) != (unseen[name+" "+l.attack] != "") {
				t.Errorf("%s: %s not found, or expected not to be, as %s", name, l.attack, kind)
			}
			add(totals[folder == "lab"], l, c)
		}
	}
	t.Logf("laboratory\n%s", printTable(totals[true]))
	t.Logf("public captures and mixes\n%s", printTable(totals[false]))
}

// checkBenign demands silence.
func checkBenign(t *testing.T, name string, flagged int, findings []Finding) {
	t.Helper()
	want, attack := notBenign[name]
	if attack != (flagged > 0) {
		t.Errorf("%s: %d frames flagged", name, flagged)
	}
	for i, f := range findings {
		if f.Score > verdict.AnomalousScore && f.Type != want {
			t.Errorf("%s: frame %d: %s", name, i+1, f.Reason)
			return
		}
	}
}

// TestOwn: in the project's own captures every attack is found, and benign
// ones are silent.
func TestOwn(t *testing.T) {
	for _, path := range capturetest.Own(t) {
		name := filepath.Base(path)
		findings := replay(t, path)
		labels := readLabels(t, filepath.Join(filepath.Dir(path), "..", "labels", name+".tsv"), len(findings))
		for l, c := range measure(t, name, findings, labels) {
			if l.class == "attack" && c.detected == 0 {
				t.Errorf("%s: %s: none of %d frames found", name, l.attack, c.frames)
			}
			if strings.HasPrefix(name, "benign") && c.flagged > 0 {
				t.Errorf("%s: %d frames flagged", name, c.flagged)
			}
		}
	}
}

func add(totals map[label]*tally, l label, c *tally) {
	if totals[l] == nil {
		totals[l] = &tally{}
	}
	sum := totals[l]
	sum.captures += c.captures
	sum.detected += c.detected
	sum.frames += c.frames
	sum.flagged += c.flagged
	sum.right += c.right
}

// printTable returns the tallies as a table.
func printTable(totals map[label]*tally) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %9s %9s %9s %9s\n", "label", "captures", "frames", "flagged", "right")
	labels := slices.SortedFunc(maps.Keys(totals), func(a, b label) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.attack, b.attack))
	})
	for _, l := range labels {
		c := totals[l]
		fmt.Fprintf(&b, "%-32s %4d/%4d %9d %9d %9d\n", l.class+" "+l.attack, c.detected, c.captures, c.frames, c.flagged, c.right)
	}
	return b.String()
}
