package main

import (
	"math"

	"ampulla/annotator/packet"
)

// shot is a frame as Wireshark shows it to a script.
type shot struct {
	number  uint64  // Wireshark's, which a read filter may change later
	visited bool    // false the first time
	look    bool    // somebody wants the verdict
	time    float64 // seconds since 1970-01-01 UTC, good for a microsecond
	caught  uint32  // captured, bytes
	data    []byte  // the first packet.SnapLen captured bytes

	exact  bool   // what follows is known
	length uint32 // on the wire, bytes
	nanos  int64  // time, nanoseconds since 1970-01-01 UTC
	encap  int    // Wireshark's number of the link type, -1 for none
}

// pseudoHeaders are the bytes at the start of a frame that Wireshark takes for
// a header of the capture and hides from scripts, by link type.
var pseudoHeaders = map[uint16]uint32{
	123: 4, 139: 4, 144: 16, 177: 16, 201: 4, 204: 1, 220: 48, 189: 64, 254: 4,
}

// rowOf returns the row of a frame of a file.
func (t *table) rowOf(f packet.Frame, caught uint32, data []byte) row {
	n := uint32(0)
	if f.LinkType > 122 {
		n = min(pseudoHeaders[f.LinkType], caught, f.Length)
	}
	return row{time: f.Time, key: t.keyOf(caught-n, data[n:])}
}

// row returns the row of s.
func (t *table) row(s *shot) row {
	return row{time: s.nanos, key: t.keyOf(s.caught, s.data)}
}

// near, in seconds, is more than a time loses on its way through a float64, even
// in the last year that nanoseconds reach.
const near = 2e-6

// near tells whether r was taken at the time of s, as far as s knows it: not
// at all if the capture does not say.
func (r row) near(s *shot) bool {
	if s.time == 0 {
		return true
	}
	if s.exact {
		return r.time == s.nanos
	}
	return math.Abs(float64(r.time)/1e9-s.time) <= near
}

// linkTypes has the LINKTYPE_ value for Wireshark's own numbers (wtap.h), which
// never change, as far as the engine knows the link type.
var linkTypes = map[int]uint16{
	1: 1, 2: 6, 4: 9, 5: 10, 7: 101, 10: 100, 15: 0, 18: 122, 19: 9, 20: 105, 21: 119, 22: 105, 23: 127, 24: 163,
	25: 113, 26: 107, 28: 104, 38: 109, 39: 117, 62: 138, 97: 192, 129: 228, 130: 229, 139: 51, 141: 239, 174: 108, 210: 276,
}

// unknownLink is a link type that the engine does not know.
const unknownLink = packet.LinkTypeNone - 1

// frame returns s as the annotator wants it.
func (s *shot) frame() packet.Frame {
	link, ok := linkTypes[s.encap]
	switch {
	case s.encap < 0:
		link = packet.LinkTypeNone
	case !ok:
		link = unknownLink
	}
	return packet.Frame{Time: s.nanos, LinkType: link, Length: s.length, Data: s.data}
}
