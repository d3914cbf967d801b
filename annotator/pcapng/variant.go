package pcapng

import "bufio"

// variant is a layout of the records of a classic pcap file. Some have the
// same magic number, so that it takes a look at the records to tell them apart.
type variant uint8

const (
	standard    variant = iota
	modified            // Kuznetzov's patches ss990417 and ss991029
	modifiedSMP         // Kuznetzov's patch ss990915
	nokia
)

// extra is the length of the fields behind the standard record header, in bytes.
func (v variant) extra() int {
	return [...]int{standard: 0, modified: 8, modifiedSMP: 12, nokia: 4}[v]
}

// Bounds of guessing a variant.
const (
	recordsToTry = 3
	maxRecord    = recordHeader + 12 // longest header of a variant, bytes
)

// guess tells the variant from the first records, as Wireshark does: it is the
// one with the fewest oddities, the first one of several.
func (c *classic) guess(br *bufio.Reader) variant {
	best, fewest := c.variants[0], -1
	for _, v := range c.variants {
		odd := c.oddities(br, v)
		if odd == 0 {
			return v
		}
		if fewest < 0 || odd < fewest {
			best, fewest = v, odd
		}
	}
	return best
}

// oddities counts what looks wrong if the first records were of variant v. A
// record that is cut is one more oddity, and the last to be looked at.
//
// Wireshark takes some standard files that are cut for another variant, if
// their frames begin with zeros as those of a loopback interface do. Therefore
// we look at the times too.
func (c *classic) oddities(br *bufio.Reader, v variant) int {
	odd, offset, first := 0, 0, uint32(0)
	for i := range recordsToTry {
		head, _ := br.Peek(offset + recordHeader)
		if len(head) == offset {
			break
		}
		if len(head) < offset+recordHeader {
			if v != standard || i == 0 || !c.soonAfter(first, head[offset:]) {
				odd++
			}
			break
		}
		if i == 0 {
			first = c.order.Uint32(head)
		} else if v != standard && !c.soonAfter(first, head[offset:]) {
			odd++
		}
		captured := c.order.Uint32(head[offset+8:])
		odd += c.recordOddities(head[offset:])
		offset += recordHeader

		head, err := br.Peek(offset + v.extra())
		if err != nil {
			odd++
			break
		}
		odd += c.extraOddities(head[offset:], v)
		if captured > c.maxPacket {
			break
		}
		offset += v.extra() + int(captured)
		if offset+maxRecord > br.Size() {
			break // more than can be looked at
		}
		if _, err := br.Peek(offset); err != nil {
			odd++
			break
		}
	}
	return odd
}

// soonAfter tells whether a record, of which at least the time has to be there,
// is of about the same time as the first one, in seconds since 1970.
func (c *classic) soonAfter(first uint32, head []byte) bool {
	const years = 10 * 365 * 24 * 3600
	if len(head) < 8 {
		return false
	}
	seconds := c.order.Uint32(head)
	return max(first, seconds)-min(first, seconds) < years && c.order.Uint32(head[4:]) < 1_000_000
}

// recordOddities counts what looks wrong in the fields that all variants have.
func (c *classic) recordOddities(head []byte) int {
	captured, length := c.order.Uint32(head[8:]), c.order.Uint32(head[12:])
	odd := 0
	for _, wrong := range [...]bool{
		c.order.Uint32(head[4:]) >= 1_000_000, // none of those to be guessed has nanoseconds
		captured > c.maxPacket,
		captured > c.snapLen,
		captured > length,
		length > 128<<20, // unlikely, whatever the link type
	} {
		if wrong {
			odd++
		}
	}
	return odd
}

// extraOddities counts what looks wrong in the fields that variants add: the
// interface index, the Ethernet type and the kind of packet of Linux, or the
// unknown word of Nokia, of which only some values have been seen.
func (c *classic) extraOddities(extra []byte, v variant) int {
	odd := 0
	switch v {
	case modified, modifiedSMP:
		if c.order.Uint32(extra) > 10_000 { // more interfaces than a Linux box of 1999 had
			odd++
		}
		switch t := c.order.Uint16(extra[4:]); {
		case t >= 0x600, t <= 0x17, t == 0x60, t == 0x200, t == 0x400:
		default:
			odd++
		}
		if extra[6] > 4 {
			odd++
		}
	case nokia:
		if !isNokia(c.order.Uint32(extra)) {
			odd++
		}
	}
	return odd
}

func isNokia(word uint32) bool {
	return word&0x0fff00f0 == 0x0fbf0000 &&
		(word>>28 == 0x9 || word>>28 == 0xb) &&
		(word>>12&0xf == 0xb || word>>12&0xf == 0xd) &&
		(word>>8&0xf == 0x6 || word>>8&0xf == 0x9) &&
		(word&0xf == 1 || word&0xf == 2)
}
