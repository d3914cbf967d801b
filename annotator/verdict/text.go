package verdict

import (
	"fmt"
	"strconv"
)

// Every flagged packet has these texts, so they are looked at eight bytes at a
// time, and numbers of few digits do without what is good for all numbers.

const (
	each = 0x0101010101010101 // times a byte: eight of them
	high = 0x80 * each
)

// word returns the first eight bytes of s.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// outside tells whether one of eight bytes is below low, which is at most 0x80, or
// no printable ASCII.
func outside(w, low uint64) bool { return ((w-low*each)|(w+each)|w)&high != 0 }

// has tells whether one of eight bytes is b.
func has(w, b uint64) bool {
	w ^= b * each
	return (w-each)&^w&high != 0
}

// isPlain tells that a text is printable ASCII and needs no closer look.
func isPlain(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if outside(word(s), ' ') {
			return false
		}
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// appendEscaped appends s with percent-encoding of what may not stand in a
// value: controls, space, and the percent sign itself.
func appendEscaped(b []byte, s string) []byte {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if w := word(s[i:]); outside(w, ' '+1) || has(w, '%') {
			break
		}
	}
	from := 0
	for ; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == '%' || c >= 0x7f {
			b = fmt.Appendf(append(b, s[from:i]...), "%%%02X", c)
			from = i + 1
		}
	}
	return append(b, s[from:]...)
}

func escape(s string) string { return string(appendEscaped(nil, s)) }

// appendShare appends a number as strconv does with 2 or 3 decimals. Most are from
// 0 to 1 and have no more of them.
func appendShare(b []byte, x float64, decimals int) []byte {
	const one = 1000
	n := int(x*one + 0.5)
	// A 5 that is to be rounded may stand for a little more or less.
	if n < 0 || n > one || float64(n)/one != x || decimals == 2 && n%10 == 5 {
		return strconv.AppendFloat(b, x, 'f', decimals, 64)
	}
	if decimals == 2 {
		n += 5
	}
	b = append(b, byte('0'+n/one), '.', byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
	return b[:len(b)-3+decimals]
}
