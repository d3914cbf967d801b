package report

import (
	"cmp"
	"slices"

	"ampulla/annotator/verdict"
)

// maxIncidents is of how many incidents evidence is kept.
const maxIncidents = 4096

// Incident is an event, with the frames that show it best and what to do about
// it.
type Incident struct {
	verdict.Incident
	Level  verdict.Level `json:"level"`
	Frames []uint64      `json:"frames"`
	Next   []string      `json:"next"`
}

// topFrames keeps the frames with the highest scores, earlier ones first.
type topFrames struct {
	frames []uint64
	scores []float64
}

func (t *topFrames) add(v *verdict.Verdict) {
	if len(t.frames) < maxFrames {
		t.frames, t.scores = append(t.frames, v.Frame), append(t.scores, v.Score)
		return
	}
	least := 0
	for i := range t.scores {
		if t.scores[i] <= t.scores[least] { // the latest of them
			least = i
		}
	}
	if v.Score > t.scores[least] {
		t.frames[least], t.scores[least] = v.Frame, v.Score
	}
}

// sorted returns the frames in order, never nil.
func (t *topFrames) sorted() []uint64 {
	out := append([]uint64{}, t.frames...)
	slices.Sort(out)
	return out
}

// evidence notes a frame of an incident.
func (c *Collector) evidence(v *verdict.Verdict) {
	if v.Incident == 0 {
		return
	}
	t, ok := c.incidents[v.Incident]
	if !ok {
		if len(c.incidents) >= maxIncidents {
			return
		}
		t = &topFrames{}
		c.incidents[v.Incident] = t
	}
	t.add(v)
}

// addIncidents adds the incidents, the surest first, and names them at the risks
// that they are part of.
func (c *Collector) addIncidents(out *Report, all []verdict.Incident) {
	risks := [riskCount]*Risk{&out.Scans, &out.DDoS, &out.Exfiltration, &out.BruteForce, &out.Other}
	for _, in := range all {
		row := Incident{Incident: in, Level: in.Level(), Frames: []uint64{in.First.Frame}, Next: nextSteps(in.Type)}
		if t := c.incidents[in.Number]; t != nil {
			row.Frames = t.sorted()
		}
		out.Incidents = append(out.Incidents, row)
		if in.Score > c.threshold {
			r := risks[riskOf(in.Type)]
			r.Incidents = append(r.Incidents, in.Number)
		}
	}
	slices.SortStableFunc(out.Incidents, func(a, b Incident) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Number, b.Number))
	})
}
