package baseline

import (
	"fmt"
	"slices"

	"ampulla/annotator/detect"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// AlarmsPerHour returns how many events above a threshold are to be expected in
// an hour like those that were learned, once what was learned is known. What was
// found in several episodes is usual by then, so these are the ones of which there
// was a single one: how often something is new is how often something was seen
// once (Good, "The Population Frequencies of Species and the Estimation of
// Population Parameters", Biometrika 40, 1953). 0 if nothing was learned.
func (b *Baseline) AlarmsPerHour(threshold float64) float64 {
	return perHour(b.singles(), threshold, b.totals.Hours())
}

// singles returns the scores that what was found once would get if it were new,
// in ascending order.
func (b *Baseline) singles() []float64 {
	var scores []float64
	for k, r := range b.relations.rows {
		if r.value.Episodes == 1 {
			scores = append(scores, b.expected(k, &r.value))
		}
	}
	slices.Sort(scores)
	return scores
}

func perHour(singles []float64, threshold, hours float64) float64 {
	if hours == 0 {
		return 0
	}
	i, _ := slices.BinarySearch(singles, threshold)
	for i < len(singles) && singles[i] == threshold {
		i++ // not above it
	}
	return float64(len(singles)-i) / hours
}

// expected returns the score that something found once would get if it were new.
func (b *Baseline) expected(k Relation, e *Evidence) float64 {
	s := detect.Grade(float64(e.Most), 1000)
	if k.Detector != Model {
		return s
	}
	if at := b.norms().hosts[k.Actor.Addr]; at != nil {
		return score.Scale(min(score.Unscale(s)*max(at.tails[client].heavier(s), 1), 1))
	}
	return s
}

// Threshold returns the lowest threshold, in steps of 0.001 from
// verdict.SuspiciousScore on, above which no more events an hour are to be
// expected than that. It returns an error if too little was learned to tell.
func (b *Baseline) Threshold(budget float64) (float64, error) {
	hours := b.totals.Hours()
	if !(budget > 0) {
		return 0, fmt.Errorf("baseline: %v alarms an hour: it must be more than 0", budget)
	}
	if hours*budget < 1 {
		return 0, fmt.Errorf("baseline: %.1f hours were learned; for %v alarms an hour it takes %.1f", hours, budget, 1/budget)
	}
	const first, last = int(1000 * verdict.SuspiciousScore), 1000
	singles := b.singles()
	for t := first; t < last; t++ {
		if perHour(singles, float64(t)/1000, hours) <= budget {
			return float64(t) / 1000, nil
		}
	}
	return 1, nil
}
