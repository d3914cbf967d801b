// Package incident groups the packets that belong to one event: who did what to
// whom, since when, how sure it is and why. A [Tracker] sees every packet that
// is not ordinary, in order, gives the event it belongs to a number, and keeps
// what an analyst wants to know of it as an [Incident].
package incident

import (
	"bytes"
	"encoding/json"
	"time"

	"ampulla/annotator/verdict"
)

// Incident is one event so far. Numbers depend on the ordered frames alone, as
// verdicts do.
type Incident struct {
	// Number is 1 for the first event of the capture. It never changes, and
	// packets carry it as verdict.Verdict.Incident.
	Number uint32 `json:"incident"`
	// Type is what it turned out to be: a detector's, or else verdict.Outlier.
	// Packets from before that may have another.
	Type verdict.Type `json:"type"`
	// Score is the highest of its packets. Reason is what was said with the
	// highest of those that tell the Type.
	Score  float64 `json:"score"`
	Reason string  `json:"reason"`

	// Actors are the first who did it, Targets the first who suffered it, as
	// addresses, at most Config.Listed; and how many there are, from
	// Config.Counted on at least so many.
	Actors      []string `json:"actors"`
	ActorCount  int      `json:"actor_count"`
	Targets     []string `json:"targets"`
	TargetCount int      `json:"target_count"`
	// Services are the first that were called, as in "tcp/22"; none if the event
	// is not about services.
	Services     []string `json:"services"`
	ServiceCount int      `json:"service_count"`

	First Moment `json:"first"`
	Last  Moment `json:"last"`
	// Packets are suspicious or anomalous, Anomalous of them the latter.
	Packets   uint64 `json:"packets"`
	Anomalous uint64 `json:"anomalous"`
	// Flows is in how many conversations.
	Flows uint64 `json:"flows"`

	// Filter is a display filter of Wireshark that has all of its packets, and
	// what the same hosts said to each other meanwhile; it needs no plugin.
	// With the plugin, "ai.incident == 3" has exactly its packets.
	Filter string `json:"filter"`
}

// Moment is one frame of a capture.
type Moment struct {
	Frame uint64    `json:"frame"` // Wireshark's number
	Time  time.Time `json:"time"`  // UTC
}

// Level returns the level of the incident's score.
func (i *Incident) Level() verdict.Level { return verdict.LevelOf(i.Score) }

// AppendJSON appends i as one JSON object without a line end.
func (i *Incident) AppendJSON(b []byte) []byte {
	w := bytes.NewBuffer(b)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // filters have a lot of &
	_ = enc.Encode(i)        // what it holds can always be encoded: 64 bits of nanoseconds end in 2262
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}

// Config bounds a [Tracker].
type Config struct {
	Open    int // events that may go on at once; the one without news for longest is over when there are more
	Kept    int // incidents that are remembered, open ones included; above it suspicious ones go first, then the oldest
	Pairs   int // pairs of hosts whose latest incident is remembered
	Listed  int // actors, targets and services named in an Incident
	Counted int // distinct ones that are counted exactly
}

// Default returns the bounds used unless configured otherwise. Filled to the
// brim, a Tracker takes about 30 MB.
func Default() Config {
	return Config{Open: 512, Kept: 4096, Pairs: 8192, Listed: 16, Counted: 1024}
}

// gap is how long an event of a type may pause, on packet time, and still be the
// same: as long as its detector remembers what led to it.
func gap(t verdict.Type) time.Duration {
	switch t {
	case verdict.Flood, verdict.SlowDoS:
		return 10 * time.Minute
	case verdict.Beacon:
		return 24 * time.Hour
	}
	return time.Hour
}
