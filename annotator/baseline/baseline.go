// Package baseline knows what is normal on one network. A [Learner] counts what
// the engine sees in captures of ordinary days; what it counted is a [Baseline],
// which can be saved, merged with others in any order, and compared. A [Judge]
// measures what is seen later against it: the model's score by how often this
// host, or hosts like it, got as much; what a detector found by how much of the
// same these hosts did while it was learned; packet rates by the host's own.
//
// A baseline holds addresses: it is about one network. A model never does. It is
// counts throughout, so that merging is exact, and bounded in size.
package baseline

import (
	"fmt"
	"math"
	"sync"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// Bounds of a Baseline. What goes beyond them is dropped, those hosts first that
// are not of this network.
const (
	maxHosts     = 4096
	maxServices  = 4096
	maxRelations = 4096
	maxClasses   = 512
)

// Identity names what the counts of a Baseline rest on. Those of another cannot
// be compared with them.
type Identity struct {
	Models   string // version of the models
	Anomaly  string // hash of the anomaly model's file, hexadecimal
	Features string // version of the features
}

// Baseline is what was counted. While an engine uses it, nobody may change it;
// engines may share it.
type Baseline struct {
	identity Identity
	totals   Totals

	hosts     sketch[host, Host]
	classes   sketch[class, uint64]      // packets
	services  sketch[Endpoint, uint64]   // conversations
	relations sketch[Relation, Evidence] // what was found

	compiling sync.Once
	compiled  *norms
}

// New returns a Baseline of nothing.
func New(identity Identity) *Baseline {
	return &Baseline{
		identity: identity,
		hosts:    newSketch[host, Host](maxHosts), classes: newSketch[class, uint64](maxClasses),
		services: newSketch[Endpoint, uint64](maxServices), relations: newSketch[Relation, Evidence](maxRelations),
	}
}

// Identity returns what b was learned with.
func (b *Baseline) Identity() Identity { return b.identity }

// Totals returns how much was learned.
func (b *Baseline) Totals() Totals { return b.totals }

// Totals are how much was learned.
type Totals struct {
	Captures uint64
	Frames   uint64
	Omitted  uint64 // frames that were left out, see Learner.Without
	// First and Last are the times of the first and of the last packet,
	// nanoseconds since 1970-01-01 UTC; 0 if there is none.
	First, Last int64
	// Observed is for how long the network was watched during each hour of the
	// day in UTC, milliseconds. Pauses of more than ten minutes are left out.
	Observed [24]uint64
}

// Hours returns for how long the network was watched.
func (t *Totals) Hours() float64 {
	sum := 0.0
	for _, ms := range t.Observed {
		sum += float64(ms)
	}
	return sum / 3.6e6
}

func (t *Totals) add(other *Totals) {
	t.Captures = sum(t.Captures, other.Captures)
	t.Frames = sum(t.Frames, other.Frames)
	t.Omitted = sum(t.Omitted, other.Omitted)
	t.span(other.First)
	t.span(other.Last)
	for i := range t.Observed {
		t.Observed[i] = sum(t.Observed[i], other.Observed[i])
	}
}

// span takes in the time of a packet.
func (t *Totals) span(at int64) {
	if at == 0 {
		return
	}
	if t.First == 0 || at < t.First {
		t.First = at
	}
	if t.Last == 0 || at > t.Last {
		t.Last = at
	}
}

// Host is what one host did.
type Host struct {
	// Scores are those of the model for its packets, as client and as server.
	Scores [2]Histogram
	// Rates are the packets that it sent and received in each second in which
	// it did, by the hour of the day in UTC.
	Sent, Received Rates
}

// The sides that a host may be on, indices of Host.Scores.
const (
	client = iota
	server
)

func (h *Host) add(other *Host) {
	for side := range h.Scores {
		for i, n := range other.Scores[side] {
			h.Scores[side][i] = sum(h.Scores[side][i], n)
		}
	}
	h.Sent.add(&other.Sent)
	h.Received.add(&other.Received)
}

// Packets is how many packets of the host the model has scored.
func (h *Host) Packets() uint64 { return sum(h.Scores[client].Total(), h.Scores[server].Total()) }

// Endpoint is a service of a host.
type Endpoint struct {
	Addr    packet.Addr
	Service detect.Service
}

// String returns the service as in "tcp/22 of 10.0.0.5".
func (e Endpoint) String() string { return e.Service.String() + " of " + e.Addr.String() }

// Relation is who did something to whom, as a detector found it; what its events
// may have many of is nobody.
type Relation struct {
	Detector      string // its name, or Model
	Type          verdict.Type
	Actor, Target detect.Party
	Service       detect.Service // zero for any
}

// String returns the relation as in "brute force by 10.0.0.7 of tcp/22 of
// 10.0.0.5".
func (r Relation) String() string {
	text := r.Type.Words()
	if by := r.Actor.String(); by != "" {
		text += " by " + by
	}
	if r.Service != (detect.Service{}) {
		text += " at " + r.Service.String()
	}
	if to := r.Target.String(); to != "" {
		text += " of " + to
	}
	return text
}

// Model is the Detector of what the model alone found.
const Model = "model"

// Evidence is how often something was found, and how much of it.
type Evidence struct {
	Packets uint64
	// Episodes are those an hour or more apart, or in different captures.
	Episodes uint64
	// Most is the most that it came to, in thousandths of the detector's
	// threshold.
	Most uint64
}

func (e *Evidence) add(other *Evidence) {
	e.Packets = sum(e.Packets, other.Packets)
	e.Episodes = sum(e.Episodes, other.Episodes)
	e.Most = max(e.Most, other.Most)
}

// Merge adds what another Baseline has counted. Whatever the order and the
// grouping, the same comes out. It returns an error, and changes nothing, if the
// two rest on different models.
func (b *Baseline) Merge(other *Baseline) error {
	if b.identity != other.identity {
		return fmt.Errorf("baseline: learned with models %s, the other one with %s: they cannot be merged",
			b.identity, other.identity)
	}
	b.totals.add(&other.totals)
	b.hosts.merge(&other.hosts, (*Host).add)
	b.classes.merge(&other.classes, addCount)
	b.services.merge(&other.services, addCount)
	b.relations.merge(&other.relations, (*Evidence).add)
	return nil
}

// String returns the versions and the beginning of the hash.
func (i Identity) String() string {
	return fmt.Sprintf("%s (%.8s, features %s)", i.Models, i.Anomaly, i.Features)
}

func addCount(to, from *uint64) { *to = sum(*to, *from) }

// sum adds counts, which stop at the highest number there is.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
