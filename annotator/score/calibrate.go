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

// Calibration turns raw outputs of the anomaly model into scores.
type Calibration []struct{ raw, score float64 }

// Calibrated returns the calibration that a has.
func (a *Anomaly) Calibrated() Calibration {
	c := make(Calibration, len(a.Calibration))
	for i, point := range a.Calibration {
		c[i].raw, c[i].score = point.Raw, scale(point.P)
	}
	return c
}

// Score returns the score of a raw output: that of the share of benign packets
// that get at least as much, see [Scale]. Between two points it is a straight line,
// as is the logarithm of that share. It never falls with raw; NaN counts as
// ordinary.
func (c Calibration) Score(raw float32) float32 {
	x := float64(raw)
	i := sort.Search(len(c), func(i int) bool { return c[i].raw > x })
	switch {
	case i == 0 || math.IsNaN(x):
		return float32(clamp(c[0].score))
	case i == len(c):
		return float32(clamp(c[i-1].score))
	}
	low, high := c[i-1], c[i]
	share := (x - low.raw) / (high.raw - low.raw)
	return float32(clamp(low.score + float64(share*(high.score-low.score))))
}

// Scale turns a tail probability in (0, 1] into a score in [0, 1]: 0.27 for one
// benign packet in ten, 0.8 for one in a thousand, min(1, -0.8 log10(p) / 3).
func Scale(p float64) float64 { return clamp(scale(p)) }

func scale(p float64) float64 { return -verdict.AnomalousScore * math.Log10(p) / 3 }

func clamp(score float64) float64 { return min(1, max(0, score)) }

// Unscale returns the tail probability of a score, the other way round than
// [Scale]; that of 1 is what it takes at least.
func Unscale(score float64) float64 {
	return math.Pow(10, -3*score/verdict.AnomalousScore)
}
