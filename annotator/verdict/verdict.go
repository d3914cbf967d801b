// Package verdict holds what Ampulla says about a packet, and the two forms in
// which it travels: a pcapng packet comment ([Verdict.Comment], [ParseComment])
// and a line of JSON ([Verdict.AppendJSON]).
package verdict

// Level is the verdict in one word, see [LevelOf].
type Level string

// The levels. Learning means that there is too little evidence to say.
const (
	Normal     Level = "normal"
	Suspicious Level = "suspicious"
	Anomalous  Level = "anomalous"
	Learning   Level = "learning"
)

// The scores that separate the levels. A score of exactly AnomalousScore is
// still suspicious, so that "score > 0.8" and "anomalous" mean the same.
const (
	SuspiciousScore = 0.5
	AnomalousScore  = 0.8
)

// LevelOf returns the level of a score in [0, 1].
func LevelOf(score float64) Level {
	switch {
	case score > AnomalousScore:
		return Anomalous
	case score >= SuspiciousScore:
		return Suspicious
	}
	return Normal
}

// Type says what kind of anomaly it is; empty when normal.
type Type string

// The types of anomalies.
const (
	PortScan     Type = "port_scan"
	HostScan     Type = "host_scan"
	Flood        Type = "flood"
	SlowDoS      Type = "slow_dos"
	BruteForce   Type = "brute_force"
	Exfiltration Type = "exfiltration"
	DNSTunnel    Type = "dns_tunnel"
	ICMPTunnel   Type = "icmp_tunnel"
	Beacon       Type = "beacon"
	ARPSpoof     Type = "arp_spoof"
	Outlier      Type = "outlier" // anything else: what the model finds rare, and attacks without a type of their own
)

// Types are all types of anomalies.
var Types = []Type{PortScan, HostScan, Flood, SlowDoS, BruteForce, Exfiltration, DNSTunnel, ICMPTunnel, Beacon, ARPSpoof, Outlier}

// UnknownClass is the class of a packet whose protocol could not be told.
const UnknownClass = "unknown"

// Verdict is what Ampulla says about one frame.
type Verdict struct {
	Frame      uint64  // Wireshark's frame number, from 1
	Time       int64   // of the frame, nanoseconds since 1970-01-01 UTC
	Class      string  // protocol, a Wireshark display filter name, or UnknownClass
	Confidence float64 // that Class is right, 0 to 1, two decimals
	Score      float64 // calibrated anomaly score, 0 to 1, three decimals
	Level      Level
	Type       Type   // empty unless Level is suspicious or anomalous
	Reason     string // one sentence; empty when Type is, unless Rule is not 0
	Incident   uint32 // number of the event that it is part of, from 1; 0 if Type is empty
	// IncidentFirst is the number of the first frame of Incident; 0 if there is
	// none.
	IncidentFirst uint64
	Flow          uint32 // number of the flow within the capture, from 1; 0 if none
	CommunityID   string // Community ID v1 of the flow, seed 0; empty if none
	Model         string // version of the models, as in their manifest
	// Rule is the number of the rule of feedback that changed the verdict, 0 if
	// none did; Reason has what was found without it, also where Type is empty.
	Rule uint32
	// Hindsight tells that the packet was found to be part of Incident by what
	// came later.
	Hindsight bool
}
