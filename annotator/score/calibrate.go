package score

import (
	"math"
	"sort"

	"ampulla/annotator/verdict"
)

// Class returns the class that one row of the model's output stands for. Its
// confidence is that of the likeliest class, also where the model abstains. A
// row that is not all finite is unknown, with confidence 0.
func (c *Classifier) Class(logits []float32) Class {
	best := 0
	for i, logit := range logits {
		if logit > logits[best] {
			best = i
		}
	}
	var sum float64
	weight := func(logit float32) float64 { return math.Exp(float64(logit-logits[best]) / c.Temperature) }
	unvoted := weight(0) // as most classes are
	for _, logit := range logits {
		if logit == 0 {
			sum += unvoted
		} else {
			sum += weight(logit)
		}
	}
	confidence := 1 / sum
	switch {
	case math.IsNaN(confidence):
		return Class{Name: verdict.UnknownClass}
	case confidence < c.Abstain:
		return Class{Name: verdict.UnknownClass, Confidence: float32(confidence)}
	}
	return Class{Name: c.Classes[best], Confidence: float32(confidence)}
}

// TailProbability returns the share of benign packets that get at least raw
// from the model, in (0, 1]. It never rises with raw; NaN counts as ordinary.
func (a *Anomaly) TailProbability(raw float64) float64 {
	points := a.Calibration
	if math.IsNaN(raw) {
		return points[0].P
	}
	i := sort.Search(len(points), func(i int) bool { return points[i].Raw > raw })
	switch i {
	case 0:
		return points[0].P
	case len(points):
		return points[i-1].P
	}
	low, high := points[i-1], points[i]
	share := (raw - low.Raw) / (high.Raw - low.Raw)
	return math.Exp(math.Log(low.P) + share*(math.Log(high.P)-math.Log(low.P)))
}

// Score returns the calibrated score of one raw output, see [Scale].
func (a *Anomaly) Score(raw float32) float32 {
	return float32(Scale(a.TailProbability(float64(raw))))
}

// Scale turns a tail probability in (0, 1] into a score in [0, 1]: 0.27 for one
// benign packet in ten, 0.8 for one in a thousand, min(1, -0.8 log10(p) / 3).
func Scale(p float64) float64 {
	return min(1, max(0, -verdict.AnomalousScore*math.Log10(p)/3))
}

// Unscale returns the tail probability of a score, the other way round than
// [Scale]; that of 1 is what it takes at least.
func Unscale(score float64) float64 {
	return math.Pow(10, -3*score/verdict.AnomalousScore)
}
