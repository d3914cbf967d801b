package baseline

import (
	"math"
	"slices"
	"strings"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
)

// Histogram counts packets by the model's score, in steps of 0.02; the last is
// of those that score 1.
type Histogram [scoreBins]uint64

const (
	scoreStep = 50 // steps of a score
	scoreBins = scoreStep + 1
)

// binOf returns the step of a score.
func binOf(score float64) int {
	return min(max(int(score*scoreStep+1e-6), 0), scoreStep) // 1e-6: 0.58 is a little less than 29/50
}

// Total is how many were counted.
func (h *Histogram) Total() uint64 {
	total := uint64(0)
	for _, n := range h {
		total = sum(total, n)
	}
	return total
}

// Rate sums up the packets a second of seconds in which there were any.
type Rate struct {
	Seconds uint64
	Packets uint64
	Squares uint64 // sum of the squares of the packets in each second
	Most    uint64 // in one second
}

func (r *Rate) count(packets uint64) {
	r.add(&Rate{Seconds: 1, Packets: packets, Squares: packets * packets, Most: packets})
}

func (r *Rate) add(other *Rate) {
	r.Seconds = sum(r.Seconds, other.Seconds)
	r.Packets = sum(r.Packets, other.Packets)
	r.Squares = sum(r.Squares, other.Squares)
	r.Most = max(r.Most, other.Most)
}

// Mean returns the mean packets a second, and their standard deviation, which is
// at least that of packets that come independently of each other (the root of
// the mean).
func (r *Rate) Mean() (mean, deviation float64) {
	if r.Seconds == 0 {
		return 0, 0
	}
	n := float64(r.Seconds)
	mean = float64(r.Packets) / n
	return mean, math.Sqrt(max(float64(r.Squares)/n-mean*mean, mean))
}

// Rates are a Rate for each hour of the day in UTC in which there was a packet,
// in order of the hours.
type Rates []HourRate

// HourRate is the Rate of one hour of the day.
type HourRate struct {
	Hour uint8
	Rate
}

// at returns the Rate of an hour, a new one if need be.
func (r *Rates) at(hour uint8) *Rate {
	i, found := slices.BinarySearchFunc(*r, hour, func(h HourRate, hour uint8) int { return int(h.Hour) - int(hour) })
	if !found {
		*r = slices.Insert(*r, i, HourRate{Hour: hour})
	}
	return &(*r)[i].Rate
}

func (r *Rates) add(other *Rates) {
	for i := range *other {
		r.at((*other)[i].Hour).add(&(*other)[i].Rate)
	}
}

// hourOf returns the hour of the day, in UTC, of a time.
func hourOf(at int64) uint8 {
	const hour = int64(time.Hour)
	h := (at / hour) % 24
	if at < 0 {
		return uint8((h + 23) % 24)
	}
	return uint8(h)
}

// The keys of sketches.

// host is an address.
type host packet.Addr

func (h host) id() string { return packet.Addr(h).String() }
func (h host) ours() bool { return isOurs(packet.Addr(h)) }

// class is a protocol.
type class string

func (c class) id() string { return string(c) }
func (c class) ours() bool { return true }

func (e Endpoint) id() string { return e.Addr.String() + " " + e.Service.String() }
func (e Endpoint) ours() bool { return isOurs(e.Addr) }

func (r Relation) id() string {
	return strings.Join([]string{r.Detector, string(r.Type), r.Actor.String(), r.Target.String(), r.Service.String()}, " ")
}
func (r Relation) ours() bool { return partyIsOurs(r.Actor) || partyIsOurs(r.Target) }

func partyIsOurs(p detect.Party) bool { return p.MAC != packet.MAC{} || isOurs(p.Addr) }

// isOurs tells addresses of a network of one's own from those of the Internet:
// private (RFC 1918, RFC 4193), link-local (RFC 3927, RFC 4291) and shared
// (RFC 6598) ones.
func isOurs(a packet.Addr) bool {
	addr := a.Netip()
	return addr.IsPrivate() || addr.IsLinkLocalUnicast() || shared.Contains(addr)
}
