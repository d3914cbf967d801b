package feature

import "math"

// Most features are log(1+x), and math.Log1p would take longer than all else
// about them. What is needed of it are the 24 bits of a float32, so a table and
// a short polynomial nearly always tell; where they leave a doubt of even one
// bit, math.Log1p decides. The results are float32(math.Log1p(x)) to the bit.

const (
	// logSteps is into how many steps of equal length [1, 2) is cut.
	logSteps = 128
	logBits  = 7
	// logError bounds the error of approximate: with at most 1/256 from the
	// middle of a step, the first term left out is below 2^-40/5, and rounding
	// adds less than 2^-46.
	logError = 0x1p-41
	// logCounts is how many counts, from 0, are looked up.
	logCounts = 1024
)

// logTable holds what log(1+x) is made of.
type logTable struct {
	counts  [logCounts]float32
	inverse [logSteps]float64 // of the middle of a step
	log     [logSteps]float64
}

var logs = newLogTable()

func newLogTable() *logTable {
	t := new(logTable)
	for i := range t.counts {
		t.counts[i] = float32(math.Log1p(float64(i)))
	}
	for i := range t.log {
		middle := 1 + (float64(i)+0.5)/logSteps
		t.inverse[i], t.log[i] = 1/middle, math.Log(middle)
	}
	return t
}

// ofCount returns log(1+n).
func (t *logTable) ofCount(n uint32) float32 {
	if n < logCounts {
		return t.counts[n]
	}
	return t.of(float64(n))
}

// of returns log(1+x) for x above 0.
func (t *logTable) of(x float64) float32 {
	if x < math.MaxInt64 {
		y := t.approximate(1 + x)
		if low := float32(y - logError); low == float32(y+logError) {
			return low
		}
	}
	return float32(math.Log1p(x))
}

// approximate returns log(y) for a normal y of at least 1, to logError.
func (t *logTable) approximate(y float64) float64 {
	const mantissa, bias = 52, 1023
	bits := math.Float64bits(y)
	exponent := float64(int(bits>>mantissa) - bias)
	step := bits >> (mantissa - logBits) & (logSteps - 1)
	m := math.Float64frombits(bits&(1<<mantissa-1) | bias<<mantissa)
	r := m*t.inverse[step] - 1
	return exponent*math.Ln2 + t.log[step] + r*(1-r*(1./2-r*(1./3-r*(1./4))))
}

func log1p(x float64) float32 {
	if x <= 0 { // most counts are 0
		return 0
	}
	return logs.of(x)
}
