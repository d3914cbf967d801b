package pcapng

import (
	"bytes"
	"strconv"

	"ampulla/annotator/packet"
)

// Options of an Interface Description Block that matter for reading packets
// (draft-ietf-opsawg-pcapng, section 4.2).
const (
	optTsResol  = 9
	optFCSLen   = 13
	optTsOffset = 14
)

// maxInterfaces bounds the interfaces of one section; each takes memory until
// the section ends.
const maxInterfaces = 1 << 20

// section is what has to be remembered of the section being read.
type section struct {
	number     uint32
	bigEndian  bool
	interfaces []netif
	time       int64 // of the last frame that had one
}

// netif is what an Interface Description Block says.
type netif struct {
	linkType uint16
	snapLen  uint32 // bytes; 0 for no limit
	units    uint64 // of time per second
	offset   int64  // seconds to add to each time stamp
}

// parse fills in the fields of b that follow from b.Raw and s, and updates s.
// Type and the two lengths have been checked.
func (s *section) parse(b *Block) error {
	b.Interface, b.LinkType, b.Time, b.Captured, b.Length = 0, 0, 0, 0, 0
	b.data, b.options, b.frame = 0, 0, false
	switch b.Type {
	case TypeSection:
		return s.parseSection(b)
	case TypeInterface:
		b.Section = s.number
		return s.parseInterface(b)
	}
	b.Section = s.number
	var err error
	switch b.Type {
	case TypeEnhancedPacket, TypePacket:
		err = s.parsePacket(b)
	case TypeSimplePacket:
		err = s.parseSimple(b)
	case TypeJournal:
		err = s.parseJournal(b)
	case TypeCustom, TypeCustomNoCopy:
		err = s.parseCustom(b)
	case TypeSysdigEvent, TypeSysdigEvent2, TypeSysdigEvent2L:
		err = s.parseSysdig(b)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	b.frame = true
	s.time = b.Time
	return nil
}

func (s *section) parseSection(b *Block) error {
	if err := b.atLeast(minSection, "section header"); err != nil {
		return err
	}
	major, minor := b.u16(12), b.u16(14)
	if major != 1 || minor != 0 && minor != 2 {
		return malformedf("version %d.%d of the format is unknown", major, minor)
	}
	s.number++
	s.interfaces = s.interfaces[:0]
	s.time = 0
	b.Section = s.number
	b.options = headLen + 16
	return b.checkOptions()
}

func (s *section) parseInterface(b *Block) error {
	if err := b.atLeast(minInterface, "interface description"); err != nil {
		return err
	}
	b.options = headLen + 8
	if err := b.checkOptions(); err != nil {
		return err
	}
	if len(s.interfaces) == maxInterfaces {
		return malformedf("section has more than %d interfaces", maxInterfaces)
	}
	n := netif{linkType: b.u16(8), snapLen: b.u32(12), units: 1_000_000}
	resolution, offset := false, false
	for options := b.Options(); ; {
		o, ok := options.Next()
		if !ok {
			break
		}
		switch {
		case o.Code == optTsResol && len(o.Value) == 1 && !resolution:
			resolution = true
			n.units = unitsPerSecond(o.Value[0])
		case o.Code == optTsOffset && len(o.Value) == 8 && !offset:
			offset = true
			n.offset = int64(b.order().Uint64(o.Value))
		}
	}
	s.interfaces = append(s.interfaces, n)
	return nil
}

// parsePacket handles Enhanced Packet Blocks and the obsolete Packet Blocks,
// which differ in the width of the interface index.
func (s *section) parsePacket(b *Block) error {
	if err := b.atLeast(minPacket, "packet"); err != nil {
		return err
	}
	if b.Type == TypePacket {
		b.Interface = uint32(b.u16(8))
	} else {
		b.Interface = b.u32(8)
	}
	stamp := uint64(b.u32(12))<<32 | uint64(b.u32(16))
	b.Captured, b.Length = b.u32(20), b.u32(24)
	b.data = headLen + 20
	room := len(b.Raw) - minPacket
	if round4(uint64(b.Captured)) > uint64(room) {
		return malformedf("captured length %d exceeds block of %d bytes", b.Captured, len(b.Raw))
	}
	if int64(b.Interface) >= int64(len(s.interfaces)) {
		return malformedf("interface %d of %d", b.Interface, len(s.interfaces))
	}
	n := &s.interfaces[b.Interface]
	b.LinkType = n.linkType
	b.Time = nanoseconds(stamp, n.units, n.offset)
	b.options = b.data + round4(int(b.Captured))
	return b.checkOptions()
}

// parseSimple handles Simple Packet Blocks, which belong to the first
// interface and have neither time stamp nor options.
func (s *section) parseSimple(b *Block) error {
	if err := b.atLeast(minSimple, "simple packet"); err != nil {
		return err
	}
	if len(s.interfaces) == 0 {
		return malformedf("simple packet before any interface description")
	}
	n := &s.interfaces[0]
	b.Length = b.u32(8)
	b.Captured = b.Length
	if n.snapLen != 0 {
		b.Captured = min(b.Captured, n.snapLen)
	}
	b.data = headLen + 4
	if round4(uint64(b.Captured)) > uint64(len(b.Raw)-minSimple) {
		return malformedf("captured length %d exceeds block of %d bytes", b.Captured, len(b.Raw))
	}
	b.LinkType = n.linkType
	b.Time = s.time
	return nil
}

// parseJournal handles systemd journal entries. Their time is in microseconds
// in a line of text.
func (s *section) parseJournal(b *Block) error {
	if err := b.atLeast(minJournal, "journal entry"); err != nil {
		return err
	}
	b.setBody(headLen)
	entry := bytes.TrimRight(b.Raw[headLen:len(b.Raw)-tailLen], "\x00")
	b.Captured, b.Length = uint32(len(entry)), uint32(len(entry))
	b.Time = s.time
	text, _, _ := bytes.Cut(entry, []byte{0})
	if _, after, ok := bytes.Cut(text, []byte("__REALTIME_TIMESTAMP=")); ok {
		digits := 0
		for digits < len(after) && '0' <= after[digits] && after[digits] <= '9' {
			digits++
		}
		if stamp, err := strconv.ParseUint(string(after[:digits]), 10, 64); err == nil {
			b.Time = nanoseconds(stamp, 1_000_000, 0)
		}
	}
	return nil
}

func (s *section) parseCustom(b *Block) error {
	if err := b.atLeast(minCustom, "custom block"); err != nil {
		return err
	}
	b.setBody(headLen + 4)
	b.Time = s.time
	return nil
}

// parseSysdig handles sysdig events: CPU (16 bits), time in nanoseconds and
// thread (64 bits), length (32 bits), type (16 bits) and, from version 2 on, the
// number of parameters (32 bits).
func (s *section) parseSysdig(b *Block) error {
	head := 24
	if b.Type != TypeSysdigEvent {
		head = 28
	}
	if err := b.atLeast(minBlockLen+head, "sysdig event"); err != nil {
		return err
	}
	b.setBody(headLen + head)
	b.Length = b.u32(26)
	b.Time = nanoseconds(b.u64(10), 1_000_000_000, 0)
	return nil
}

// setBody makes the block's content from offset on its data.
func (b *Block) setBody(offset int) {
	b.LinkType = packet.LinkTypeNone
	b.data = offset
	b.Captured = uint32(len(b.Raw) - tailLen - offset)
	b.Length = b.Captured
}

func (b *Block) atLeast(n int, what string) error {
	if len(b.Raw) < n {
		return malformedf("%s of %d bytes is shorter than %d", what, len(b.Raw), n)
	}
	return nil
}
