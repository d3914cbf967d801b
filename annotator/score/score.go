// Package score turns feature vectors into classes and calibrated anomaly
// scores. The models and what they expect are described by a [Manifest]; the
// package score/ort runs them.
package score

import "ampulla/annotator/feature"

// Class is a protocol with the calibrated confidence that it is right.
type Class struct {
	Name       string  // verdict.UnknownClass when the model abstains
	Confidence float32 // 0 to 1
}

// Opinion is what the anomaly model says of a packet. It holds no words: few
// packets are told of.
type Opinion struct {
	Score     float32             // 0 to 1
	Standouts [2]feature.Standout // set from verdict.SuspiciousScore on; may be none
}

// Scorer runs the two models on batches of rows. A row's result depends on that
// row alone, never on the others of its batch, to the last bit. Implementations
// are safe for concurrent use.
type Scorer interface {
	// Classify classifies len(out) rows, stored one after the other in rows,
	// each feature.ClassWidth values.
	Classify(rows []float32, out []Class) error
	// Anomaly scores len(out) rows of feature.AnomalyWidth values each. The
	// scores are calibrated: min(1, -0.8 log10(p) / 3), with p the share of
	// benign packets that score at least as much.
	Anomaly(rows []float32, out []float32) error
	// Manifest describes the models in use.
	Manifest() *Manifest
}
