package verdict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Incident is one event so far: packets that belong together, see package
// incident. Numbers depend on the ordered frames alone, as verdicts do.
type Incident struct {
	// Number is 1 for the first event of the capture. It never changes, and
	// packets carry it as Verdict.Incident.
	Number uint32 `json:"incident"`
	// Type is what it turned out to be: a detector's, or else Outlier. Packets
	// from before that may have another.
	Type Type `json:"type"`
	// Score is the highest of its packets. Reason is what was said with the
	// highest of those that tell the Type.
	Score  float64 `json:"score"`
	Reason string  `json:"reason"`

	// Actors are the first who did it, Targets the first who suffered it, as
	// addresses, 16 at most; and how many there are, from 1024 on at least so
	// many.
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
func (i *Incident) Level() Level { return LevelOf(i.Score) }

// Common returns what all packets of the incident have in common: the one that did
// it, the one that suffered it, if they have IP addresses, and the one service that
// was called; nothing where there are several.
func (i *Incident) Common() (hosts []string, service string) {
	for _, party := range []struct {
		names []string
		count int
	}{{i.Actors, i.ActorCount}, {i.Targets, i.TargetCount}} {
		if party.count != 1 || len(party.names) != 1 {
			continue
		}
		if _, err := netip.ParseAddr(party.names[0]); err == nil {
			hosts = append(hosts, party.names[0])
		}
	}
	if i.ServiceCount == 1 && len(i.Services) == 1 {
		service = i.Services[0]
	}
	return hosts, service
}

// AppendJSON appends i as one JSON object without a line end.
func (i *Incident) AppendJSON(b []byte) []byte {
	w := bytes.NewBuffer(b)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // filters have a lot of &
	_ = enc.Encode(i)        // what it holds can always be encoded: 64 bits of nanoseconds end in 2262
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}

// Machine returns i as one line of space-separated key=value pairs, in the form
// of the machine line of comments. Of its actors, targets and services, which
// are joined with commas, the counts tell how many there are.
func (i *Incident) Machine() string {
	var b strings.Builder
	fmt.Fprintf(&b, "incident=%d type=%s score=%.3f first=%d last=%d packets=%d anomalous=%d flows=%d",
		i.Number, escape(string(i.Type)), i.Score, i.First.Frame, i.Last.Frame, i.Packets, i.Anomalous, i.Flows)
	for _, list := range []struct {
		key   string
		names []string
		n     int
	}{{"actor", i.Actors, i.ActorCount}, {"target", i.Targets, i.TargetCount}, {"service", i.Services, i.ServiceCount}} {
		if list.n > 0 {
			fmt.Fprintf(&b, " %ss=%s %s_count=%d", list.key, escape(strings.Join(list.names, ",")), list.key, list.n)
		}
	}
	fmt.Fprintf(&b, " filter=%s reason=%s", escape(i.Filter), escape(string(appendLine(nil, i.Reason))))
	return b.String()
}
