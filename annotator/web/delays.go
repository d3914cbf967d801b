package web

import (
	"math"
	"slices"
)

// resolution is the ratio of a bucket's bounds: quantiles are right within half
// a percent.
const resolution = 1.01

var logResolution = math.Log(resolution)

// delays is a histogram of durations in buckets of equal ratio, so that its
// size is bounded (a thousand buckets from a microsecond to a minute) whatever
// goes in. The zero value is empty.
type delays struct {
	buckets map[int16]uint32
	n       uint64
	sum     int64 // nanoseconds
	max     int64
}

func (d *delays) add(ns int64) {
	if d.buckets == nil {
		d.buckets = map[int16]uint32{}
	}
	ns = max(ns, 1)
	d.buckets[int16(math.Log(float64(ns))/logResolution)]++
	d.n++
	d.sum += ns
	d.max = max(d.max, ns)
}

// quantile returns the smallest duration that a share q of all reach at most,
// in nanoseconds; 0 if there are none.
func (d *delays) quantile(q float64) int64 {
	if d.n == 0 {
		return 0
	}
	rank := max(1, uint64(math.Ceil(q*float64(d.n))))
	if rank == d.n {
		return d.max
	}
	keys := make([]int16, 0, len(d.buckets))
	for k := range d.buckets {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var n uint64
	for _, k := range keys {
		if n += uint64(d.buckets[k]); n >= rank {
			return min(d.max, int64(math.Exp((float64(k)+0.5)*logResolution)))
		}
	}
	return d.max
}

// Delay is the middle and the slow end of many durations, in milliseconds.
type Delay struct {
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	Max    float64 `json:"max_ms"`
}

func (d *delays) delay() Delay {
	return Delay{Median: ms(d.quantile(0.5)), P95: ms(d.quantile(0.95)), Max: ms(d.max)}
}

// ms returns nanoseconds as milliseconds, to the microsecond.
func ms(ns int64) float64 { return math.Round(float64(ns)/1e3) / 1e3 }
