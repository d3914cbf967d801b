package feature

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Quantiles are quantiles of one feature on benign packets, on the scale of
// the vector.
type Quantiles struct {
	P50, P99, P999 float64
}

// Value is what one feature of an anomaly vector was, beside what it is on
// benign packets; on the scale of people, not of the vector.
type Value struct {
	Name  string
	Words string // Feature.Phrase with the value in it; may be empty
	Value string
	// Median, Most and Rare are what half, 99 % and 99.9 % of benign packets have
	// at most.
	Median, Most, Rare string
	// Excess is how far the value is beyond Most, in units of the distance from
	// Median to Rare; negative if it is not.
	Excess float64
}

// Values returns the values of an anomaly vector, the farthest beyond what benign
// packets have first, and those equally far in the order of the features. It
// returns nil if normal has not one entry a value.
func Values(row []float32, normal []Quantiles) []Value {
	if len(row) != AnomalyWidth || len(normal) != AnomalyWidth {
		return nil
	}
	values := make([]Value, len(row))
	for i := range anomaly {
		f, q, x := &anomaly[i].Feature, normal[i], float64(row[i])
		values[i] = Value{
			Name: f.Name, Words: strings.Replace(f.Phrase, "%s", f.words(x), 1), Value: f.words(x),
			Median: f.words(q.P50), Most: f.words(q.P99), Rare: f.words(q.P999), Excess: excess(x, q),
		}
	}
	slices.SortStableFunc(values, func(a, b Value) int { return cmp.Compare(b.Excess, a.Excess) })
	return values
}

// Standout is a value of an anomaly vector that stands out.
type Standout struct {
	Number int8 // of the feature, from 1; 0 for none
	Value  float32
}

// Standouts returns which values of an anomaly vector say best why it is rare: the
// one farthest beyond what benign packets have, or where none is beyond the 99th
// percentile, and it is their combination that is rare, the two that come nearest
// to it. Of values equally far the first is taken. There may be none above the
// median, and are none if normal has not one entry a value.
func Standouts(row []float32, normal []Quantiles) (s [2]Standout) {
	if len(row) != AnomalyWidth || len(normal) != AnomalyWidth {
		return s
	}
	first, second := farthest(row, normal)
	if first < 0 {
		return s
	}
	s[0] = Standout{Number: int8(first + 1), Value: row[first]}
	if second >= 0 && excess(float64(row[first]), normal[first]) <= 0 {
		s[1] = Standout{Number: int8(second + 1), Value: row[second]}
	}
	return s
}

// Words puts standouts into words, beside what is normal. It is safe for concurrent
// use.
type Words struct {
	normal []Quantiles
	usual  [AnomalyWidth][2]string // what 99 and 99.9 % of benign packets have at most, to put behind a value
}

// NewWords returns Words for standouts that were found with normal.
func NewWords(normal []Quantiles) *Words {
	w := &Words{normal: normal}
	for i, q := range normal[:min(len(normal), AnomalyWidth)] {
		f := &anomaly[i].Feature
		w.usual[i] = [2]string{" (99 % of benign packets: at most " + f.words(q.P99) + ")", " (99.9 % of benign packets: at most " + f.words(q.P999) + ")"}
	}
	return w
}

// Of returns the words, e.g. "412 distinct destination ports of this host within
// 10 s (99.9 % of benign packets: at most 14)"; "" for none.
func (w *Words) Of(s [2]Standout) string {
	switch first := int(s[0].Number) - 1; {
	case first < 0:
		return ""
	case excess(float64(s[0].Value), w.normal[first]) > 0:
		return w.of(s[0])
	case s[1].Number == 0:
		return "rare together with the rest: " + w.of(s[0])
	}
	return "rare together: " + w.of(s[0]) + ", and " + w.of(s[1])
}

// of puts one value into words.
func (w *Words) of(s Standout) string {
	i, value := s.Number-1, float64(s.Value)
	f := &anomaly[i].Feature
	before, after, found := strings.Cut(f.Phrase, "%s")
	if !found {
		return f.Phrase
	}
	usual := w.usual[i][1]
	if value <= w.normal[i].P999 {
		usual = w.usual[i][0]
	}
	return before + f.words(value) + after + usual
}

// farthest returns which two values above the median are the farthest beyond, or
// the nearest to, the 99th percentile, of those that can be put into words; -1
// if there are not as many.
func farthest(row []float32, normal []Quantiles) (first, second int) {
	first, second = -1, -1
	most, next := math.Inf(-1), math.Inf(-1)
	for i := range anomaly {
		if anomaly[i].Phrase == "" || float64(row[i]) <= normal[i].P50 {
			continue
		}
		switch d := excess(float64(row[i]), normal[i]); {
		case d > most:
			first, second, most, next = i, first, d, most
		case d > next:
			second, next = i, d
		}
	}
	return first, second
}

// excess tells how far v is beyond the 99th percentile, in units of the spread
// between that and the median. Spreads below a tenth count as one, lest
// features that hardly vary win by a hair.
func excess(v float64, q Quantiles) float64 {
	return (v - q.P99) / max(q.P999-q.P50, 0.1)
}

// words returns a value of the vector as a number for people.
func (f *Feature) words(v float64) string {
	if f.Log {
		v = math.Expm1(v)
	}
	if math.Abs(v) >= 10 || math.Abs(v-math.Round(v)) < 0.005 {
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}
