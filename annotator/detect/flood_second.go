package detect

import (
	"fmt"
	"math"
	"math/bits"
)

// second is what one vector sent to one destination within one second.
type second struct {
	packets  uint32
	answered uint32 // of which the destination took notice
	bytes    uint64
	large    uint32    // answers that amplify
	sources  [4]uint64 // of hashes of source addresses, for a count up to some 500
	ports    [4]uint64 // of hashes of destination ports
	flows    uint32    // packets that opened a flow
	port     majority  // destination port
	source   majority  // hash of the source address
}

// latest returns about what was sent within the latest second: the second at hand
// and a share of the one before it.
func (s *stream) latest(share float64) second {
	b, last, most := s.now, &s.prev, &s.now
	if last.packets > most.packets {
		most = last
	}
	part := func(n uint32) uint32 { return uint32(share * float64(n)) }
	b.packets += part(last.packets)
	b.answered += part(last.answered)
	b.flows += part(last.flows)
	b.large += part(last.large)
	b.bytes += uint64(share * float64(last.bytes))
	for i := range b.sources {
		b.sources[i] |= last.sources[i]
		b.ports[i] |= last.ports[i]
	}
	b.port, b.source = most.port.of(b.packets, most.packets), most.source.of(b.packets, most.packets)
	return b
}

// packets returns how many packets latest would count.
func (s *stream) packets(share float64) float64 {
	return float64(s.now.packets + uint32(share*float64(s.prev.packets)))
}

// share is which share of the second before the one at hand still counts.
func (s *flooded) share(now int64) float64 { return 1 - min(s.seconds(now), 1) }

// heavy is the mean length of a frame, bytes, from which on packets are no
// probes: those carry nothing, or a short question.
const heavy = 250

// shaped tells that the packets look like a flood and not like a scan, which
// comes from few sources to many ports and carries little.
func (b *second) shaped() bool {
	return b.sourceCount() >= 32 || estimate(&b.ports)*4 <= float64(b.packets) || b.bytes >= heavy*uint64(b.packets)
}

func (b *second) sourceCount() float64 { return min(estimate(&b.sources), float64(b.packets)) }

// from says how many sources there were.
func (b *second) from() string {
	switch n := math.Round(b.sourceCount()); {
	case n <= 1:
		return "one source"
	case n > 500:
		return "more than 500 sources"
	default:
		return fmt.Sprintf("about %.0f sources", n)
	}
}

// majority finds the value that more than half of the packets share, if there
// is one (Boyer and Moore's vote).
type majority struct {
	value uint64
	lead  uint32
}

func (m *majority) vote(value uint64) {
	switch {
	case m.lead == 0:
		m.value, m.lead = value, 1
	case m.value == value:
		m.lead++
	default:
		m.lead--
	}
}

// of returns what m would be with n packets instead of all.
func (m majority) of(n, all uint32) majority {
	m.lead = uint32(uint64(m.lead) * uint64(n) / uint64(max(all, 1)))
	return m
}

// excludes tells that nearly all of n packets share another value.
func (m *majority) excludes(value uint64, n uint32) bool {
	return m.lead*2 > n && m.value != value
}

// setBit notes a hash in a bitmap.
func setBit(m *[4]uint64, hash uint64) {
	h := mix(hash)
	m[h>>6&3] |= 1 << (h & 63)
}

// estimate tells how many different hashes a bitmap has seen (linear counting,
// Whang et al. 1990); good to some per cent up to 500.
func estimate(m *[4]uint64) float64 {
	zeros := 256
	for _, w := range m {
		zeros -= bits.OnesCount64(w)
	}
	return 256 * math.Log(256/math.Max(float64(zeros), 0.5))
}
