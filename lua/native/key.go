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
	123: 4, 139: 4, 144: 16, 177: 16, 196: 5, 201: 4, 204: 1, 209: 5, 245: 2, 254: 4,
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
// never change.
var linkTypes = map[int]uint16{
	1: 1, 2: 6, 3: 8, 4: 9, 6: 10, 7: 101, 8: 7, 9: 129, 10: 100, 11: 106, 13: 123, 15: 0, 18: 122, 19: 204, 20: 105,
	21: 119, 23: 127, 24: 163, 25: 113, 26: 107, 28: 104, 29: 118, 30: 114, 32: 121, 33: 143, 36: 268, 37: 128, 38: 109,
	39: 117, 41: 187, 42: 140, 43: 141, 44: 144, 45: 147, 46: 148, 47: 149, 48: 150, 49: 151, 50: 152, 51: 153, 52: 154,
	53: 155, 54: 156, 55: 157, 56: 158, 57: 159, 58: 160, 59: 161, 60: 162, 61: 99, 62: 138, 63: 165, 66: 169, 67: 137,
	68: 135, 69: 32, 75: 139, 76: 167, 77: 172, 78: 173, 81: 130, 82: 131, 83: 178, 84: 179, 85: 180, 86: 181, 87: 133,
	88: 177, 91: 183, 92: 186, 93: 188, 95: 189, 97: 192, 98: 197, 99: 201, 100: 196, 101: 142, 103: 199, 104: 195,
	105: 214, 106: 210, 107: 212, 108: 211, 109: 190, 111: 213, 112: 209, 113: 215, 115: 220, 121: 224, 122: 225,
	124: 226, 125: 227, 127: 230, 129: 228, 130: 229, 131: 203, 132: 235, 133: 236, 135: 240, 136: 241, 138: 243,
	139: 51, 140: 245, 141: 239, 146: 231, 147: 202, 148: 3, 149: 248, 151: 136, 152: 249, 153: 250, 154: 251, 155: 252,
	157: 237, 158: 253, 159: 254, 160: 255, 161: 256, 171: 258, 172: 259, 173: 260, 174: 108, 177: 264, 178: 170,
	179: 171, 180: 242, 181: 184, 182: 266, 183: 270, 184: 2, 185: 271, 186: 272, 197: 200, 198: 274, 199: 273,
	200: 275, 204: 279, 205: 280, 206: 283, 208: 288, 210: 276, 211: 287, 212: 290, 214: 292, 215: 293, 216: 294,
	217: 295,
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
