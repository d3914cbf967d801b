package baseline

import (
	"fmt"

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
	hours := b.totals.Hours()
	if hours == 0 {
		return 0
	}
	n := 0
	for k, r := range b.relations.rows {
		if r.value.Episodes == 1 && b.expected(k, &r.value) > threshold {
			n++
		}
	}
	return float64(n) / hours
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
func (b *Baseline) Threshold(perHour float64) (float64, error) {
	hours := b.totals.Hours()
	if !(perHour > 0) {
		return 0, fmt.Errorf("baseline: %v alarms an hour: it must be more than 0", perHour)
	}
	if hours*perHour < 1 {
		return 0, fmt.Errorf("baseline: %.1f hours were learned; for %v alarms an hour it takes %.1f", hours, perHour, 1/perHour)
	}
	const first, last = int(1000 * verdict.SuspiciousScore), 1000
	for t := first; t < last; t++ {
		if b.AlarmsPerHour(float64(t)/1000) <= perHour {
			return float64(t) / 1000, nil
		}
	}
	return 1, nil
}
