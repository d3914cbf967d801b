// Package report turns verdicts and what happened on the web into a page that
// people attach to a ticket: one [Report], and three ways to write it, HTML,
// Markdown and JSON, that all say the same.
package report

import (
	"time"

	"ampulla/annotator/web"
)

// SchemaID names the schema of the JSON form; its number changes when a key
// changes its meaning or goes away.
const SchemaID = "ampulla-report/1"

// Report is all that a report says. Its JSON follows [Schema].
type Report struct {
	Schema  string  `json:"schema"`
	Made    Made    `json:"made"`
	Capture Capture `json:"capture"`
	// Findings sum the report up.
	Findings []Finding `json:"findings"`
	// Notes say what the report lacks, and why.
	Notes []string `json:"notes"`

	Scans        Risk `json:"scan_attempts"`
	DDoS         Risk `json:"ddos_risk"`
	Exfiltration Risk `json:"data_exfiltration"`
	BruteForce   Risk `json:"brute_force"`
	Other        Risk `json:"other_anomalies"`

	Abandonment web.Abandonment `json:"cart_abandonment"`
	Slow        []web.Resource  `json:"slow_resources"`
	Incidents   []Incident      `json:"incidents"`
	Classes     []Class         `json:"classes"`
	Talkers     []Talker        `json:"talkers"`
	Timeline    Timeline        `json:"timeline"`
	Web         *web.Result     `json:"web" jsonschema:"nullable"`
	Advice      []web.Advice    `json:"advice"`
}

// Made says how the report came about.
type Made struct {
	Version   string  `json:"version"`
	Models    string  `json:"models"`
	Threshold float64 `json:"threshold"` // packets that score higher are flagged
	// Thresholds are those of the detectors, as in the configuration file.
	Thresholds string `json:"thresholds"`
	Tshark     bool   `json:"tshark"`  // the web part was made
	KeyLog     bool   `json:"key_log"` // secrets of TLS sessions were given
	// Hindsight tells that the capture was read twice, to find what belongs to an
	// incident from before it became visible.
	Hindsight bool `json:"hindsight"`
	// Baseline tells from others the one that the capture was measured against; empty
	// for none.
	Baseline string `json:"baseline"`
	Rules    int    `json:"rules"` // of feedback that were in force
}

// Capture describes the file.
type Capture struct {
	Name     string    `json:"name"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Seconds  float64   `json:"seconds"`
	Frames   uint64    `json:"frames"`
	Bytes    uint64    `json:"bytes"` // on the wire
	Flows    uint64    `json:"flows"`
	Flagged  uint64    `json:"flagged"`
	Normal   uint64    `json:"normal"`
	Learning uint64    `json:"learning"`
	Suspect  uint64    `json:"suspicious"`
	Anomal   uint64    `json:"anomalous"`
	Cut      uint64    `json:"cut"` // frames of which less was captured than was sent
	// Broken says where the file breaks off; empty if it does not.
	Broken string `json:"broken,omitempty"`
}

// Risk sums up anomalies of one kind.
type Risk struct {
	Detected  bool      `json:"detected"`
	Packets   uint64    `json:"packets"` // flagged ones
	Score     float64   `json:"score"`   // the highest, also if below the threshold
	First     time.Time `json:"first,omitzero"`
	Last      time.Time `json:"last,omitzero"`
	Sources   []string  `json:"sources"`   // some of who sent such packets
	Reason    string    `json:"reason"`    // of the highest score
	Frames    []uint64  `json:"frames"`    // with the highest scores
	Incidents []uint32  `json:"incidents"` // their numbers
}

// Class is a protocol, by behaviour.
type Class struct {
	Name       string  `json:"name"`
	Packets    uint64  `json:"packets"`
	Bytes      uint64  `json:"bytes"`
	Share      float64 `json:"share"`      // of all bytes, 0 to 1
	Confidence float64 `json:"confidence"` // mean, 0 to 1
}

// Talker is a host.
type Talker struct {
	Address  string `json:"address"`
	Name     string `json:"name"` // as clients called it; empty if unknown
	Sent     uint64 `json:"sent_bytes"`
	Received uint64 `json:"received_bytes"`
	Packets  uint64 `json:"packets"`
	Flagged  uint64 `json:"flagged"` // sent by it
}

// Timeline is the traffic in steps of equal length.
type Timeline struct {
	Start time.Time `json:"start"`
	Step  float64   `json:"step_seconds"`
	Bins  []Bin     `json:"bins"`
}

// Bin is one step of a [Timeline].
type Bin struct {
	Packets uint64  `json:"packets"`
	Bytes   uint64  `json:"bytes"`
	Flagged uint64  `json:"flagged"`
	Score   float64 `json:"score"` // the highest
}

// AddWeb adds what happened on the web.
func (r *Report) AddWeb(w *web.Result) {
	r.Web, r.Slow, r.Abandonment, r.Advice = w, w.Slow, w.Abandonment, w.Advice
}

// Finish sums the report up, when everything else is in it.
func (r *Report) Finish() {
	if r.Slow == nil {
		r.Slow = []web.Resource{}
	}
	if r.Advice == nil {
		r.Advice = []web.Advice{}
	}
	if r.Abandonment.Frames == nil {
		r.Abandonment.Frames = []uint64{}
	}
	for _, risk := range r.risks() {
		if !risk.Detected { // nothing was found, so nothing shows it
			risk.Sources, risk.Frames, risk.Incidents = []string{}, []uint64{}, []uint32{}
		}
	}
	r.Notes = append(r.Notes, r.unread()...)
	r.Findings = r.findings()
}
