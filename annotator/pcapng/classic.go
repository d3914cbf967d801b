package pcapng

import (
	"encoding/binary"
	"io"
)

// Lengths of a classic pcap file, in bytes
// (draft-ietf-opsawg-pcap, sections 4 and 5).
const (
	classicHeader = 24
	recordHeader  = 16
)

// Fields of the 32-bit link type of a classic pcap file.
const (
	linkTypeMask = 0x0000ffff
	reservedMask = 0x03ff0000
	fcsPresent   = 0x04000000
	fcsShift     = 28 // the length of the frame check sequence
	fcsUnit      = 16 // bits
)

// Link types that are treated specially (https://www.tcpdump.org/linktypes.html).
const (
	linkFDDI    = 10
	linkDBus    = 231
	linkUSBPcap = 249
	linkEBHSCR  = 279
)

// Largest packets that Wireshark accepts, in bytes.
const (
	maxPacket   = 256 << 10
	maxDBus     = 128 << 20
	maxUSBPcap  = 128 << 20
	maxEBHSCR   = 32 << 20
	fddiPadding = 3 // that AIX puts in front of FDDI frames
)

// classicKind is what a magic number tells.
type classicKind struct {
	magic    uint32
	variants []variant // in the order in which they are tried
	nano     bool      // time stamps are in nanoseconds
	extra    int       // bytes behind the file header
}

var classicKinds = [...]classicKind{
	{magic: 0xa1b2c3d4, variants: []variant{standard, modified, nokia}},
	{magic: 0xa1b23c4d, variants: []variant{standard}, nano: true},
	{magic: 0xa1b2cd34, variants: []variant{modified, modifiedSMP}},
	{magic: 0x1c0001ab, variants: []variant{standard}, extra: 4},             // Ixia software
	{magic: 0x1c0001ac, variants: []variant{standard}, nano: true, extra: 4}, // Ixia hardware
}

// classic converts a classic pcap file into the blocks of a pcapng file.
type classic struct {
	classicKind
	order   binary.ByteOrder
	variant variant
	swapped bool // the two lengths of a record are in the older order
	unsure  bool // they may be: the greater one is the original
	fddi    bool // AIX padding in front of each frame

	linkType  uint32
	snapLen   uint32
	maxPacket uint32 // bytes
}

// newClassic returns the converter for a file whose first four bytes, taken as
// little endian, are magic, or nil if it is no classic pcap.
func newClassic(magic uint32) *classic {
	var swapped [4]byte
	binary.BigEndian.PutUint32(swapped[:], magic)
	other := binary.LittleEndian.Uint32(swapped[:])
	for _, k := range classicKinds {
		switch k.magic {
		case magic:
			return &classic{classicKind: k, order: binary.LittleEndian}
		case other:
			return &classic{classicKind: k, order: binary.BigEndian}
		}
	}
	return nil
}

// read makes the next block: the section header, the interface description,
// then one enhanced packet per record.
func (c *classic) read(r *Reader, b *Block) error {
	b.BigEndian = false
	switch r.index {
	case 1:
		head, err := r.br.Peek(classicHeader + c.extra)
		if err != nil {
			return cut(err, len(head), classicHeader+c.extra)
		}
		if err := c.parseHeader(head); err != nil {
			return err
		}
		b.Type = TypeSection
		b.Raw = appendSection(b.Raw[:0])
		return nil
	case 2:
		if _, err := r.br.Discard(classicHeader + c.extra); err != nil {
			return err
		}
		r.next = int64(classicHeader + c.extra)
		c.variant = c.variants[0]
		if len(c.variants) > 1 {
			c.variant = c.guess(r.br)
		}
		b.Type = TypeInterface
		b.Raw = c.appendInterface(b.Raw[:0])
		return nil
	}
	b.Type = TypeEnhancedPacket
	return c.readRecord(r, b)
}

func (c *classic) parseHeader(head []byte) error {
	major, minor := c.order.Uint16(head[4:]), c.order.Uint16(head[6:])
	c.snapLen, c.linkType = c.order.Uint32(head[16:]), c.order.Uint32(head[20:])
	if major < 2 {
		return malformedf("version %d.%d of pcap is unknown", major, minor)
	}
	// The order of the two lengths changed with version 2.3, whose first files
	// still had the older one. DG/UX writes version 543.0 and the older one.
	c.swapped = major == 2 && minor < 3 || major == 543
	c.unsure = major == 2 && minor == 3
	if c.swapped || c.unsure {
		c.variants = []variant{standard}
	}
	if c.magic == 0xa1b2c3d4 && major == 2 && minor == 2 {
		c.parseAIX()
	}
	if c.linkType&reservedMask != 0 {
		return malformedf("reserved bits of link type %#08x are set", c.linkType)
	}
	switch c.linkType & linkTypeMask {
	case linkDBus:
		c.maxPacket = maxDBus
	case linkUSBPcap:
		c.maxPacket = maxUSBPcap
	case linkEBHSCR:
		c.maxPacket = maxEBHSCR
	default:
		c.maxPacket = maxPacket
	}
	return nil
}

