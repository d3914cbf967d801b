// Package scoretest holds a scorer for the tests of other packages.
package scoretest

import (
	"hash/fnv"
	"math"

	"ampulla/annotator/feature"
	"ampulla/annotator/score"
)

// Hash gives each row a result that depends on every bit of it, so that any
// difference in the features shows in the verdicts. Its calls return Err.
type Hash struct{ Err error }

// Classify answers with one of four classes.
func (h Hash) Classify(rows []float32, out []score.Class) error {
	for i := range out {
		n := hash(rows[i*feature.ClassWidth : (i+1)*feature.ClassWidth])
		out[i] = score.Class{Name: []string{"dns", "tls", "ssh", "unknown"}[n%4], Confidence: float32(n%101) / 100}
	}
	return h.Err
}

// Anomaly answers with scores of three decimals, evenly spread.
func (h Hash) Anomaly(rows []float32, out []float32) error {
	for i := range out {
		out[i] = float32(hash(rows[i*feature.AnomalyWidth:(i+1)*feature.AnomalyWidth])%1001) / 1000
	}
	return h.Err
}

// Manifest describes models of version "hash".
func (h Hash) Manifest() *score.Manifest {
	m := &score.Manifest{Version: "hash", Classifier: score.Classifier{Settled: 0.5}}
	m.Anomaly.Normal = make([]feature.Quantiles, feature.AnomalyWidth)
	return m
}

func hash(row []float32) uint64 {
	h := fnv.New64a()
	var b [4]byte
	for _, x := range row {
		bits := math.Float32bits(x)
		b = [4]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)}
		h.Write(b[:])
	}
	return h.Sum64()
}
