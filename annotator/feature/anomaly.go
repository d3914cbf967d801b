package feature

import (
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// context is all that the features of one packet are computed from; little
// enough to be passed in registers.
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
	reading
}

// reading is how a feature is computed: by a function or, as most are, as a
// count, which is cheaper to get.
type reading struct {
	value  func(c context) float64 // nil for a count
	of     who
	what   flow.Counter
	within flow.Window
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
	for of := range parties {
		t := c.tally(of)
		for _, k := range recipe.counts[of] {
			out[k.i] = logs.ofCount(t.At(k.at))
		}
	}
	for _, k := range recipe.logs {
		out[k.i] = log1p(k.value(c))
	}
	for _, k := range recipe.plain {
		out[k.i] = float32(k.value(c))
	}
}

// recipe is the table anomaly in the order in which it is quickest to compute.
var recipe = func() (r struct {
	counts      [parties][]countOf
	logs, plain []valueOf
}) {
	for i := range anomaly {
		switch d := &anomaly[i]; {
		case d.value == nil:
			r.counts[d.of] = append(r.counts[d.of], countOf{i, flow.PlaceOf(d.what, d.within)})
		case d.Log:
			r.logs = append(r.logs, valueOf{i, d.value})
		default:
			r.plain = append(r.plain, valueOf{i, d.value})
		}
	}
	return r
}()

// countOf is a feature that is a count, valueOf one that is computed; i is its
// number.
type (
	countOf struct {
		i  int
		at flow.Place
	}
	valueOf struct {
		i     int
		value func(c context) float64
	}
)

// who says whose tally a feature is read from.
type who uint8

const (
	source who = iota
	destination
	both
	parties
)

func (c context) tally(of who) *flow.Tally {
	switch of {
	case source:
		return &c.src.Tally
	case destination:
		return &c.dst.Tally
	}
	return &c.pair.Tally
}

// computed makes a function a reading.
func computed(f func(c context) float64) reading { return reading{value: f} }

// count gives a counter of a tally; such features are all Log.
func count(of who, k flow.Counter, w flow.Window) reading {
	return reading{of: of, what: k, within: w}
}

// share gives a/(a+b), or 0 if both are 0.
func share(of who, a, b flow.Counter, w flow.Window) reading {
	return computed(func(c context) float64 {
		t := c.tally(of)
		return part(float64(t.Count(a, w)), float64(t.Count(b, w)))
	})
}

// lack gives the share of a that b did not answer, or 0 if there is no a.
func lack(of who, a, b flow.Counter, w flow.Window) reading {
	return computed(func(c context) float64 {
		t := c.tally(of)
		asked := float64(t.Count(a, w))
		if asked == 0 {
			return 0
		}
		return max(asked-float64(t.Count(b, w)), 0) / asked
	})
}

// each gives a/b, or 0 if b is 0.
func each(of who, a, b flow.Counter, w flow.Window) reading {
	return computed(func(c context) float64 {
		t := c.tally(of)
		return ratio(float64(t.Count(a, w)), float64(t.Count(b, w)))
	})
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
func flags(mask, want uint16) reading {
	return computed(func(c context) float64 {
		return number(c.p.Proto == packet.ProtoTCP && c.p.FragOffset == 0 && c.p.TCPFlags&mask == want)
	})
}

// halved gives a/(a+b), or a half if both are 0.
func halved(a, b float64) float64 {
	if a+b == 0 {
		return 0.5
	}
	return a / (a + b)
}