// parseAIX recognises files of AIX, which has RFC 1573 interface types in place
// of link types, and nanoseconds.
func (c *classic) parseAIX() {
	types := map[uint32]uint32{6: 1, 9: 6, 15: linkFDDI, 24: 0}
	linkType, ok := types[c.linkType]
	if !ok {
		return
	}
	c.linkType = linkType
	c.nano = true
	c.fddi = linkType == linkFDDI
}

// readRecord turns a record into an Enhanced Packet Block.
func (c *classic) readRecord(r *Reader, b *Block) error {
	n := recordHeader + c.variant.extra()
	head, err := r.br.Peek(n)
	if err != nil {
		return cut(err, len(head), n)
	}
	seconds, fraction := c.order.Uint32(head), c.order.Uint32(head[4:])
	captured, length := c.lengths(head)
	if captured > c.maxPacket {
		return malformedf("packet of %d bytes exceeds %d", captured, c.maxPacket)
	}
	record := n + int(captured)
	skip := 0
	if c.fddi {
		if skip = fddiPadding; captured < fddiPadding {
			return malformedf("packet of %d bytes is shorter than its padding", captured)
		}
		captured -= fddiPadding
		length -= min(length, fddiPadding)
	}
	if _, err := r.br.Discard(n); err != nil {
		return err
	}
	if got, err := r.br.Discard(skip); err == io.EOF {
		return truncatedf("truncated after %d of %d bytes", n+got, record)
	} else if err != nil {
		return err
	}
	units := uint64(1_000_000)
	if c.nano {
		units = 1_000_000_000
	}
	stamp := uint64(seconds)*units + uint64(fraction)

	total := minPacket + round4(int(captured))
	b.Raw = appendHead(b.Raw[:0], TypeEnhancedPacket, total)
	b.Raw = binary.LittleEndian.AppendUint32(b.Raw, 0)
	b.Raw = binary.LittleEndian.AppendUint32(b.Raw, uint32(stamp>>32))
	b.Raw = binary.LittleEndian.AppendUint32(b.Raw, uint32(stamp))
	b.Raw = binary.LittleEndian.AppendUint32(b.Raw, captured)
	b.Raw = binary.LittleEndian.AppendUint32(b.Raw, length)
	data := len(b.Raw)
	if b.Raw, err = fill(r.br, b.Raw, data+int(captured)); err != nil {
		if kindOf(err) == ErrTruncated {
			err = truncatedf("truncated after %d of %d bytes", n+skip+len(b.Raw)-data, record)
		}
		return err
	}
	b.Raw = appendTail(b.Raw, total)
	r.next = r.offset + int64(record)
	return nil
}

// lengths returns the captured and the original length of a record.
func (c *classic) lengths(head []byte) (captured, length uint32) {
	captured, length = c.order.Uint32(head[8:]), c.order.Uint32(head[12:])
	if c.swapped || c.unsure && captured > length {
		captured, length = length, captured
	}
	return captured, length
}

func appendSection(dst []byte) []byte {
	dst = appendHead(dst, TypeSection, minSection)
	dst = binary.LittleEndian.AppendUint32(dst, byteOrderMagic)
	dst = binary.LittleEndian.AppendUint16(dst, 1) // major version
	dst = binary.LittleEndian.AppendUint16(dst, 0) // minor version
	dst = binary.LittleEndian.AppendUint64(dst, ^uint64(0))
	return appendTail(dst, minSection)
}

// appendInterface makes the interface description: link type, limit, time
// resolution and, if known, the length of the frame check sequence in bits.
func (c *classic) appendInterface(dst []byte) []byte {
	total := minInterface + 8 + 4
	if c.linkType&fcsPresent != 0 {
		total += 8
	}
	resolution := byte(6)
	if c.nano {
		resolution = 9
	}
	dst = appendHead(dst, TypeInterface, total)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(c.linkType&linkTypeMask))
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, c.snapLen)
	dst = append(dst, optTsResol, 0, 1, 0, resolution, 0, 0, 0)
	if c.linkType&fcsPresent != 0 {
		dst = append(dst, optFCSLen, 0, 1, 0, byte(c.linkType>>fcsShift*fcsUnit), 0, 0, 0)
	}
	dst = append(dst, 0, 0, 0, 0)
	return appendTail(dst, total)
}

func appendHead(dst []byte, blockType uint32, total int) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, blockType)
	return binary.LittleEndian.AppendUint32(dst, uint32(total))
}

// appendTail pads dst, which holds nothing but a block of the given total
// length, and ends it.
func appendTail(dst []byte, total int) []byte {
	for len(dst) < total-tailLen {
		dst = append(dst, 0)
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(total))
}
