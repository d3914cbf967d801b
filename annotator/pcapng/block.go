package pcapng

import (
	"encoding/binary"

	"ampulla/annotator/packet"
)

// Block types (draft-ietf-opsawg-pcapng, section 4 and 11.1). Types not named
// here are copied like any other.
const (
	TypeInterface      uint32 = 0x00000001
	TypePacket         uint32 = 0x00000002 // obsolete
	TypeSimplePacket   uint32 = 0x00000003
	TypeNameResolution uint32 = 0x00000004
	TypeStatistics     uint32 = 0x00000005
	TypeEnhancedPacket uint32 = 0x00000006
	TypeJournal        uint32 = 0x00000009 // systemd journal export
	TypeSecrets        uint32 = 0x0000000a
	TypeSysdigEvent    uint32 = 0x00000204
	TypeSysdigEvent2   uint32 = 0x00000216
	TypeSysdigEvent2L  uint32 = 0x00000221
	TypeCustom         uint32 = 0x00000bad
	TypeCustomNoCopy   uint32 = 0x40000bad
	TypeSection        uint32 = 0x0a0d0d0a
)

// Lengths on the wire, in bytes.
const (
	headLen      = 8 // block type and block total length
	tailLen      = 4 // block total length again
	minBlockLen  = headLen + tailLen
	minSection   = minBlockLen + 16
	minInterface = minBlockLen + 8
	minPacket    = minBlockLen + 20 // enhanced and obsolete
	minSimple    = minBlockLen + 4
	minCustom    = minBlockLen + 4
	minJournal   = minBlockLen + 23
)

// Magic numbers.
const byteOrderMagic uint32 = 0x1a2b3c4d

// Block is one block of a capture. [Reader.Read] fills it and reuses its
// buffer, so a Block and all slices taken from it are valid until it is read
// into again; blocks read into separate Blocks are independent of each other
// and of the Reader.
type Block struct {
	// Raw are the bytes of the block as in the input, from the block type to
	// the second block total length. Classic pcap records appear as the
	// blocks they were converted to.
	Raw []byte

	Type      uint32
	Index     uint64 // position among the blocks of the input, from 1
	Offset    int64  // of the first byte in the (decompressed) input
	Section   uint32 // number of the section, from 1
	BigEndian bool   // byte order of the section

	// The rest is valid iff IsFrame.

	Interface uint32 // index within the section; 0 where the block has none
	LinkType  uint16 // LINKTYPE_ value, or packet.LinkTypeNone
	// Time in nanoseconds since 1970-01-01 UTC, clamped to what fits. A block
	// without time stamp has that of the frame before it in its section, 0 if
	// it is the first.
	Time     int64
	Captured uint32 // bytes
	Length   uint32 // bytes on the wire

	data    int  // offset of the packet data in Raw
	options int  // offset of the options in Raw; 0 if it has none that we know
	frame   bool // see IsFrame
}

// IsFrame tells whether Wireshark (4.0) counts the block as a frame: packets of
// all three kinds, systemd journal entries, sysdig events and custom blocks.
// All but packets have the link type packet.LinkTypeNone.
func (b *Block) IsFrame() bool { return b.frame }

// Data returns the captured bytes of a frame.
func (b *Block) Data() []byte {
	if !b.frame {
		return nil
	}
	return b.Raw[b.data : b.data+int(b.Captured)]
}

// Frame returns the frame as the engine receives it. Its data points into the
// block and is cut to packet.SnapLen. It is valid iff IsFrame.
func (b *Block) Frame() (f packet.Frame) {
	b.PutFrame(&f)
	return f
}

// PutFrame puts what Frame returns into f.
func (b *Block) PutFrame(f *packet.Frame) {
	data := b.Data()
	f.Time, f.LinkType, f.Length = b.Time, b.LinkType, b.Length
	f.Data = data[:min(len(data), packet.SnapLen)]
}

// SectionLength returns the Section Length of a section header: the bytes of
// the blocks that follow it, or -1 if unspecified. It is valid iff Type is
// TypeSection.
func (b *Block) SectionLength() int64 { return int64(b.u64(16)) }

// SetSectionLength overwrites the Section Length of a section header.
func (b *Block) SetSectionLength(n int64) { b.order().PutUint64(b.Raw[16:], uint64(n)) }

// byteOrder is what binary.BigEndian and binary.LittleEndian both are.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func (b *Block) order() byteOrder {
	if b.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (b *Block) u16(i int) uint16 {
	if b.BigEndian {
		return binary.BigEndian.Uint16(b.Raw[i:])
	}
	return binary.LittleEndian.Uint16(b.Raw[i:])
}

func (b *Block) u32(i int) uint32 {
	if b.BigEndian {
		return binary.BigEndian.Uint32(b.Raw[i:])
	}
	return binary.LittleEndian.Uint32(b.Raw[i:])
}

func (b *Block) u64(i int) uint64 {
	if b.BigEndian {
		return binary.BigEndian.Uint64(b.Raw[i:])
	}
	return binary.LittleEndian.Uint64(b.Raw[i:])
}

// round4 rounds up to the 32-bit boundary that blocks and options are padded
// to.
func round4[T int | int64 | uint64](n T) T { return (n + 3) &^ 3 }
