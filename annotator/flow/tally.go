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
func (w Window) Span() time.Duration {
	return [windows]time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}[w]
}

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
	SYNIn     //
	SYNACKIn  // TCP SYN with ACK
	RSTIn     // TCP RST
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

// Tally counts over sliding windows. A window of length w is made of two
// buckets of w/2, so a count is of what happened during the last w/2 to w: what
// it says did happen within w. The phase starts with the first packet, so
// counts do not depend on absolute time. Counts saturate at 2^32-1.
type Tally struct {
	// Version changes whenever counts change by more than the volume of
	// packets and bytes: something else was counted, or a window moved on.
	Version uint32

	spans [windows]span
}

type span struct {
	start    int64  // of the current bucket
	epoch    uint32 // number of the current bucket, from 2
	now, was [counters]uint32
}

// Mark remembers in which buckets of one Tally something was seen last, to
// count it once. The zero value was never seen.
type Mark [windows]uint32

// Count returns how often c happened during w.
func (t *Tally) Count(c Counter, w Window) uint32 {
	s := &t.spans[w]
	return saturate(uint64(s.now[c]) + uint64(s.was[c]))
}

// advance moves the windows up to now. Times a little before the current
// bucket count into it; far before it the window starts anew.
func (t *Tally) advance(now int64) {
	for w := range t.spans {
		s := &t.spans[w]
		half := int64(Window(w).Span() / 2)
		d := now - s.start
		if d >= 0 && d < half && s.epoch != 0 {
			continue
		}
		s.rotate(now, d, half)
		t.Version++
	}
}

func (s *span) rotate(now, d, half int64) {
	switch {
	case s.epoch == 0:
		s.start, s.epoch = now, 2
	case d < 0 && d >= -half:
	case d >= half && d < 2*half:
		s.start += half
		s.epoch++
		s.was, s.now = s.now, [counters]uint32{}
	default:
		s.start = now
		s.epoch += 2
		s.was, s.now = [counters]uint32{}, [counters]uint32{}
	}
}

// add counts n of c. The windows must have been advanced.
func (t *Tally) add(c Counter, n uint32) {
	if c > BytesIn {
		t.Version++
	}
	for w := range t.spans {
		v := &t.spans[w].now[c]
		*v = saturate(uint64(*v) + uint64(n))
	}
}

// touch counts the thing that m belongs to once per window.
func (t *Tally) touch(c Counter, m *Mark) {
	for w := range t.spans {
		s := &t.spans[w]
		if m[w] == s.epoch {
			continue
		}
		if m[w] == s.epoch-1 && s.was[c] > 0 {
			s.was[c]--
		}
		s.now[c]++
		m[w] = s.epoch
		t.Version++
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
