package server

import (
	"cmp"
	"math"
	"slices"

	"ampulla/annotator/feature"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// maxIncidents is how many incidents an answer has at most: with 2 kB each, which
// is a lot, it stays below the 4 MiB that clients accept unless told otherwise.
const maxIncidents = 1024

// message puts verdicts into a message.
func (s *session) message(verdicts []verdict.Verdict) *annotatorv1.VerdictBatch {
	store := make([]annotatorv1.Verdict, len(verdicts))
	batch := &annotatorv1.VerdictBatch{Verdicts: make([]*annotatorv1.Verdict, len(verdicts))}
	for i := range verdicts {
		s.fill(&store[i], &verdicts[i])
		batch.Verdicts[i] = &store[i]
	}
	return batch
}

// fill puts one verdict into a message, whatever that held.
func (s *session) fill(m *annotatorv1.Verdict, v *verdict.Verdict) {
	m.Frame, m.Class, m.Level, m.Type, m.Flow = v.Frame, v.Class, levels[v.Level], string(v.Type), v.Flow
	m.ConfidencePercent = uint32(math.Round(v.Confidence * 100))
	m.ScorePermille = permille(v.Score)
	m.Flagged = s.flagged(v)
	m.Incident, m.IncidentFirst, m.Rule, m.Hindsight = v.Incident, v.IncidentFirst, v.Rule, v.Hindsight
	m.Reason, m.CommunityId = "", ""
	if v.Score > s.terseBelow || s.terseBelow == 0 {
		m.Reason, m.CommunityId = v.Reason, v.CommunityID
	}
}

func permille(score float64) uint32 { return uint32(math.Round(score * 1000)) }

var levels = map[verdict.Level]annotatorv1.Level{
	verdict.Normal:     annotatorv1.Level_LEVEL_NORMAL,
	verdict.Suspicious: annotatorv1.Level_LEVEL_SUSPICIOUS,
	verdict.Anomalous:  annotatorv1.Level_LEVEL_ANOMALOUS,
	verdict.Learning:   annotatorv1.Level_LEVEL_LEARNING,
}

// incidents puts the incidents so far into a message.
func (s *session) incidents() *annotatorv1.IncidentList {
	all := s.engine.Incidents()
	list := &annotatorv1.IncidentList{LeftOut: s.engine.IncidentsForgotten()}
	if n := len(all) - maxIncidents; n > 0 {
		slices.SortStableFunc(all, func(a, b verdict.Incident) int { return cmp.Compare(b.Score, a.Score) })
		all = all[:maxIncidents]
		slices.SortFunc(all, func(a, b verdict.Incident) int { return cmp.Compare(a.Number, b.Number) })
		list.LeftOut += uint64(n)
	}
	for i := range all {
		in := &all[i]
		list.Incidents = append(list.Incidents, &annotatorv1.Incident{
			Number: in.Number, Type: string(in.Type), ScorePermille: permille(in.Score), Reason: in.Reason,
			Actors: in.Actors, ActorCount: uint32(in.ActorCount),
			Targets: in.Targets, TargetCount: uint32(in.TargetCount),
			Services: in.Services, ServiceCount: uint32(in.ServiceCount),
			FirstFrame: in.First.Frame, LastFrame: in.Last.Frame, FirstNs: in.First.Time.UnixNano(), LastNs: in.Last.Time.UnixNano(),
			Frames: in.Packets, Anomalous: in.Anomalous, Flows: in.Flows, Filter: in.Filter,
		})
	}
	return list
}

// features puts what the model saw of a frame into a message.
func features(values []feature.Value) []*annotatorv1.Feature {
	var list []*annotatorv1.Feature
	for _, v := range values {
		list = append(list, &annotatorv1.Feature{
			Name: v.Name, Words: v.Words, Value: v.Value, Median: v.Median, Most: v.Most, Rare: v.Rare,
			ExcessPercent: int32(math.Round(max(min(v.Excess, 1e6), -1e6) * 100)),
		})
	}
	return list
}
