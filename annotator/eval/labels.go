// Package eval measures the engine against labelled captures.
package eval

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ampulla/annotator/verdict"
)

// Truth is what a label says of a frame.
type Truth uint8

// The truths. Unknown and Ignore frames count neither as false alarms nor as
// misses; Response frames are a victim's answers, counted apart.
const (
	Unknown Truth = iota
	Benign
	Attack
	Response
	Ignore
)

var truths = map[string]Truth{"unknown": Unknown, "benign": Benign, "attack": Attack, "response": Response, "ignore": Ignore}

// Label is the truth about one frame and the kind of attack it belongs to.
type Label struct {
	Truth  Truth
	Attack string // name of the attack as in the label file; empty if none
}

// Labels are the labels of one capture.
type Labels struct {
	rest   Truth // of frames in no range
	ranges []labelRange
	next   int // first range that may still matter; frames are asked for in order
}

type labelRange struct {
	first, last uint64
	label       Label
}

// AllBenign are the labels of a capture without any attack.
func AllBenign() *Labels { return &Labels{rest: Benign} }

// ReadLabels reads a label file: lines starting with "#" (of which "# default
// <class>" gives the class of all frames in no range), a header, then
// tab-separated rows first_frame, last_frame, class, attack_type, in order and
// not overlapping. Errors name the line.
func ReadLabels(r io.Reader) (*Labels, error) {
	labels := &Labels{rest: Benign}
	scanner := bufio.NewScanner(r)
	for n := 1; scanner.Scan(); n++ {
		if err := labels.line(scanner.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return labels, scanner.Err()
}

func (l *Labels) line(text string) error {
	if comment, ok := strings.CutPrefix(text, "#"); ok {
		if class, ok := strings.CutPrefix(strings.TrimSpace(comment), "default"); ok {
			truth, ok := truths[strings.TrimSpace(class)]
			if !ok {
				return fmt.Errorf("default class %q", class)
			}
			l.rest = truth
		}
		return nil
	}
	if text == "" || strings.HasPrefix(text, "first_frame") {
		return nil
	}
	fields := strings.Split(text, "\t")
	if len(fields) < 4 {
		return fmt.Errorf("%d fields instead of 4", len(fields))
	}
	first, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		return fmt.Errorf("first frame: %w", err)
	}
	last, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return fmt.Errorf("last frame: %w", err)
	}
	truth, ok := truths[fields[2]]
	if !ok {
		return fmt.Errorf("class %q", fields[2])
	}
	if n := len(l.ranges); last < first || n > 0 && first <= l.ranges[n-1].last {
		return fmt.Errorf("frames %d to %d are out of order", first, last)
	}
	l.ranges = append(l.ranges, labelRange{first, last, Label{truth, fields[3]}})
	return nil
}

// Of returns the label of a frame. Frames must be asked for in rising order.
func (l *Labels) Of(frame uint64) Label {
	for l.next < len(l.ranges) && l.ranges[l.next].last < frame {
		l.next++
	}
	if l.next < len(l.ranges) && l.ranges[l.next].first <= frame {
		return l.ranges[l.next].label
	}
	return Label{Truth: l.rest}
}

// expected maps names of attacks to the type that a verdict should give them,
// where the name is not the type's own.
var expected = map[string]verdict.Type{
	"port_scan_slow":       verdict.PortScan,
	"port_scan_udp":        verdict.PortScan,
	"host_sweep":           verdict.HostScan,
	"syn_flood":            verdict.Flood,
	"udp_flood":            verdict.Flood,
	"icmp_flood":           verdict.Flood,
	"reflection_ddos":      verdict.Flood,
	"ssh_bruteforce":       verdict.BruteForce,
	"ftp_bruteforce":       verdict.BruteForce,
	"http_bruteforce":      verdict.BruteForce,
	"beaconing":            verdict.Beacon,
	"arp_spoof_mitm_relay": verdict.ARPSpoof,
}

// ExpectedType returns the type that frames of an attack should get. It is
// empty for attacks that have no type of their own (an exploit, a web shell):
// any alarm counts as right.
func ExpectedType(attack string) verdict.Type {
	if slices.Contains(verdict.Types, verdict.Type(attack)) {
		return verdict.Type(attack)
	}
	return expected[attack]
}
