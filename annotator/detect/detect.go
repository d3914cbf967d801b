// Package detect holds the named detectors: small state machines over packets
// that each know one kind of trouble, state their evidence in words and
// numbers, and score it on the common scale.
package detect

import (
	"ampulla/annotator/flow"
	"ampulla/annotator/verdict"
)

// Finding is what one detector says of one packet; the zero value is nothing.
type Finding struct {
	Score  float64 // 0 to 1; 0.8 is the detector's published threshold
	Type   verdict.Type
	Reason string // one sentence with the evidence in numbers; may be empty below verdict.SuspiciousScore
	Role   Role   // who does it to whom
	// Since is the packet time from which on evidence counted, which is before
	// the packet at hand; 0 if nobody knows.
	Since int64
}

// Detector watches the packets of one capture in order. It is not safe for
// concurrent use, has bounded state, and its only clock is the packets' time.
type Detector interface {
	// Name is the name used in the configuration.
	Name() string
	// Observe takes the next packet and returns what is known of it now.
	// Packets marked as noise must not be counted, but may still belong to
	// something found before.
	Observe(o *flow.Observation) Finding
}

// All returns new detectors of every kind, always in the same order. cfg must
// be valid, see [Config.Validate].
func All(cfg Config) []Detector {
	return []Detector{
		newPortScan(cfg.PortScan),
		newHostScan(cfg.HostScan),
		newFlood(cfg.Flood),
		newSlowDoS(cfg.SlowDoS),
		newBruteForce(cfg.BruteForce),
		newExfiltration(cfg.Exfiltration),
		newDNSTunnel(cfg.DNSTunnel),
		newICMPTunnel(cfg.ICMPTunnel),
		newBeacon(cfg.Beacon),
		newARPSpoof(cfg.ARPSpoof),
		newWebAttack(cfg.WebAttack),
		newDGA(cfg.DGA),
		newRemoteControl(cfg.RemoteControl),
		newStorm(cfg.Storm),
		newWebShell(cfg.WebShell),
		newNewcomer(cfg.Newcomer, cfg.OddPort),
		newOddPort(cfg.OddPort),
		newRequestFlood(cfg.RequestFlood),
	}
}

// Grade places evidence on the common scale: 0 for none, 0.8 at the threshold
// and in proportion below it, towards 1 as evidence exceeds it (0.9 at twice, 0.98 at ten times).
func Grade(evidence, threshold float64) float64 {
	if evidence <= 0 || threshold <= 0 {
		return 0
	}
	r := evidence / threshold
	if r <= 1 {
		return verdict.AnomalousScore * r
	}
	return 1 - (1-verdict.AnomalousScore)/r
}
