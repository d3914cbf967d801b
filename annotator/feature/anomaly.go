package feature

import (
	"math"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// context is all that the features of one packet are computed from.
type context struct {
	o        *flow.Observation
	p        *packet.Packet
	f        *flow.Flow
	src, dst *flow.Host
	pair     *flow.Pair
}

// definition is a Feature with its computation. Unless it is Log, a value is
// taken as it is.
type definition struct {
	Feature
	value func(c context) float64
}

// AnomalyNames returns the names of the anomaly model's features, in order.
func AnomalyNames() []string { return names(AnomalyFeatures()) }

// AnomalyFeatures describes the features of the anomaly model, in order.
func AnomalyFeatures() []Feature {
	fs := make([]Feature, len(anomaly))
	for i := range anomaly {
		fs[i] = anomaly[i].Feature
	}
	return fs
}

// Anomaly writes the anomaly model's vector of a packet in its context, all as
// flow.Table.Observe gave it, to out, which holds AnomalyWidth values. Packets
// without a flow have zeros for everything but their size. It does not
// allocate.
func Anomaly(o *flow.Observation, f *flow.Flow, src, dst *flow.Host, out []float32) {
	out = out[:AnomalyWidth]
	if f == nil {
		clear(out)
		out[0] = log1p(float64(o.Packet.Length))
		return
	}
	c := context{o: o, p: o.Packet, f: f, src: src, dst: dst, pair: f.Pair()}
	for i := range anomaly {
		d := &anomaly[i]
		v := d.value(c)
		if d.Log {
			out[i] = log1p(v)
		} else {
			out[i] = float32(v)
		}
	}
}

func log1p(x float64) float32 {
	if x <= 0 { // most counts are 0
		return 0
	}
	return float32(math.Log1p(x))
}

// Access to the state, for the table of features.

type picker func(c context) *flow.Tally

func source(c context) *flow.Tally      { return &c.src.Tally }
func destination(c context) *flow.Tally { return &c.dst.Tally }
func both(c context) *flow.Tally        { return &c.pair.Tally }

// count gives a counter of a tally.
func count(of picker, k flow.Counter, w flow.Window) func(context) float64 {
	return func(c context) float64 { return float64(of(c).Count(k, w)) }
}

// share gives a/(a+b), or 0 if both are 0.
func share(of picker, a, b flow.Counter, w flow.Window) func(context) float64 {
	return func(c context) float64 {
		t := of(c)
		return part(float64(t.Count(a, w)), float64(t.Count(b, w)))
	}
}

// lack gives the share of a that b did not answer, or 0 if there is no a.
func lack(of picker, a, b flow.Counter, w flow.Window) func(context) float64 {
	return func(c context) float64 {
		t := of(c)
		asked := float64(t.Count(a, w))
		if asked == 0 {
			return 0
		}
		return max(asked-float64(t.Count(b, w)), 0) / asked
	}
}

// each gives a/b, or 0 if b is 0.
func each(of picker, a, b flow.Counter, w flow.Window) func(context) float64 {
	return func(c context) float64 {
		t := of(c)
		return ratio(float64(t.Count(a, w)), float64(t.Count(b, w)))
	}
}

func part(a, b float64) float64 { return ratio(a, a+b) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// flags tells whether a TCP packet has exactly the flags want among mask.
func flags(mask, want uint16) func(context) float64 {
	return func(c context) float64 {
		return number(c.p.Proto == packet.ProtoTCP && c.p.FragOffset == 0 && c.p.TCPFlags&mask == want)
	}
}

// halved gives a/(a+b), or a half if both are 0.
func halved(a, b float64) float64 {
	if a+b == 0 {
		return 0.5
	}
	return a / (a + b)
}
