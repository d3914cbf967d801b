package flow

import (
	"math"
	"time"
)

// Window is one of the spans of time over which a [Tally] counts.
type Window int

// The windows.
const (
	Second Window = iota
	TenSeconds
	Minute
	TenMinutes
	windows
)

// Span returns the length of the window.
func (w Window) Span() time.Duration { return spans[w] }

var spans = [windows]time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}

// Counter is something that a [Tally] counts. Out means sent by the host, or
// from client to server of a pair; In the other direction.
type Counter int

// The counters.
const (
	PacketsOut Counter = iota
	PacketsIn
	BytesOut // payload bytes on the wire
	BytesIn
	SYNOut    // TCP SYN without ACK
	SYNACKIn  // TCP SYN with ACK
	UnreachIn // ICMP destination unreachable, v4 type 3, v6 type 1
	ICMPOut   // ICMP echo requests
	FlowsOut  // flows opened as client
	FlowsIn   // flows opened towards the host
	Services  // distinct (server, protocol, port) called; of a pair: distinct ports
	Peers     // distinct servers called
	Clients   // distinct clients that called
	Failed    // TCP flows as client that were reset before they were established
	Brief     // established TCP flows as client that ended with less than BriefBytes
	BriefIn   // the same as server
	counters
)

// BriefBytes is the payload in both directions, in bytes, below which a TCP
// flow that ends is Brief: an authentication attempt rather than a session.
const BriefBytes = 8192

// kept says over which windows a counter is kept: those that someone reads.
var kept = [counters][]Window{
	PacketsOut: {Second, TenSeconds},
	PacketsIn:  {Second, TenSeconds},
	BytesOut:   {TenSeconds, Minute, TenMinutes},
	BytesIn:    {TenSeconds, Minute, TenMinutes},
	SYNOut:     {Second, TenSeconds},
	SYNACKIn:   {TenSeconds},
	UnreachIn:  {Minute},
	ICMPOut:    {TenSeconds},
	FlowsOut:   {Second, TenSeconds, Minute, TenMinutes},
	FlowsIn:    {Second, TenSeconds, Minute},
	Services:   {TenSeconds, Minute, TenMinutes},
	Peers:      {TenSeconds, Minute, TenMinutes},
	Clients:    {TenSeconds, Minute},
	Failed:     {TenSeconds, Minute},
	Brief:      {Minute},
	BriefIn:    {Minute},
}

// keptCounts is how many windows kept has in all.
const keptCounts = 34

// layout says where in a Tally a count of kept is: those of a counter side by
// side, in the order of counters.
var layout = newLayout()

type counts struct {
	first [counters + 1]uint8     // of a counter
	at    [counters][windows]int8 // -1 if not kept
	of    [windows][]uint8        // all of a window
}

func newLayout() *counts {
	l, n := new(counts), uint8(0)
	for c := range kept {
		l.first[c], l.at[c] = n, [windows]int8{-1, -1, -1, -1}
		for _, w := range kept[c] {
			l.at[c][w] = int8(n)
			l.of[w] = append(l.of[w], n)
			n++
		}
	}
	l.first[counters] = n
	return l
}

// Tally counts over sliding windows. A window of length w is made of two
// buckets of w/2, so a count is of what happened during the last w/2 to w: what
// it says did happen within w. The phase starts with the first packet, so
// counts do not depend on absolute time. Counts saturate at 2^32-1.
type Tally struct {
	epochs      [windows]uint32 // numbers of the current buckets, from 2
	from, until int64           // times at which all current buckets still are
	counts      [keptCounts]count
	starts      [windows]int64 // of the current buckets
}

// count is a counter in the current bucket of a window, and in the one before.
type count struct{ now, was uint32 }

// Mark remembers in which buckets of one Tally something was seen last, to
// count it once. The zero value was never seen.
type Mark [windows]uint32

// Count returns how often c happened during w, which must be one of the windows
// over which c is kept.
func (t *Tally) Count(c Counter, w Window) uint32 { return t.At(PlaceOf(c, w)) }

// Place is where a Tally keeps one count, for those who ask for it all the time.
type Place uint8

// PlaceOf returns the place of what Count returns; c must be kept over w.
func PlaceOf(c Counter, w Window) Place { return Place(layout.at[c][w]) }

// At returns the count at a place.
func (t *Tally) At(p Place) uint32 {
	n := &t.counts[p]
	return saturate(uint64(n.now) + uint64(n.was))
}

// advance moves the windows up to now. Times a little before the current
// bucket count into it; far before it the window starts anew.
func (t *Tally) advance(now int64) {
	if now >= t.from && now < t.until {
		return
	}
	t.from, t.until = math.MinInt64, math.MaxInt64
	for w := range windows {
		half := int64(spans[w] / 2)
		d := now - t.starts[w]
		if d < 0 || d >= half || t.epochs[w] == 0 {
			t.rotate(w, now, d, half)
		}
		t.from, t.until = max(t.from, t.starts[w]), min(t.until, t.starts[w]+half)
	}
}

func (t *Tally) rotate(w Window, now, d, half int64) {
	switch {
	case t.epochs[w] == 0:
		t.starts[w], t.epochs[w] = now, 2
	case d < 0 && d >= -half:
	case d >= half && d < 2*half:
		t.starts[w] += half
		t.epochs[w]++
		for _, i := range layout.of[w] {
			t.counts[i] = count{was: t.counts[i].now}
		}
	default:
		t.starts[w] = now
		t.epochs[w] += 2
		for _, i := range layout.of[w] {
			t.counts[i] = count{}
		}
	}
}

// add counts n of c. The windows must have been advanced.
func (t *Tally) add(c Counter, n uint32) {
	of := t.counts[layout.first[c]:layout.first[c+1]]
	for i := range of {
		of[i].now = saturate(uint64(of[i].now) + uint64(n))
	}
}

// touch counts the thing that m belongs to once per window.
func (t *Tally) touch(c Counter, m *Mark) {
	if *m == t.epochs {
		return
	}
	for w, epoch := range t.epochs {
		if m[w] == epoch {
			continue
		}
		if i := layout.at[c][w]; i >= 0 {
			n := &t.counts[i]
			if m[w] == epoch-1 && n.was > 0 {
				n.was--
			}
			n.now++
		}
		m[w] = epoch
	}
}

func saturate(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

// Moments are mean and variance of a series that forget: each value weighs
// 1/n up to the memory'th, then 1/memory.
type Moments struct {
	N         uint32
	Mean, Var float64
}

// memory is how many values Moments look back over, roughly.
const memory = 32

// add takes the next value in. The conversions keep compilers from fusing
// multiplication and addition, which would make results differ by machine.
func (m *Moments) add(x float64) {
	if m.N < math.MaxUint32 {
		m.N++
	}
	a := 1 / float64(min(m.N, memory))
	d := x - m.Mean
	m.Mean += float64(a * d)
	m.Var = float64((1 - a) * (m.Var + float64(a*float64(d*d))))
}

// Std returns the standard deviation.
func (m *Moments) Std() float64 { return math.Sqrt(max(m.Var, 0)) }

// CV returns the coefficient of variation, standard deviation by mean, or 0
// while the mean is 0.
func (m *Moments) CV() float64 {
	if m.Mean <= 0 {
		return 0
	}
	return m.Std() / m.Mean
}
