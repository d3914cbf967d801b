package pcapng

import (
	"math"
	"math/bits"
)

// unitsPerSecond decodes if_tsresol (draft-ietf-opsawg-pcapng, section 4.2):
// a negative power of 10, or of 2 when the top bit is set. It returns 0 when
// they do not fit into 64 bits; time stamps of such an interface are all within
// the first two seconds of 1970.
func unitsPerSecond(tsresol byte) uint64 {
	exponent := tsresol & 0x7f
	if tsresol&0x80 != 0 {
		return 1 << exponent // 0 beyond 63
	}
	if exponent > 19 {
		return 0
	}
	units := uint64(1)
	for range exponent {
		units *= 10
	}
	return units
}

// nanoseconds converts a time stamp of the given units per second, plus an
// offset in seconds, into nanoseconds since 1970. What does not fit becomes
// the nearest int64; fractions are cut off. With 0 units per second, see
// unitsPerSecond, it is the offset alone.
func nanoseconds(stamp, units uint64, offset int64) int64 {
	if units == 0 {
		stamp, units = 0, 1
	}
	var seconds, nanos uint64
	if units == 1e6 { // as mostly, and known here, so that nothing is divided
		seconds, nanos = stamp/1e6, stamp%1e6*1000
	} else {
		seconds = stamp / units
		// stamp%units < units, so the quotient is below 1e9 and Div64 cannot panic.
		hi, lo := bits.Mul64(stamp%units, 1e9)
		nanos, _ = bits.Div64(hi, lo, units)
	}

	sec := int64(min(seconds, math.MaxInt64))
	if offset > 0 && sec > math.MaxInt64-offset {
		sec = math.MaxInt64
	} else {
		sec += offset // sec >= 0: cannot underflow
	}
	const limit = math.MaxInt64 / 1_000_000_000
	switch {
	case sec > limit || sec == limit && nanos > math.MaxInt64%1_000_000_000:
		return math.MaxInt64
	case sec < -limit-1 || sec == -limit-1 && nanos < 1_000_000_000-1-math.MaxInt64%1_000_000_000:
		return math.MinInt64
	case sec == -limit-1:
		return -limit*1_000_000_000 - (1_000_000_000 - int64(nanos))
	}
	return sec*1_000_000_000 + int64(nanos)
}
