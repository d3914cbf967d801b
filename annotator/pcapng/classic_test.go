package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/packet"
)

// A classic pcap file as on the wire, little endian: header and one record of 5
// bytes.
const (
	classicLE = "d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000"
	recordLE  = "002f6859 40e20100 05000000 3c000000 0102030405"
)

// recorder makes classic pcap files of one variant in either byte order.
type recorder struct {
	order        binary.AppendByteOrder
	magic        uint32
	major, minor uint16
	linkType     uint32
	snapLen      uint32
	behindHeader int    // bytes
	behindRecord string // extra fields in hexadecimal, for little endian and big endian
	swapped      bool   // lengths
	fraction     uint32
}

func (c recorder) file(records int) []byte {
	b := c.order.AppendUint32(nil, c.magic)
	b = c.order.AppendUint16(b, c.major)
	b = c.order.AppendUint16(b, c.minor)
	b = append(b, make([]byte, 8)...)
	b = c.order.AppendUint32(b, c.snapLen)
	b = c.order.AppendUint32(b, c.linkType)
	b = append(b, make([]byte, c.behindHeader)...)
	for i := range records {
		b = c.order.AppendUint32(b, 1500000000+uint32(i))
		b = c.order.AppendUint32(b, c.fraction)
		captured, length := uint32(60), uint32(100)
		if c.swapped {
			captured, length = length, captured
		}
		b = c.order.AppendUint32(b, captured)
		b = c.order.AppendUint32(b, length)
		extra := unhex(c.behindRecord)
		if half := len(extra) / 2; c.order == binary.AppendByteOrder(binary.LittleEndian) {
			extra = extra[:half]
		} else {
			extra = extra[half:]
		}
		b = append(b, extra...)
		b = append(b, strings.Repeat("x", 59)...)
		b = append(b, byte(i))
	}
	return b
}

// variants are the classic files that Wireshark reads. Its 4.0 takes the
// nanoseconds of Ixia hardware for microseconds, later ones do not.
var variants = []struct {
	name string
	recorder
	want Block // of its packets: LinkType, Time of the first, Captured, Length
}{
	{"standard", recorder{magic: 0xa1b2c3d4, major: 2, minor: 4, linkType: 1, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"raw", recorder{magic: 0xa1b2c3d4, major: 2, minor: 4, linkType: 101, fraction: 123456},
		Block{LinkType: 101, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"version 3.0", recorder{magic: 0xa1b2c3d4, major: 3, minor: 0, linkType: 1, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"nanoseconds", recorder{magic: 0xa1b23c4d, major: 2, minor: 4, linkType: 1, fraction: 123456789},
		Block{LinkType: 1, Time: 1500000000123456789, Captured: 60, Length: 100}},
	{"frame check sequence", recorder{magic: 0xa1b2c3d4, major: 2, minor: 4, linkType: 0x24000001, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"version 2.2", recorder{magic: 0xa1b2c3d4, major: 2, minor: 2, linkType: 1, swapped: true, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"version 2.3", recorder{magic: 0xa1b2c3d4, major: 2, minor: 3, linkType: 1, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"version 2.3 of the older order", recorder{magic: 0xa1b2c3d4, major: 2, minor: 3, linkType: 1, swapped: true, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"DG/UX", recorder{magic: 0xa1b2c3d4, major: 543, minor: 0, linkType: 1, swapped: true, fraction: 123456},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"AIX Ethernet", recorder{magic: 0xa1b2c3d4, major: 2, minor: 2, linkType: 6, swapped: true, fraction: 123456789},
		Block{LinkType: 1, Time: 1500000000123456789, Captured: 60, Length: 100}},
	{"AIX token ring", recorder{magic: 0xa1b2c3d4, major: 2, minor: 2, linkType: 9, swapped: true, fraction: 123456789},
		Block{LinkType: 6, Time: 1500000000123456789, Captured: 60, Length: 100}},
	{"AIX FDDI", recorder{magic: 0xa1b2c3d4, major: 2, minor: 2, linkType: 15, swapped: true, fraction: 123456789},
		Block{LinkType: 10, Time: 1500000000123456789, Captured: 57, Length: 97}},
	{"AIX loopback", recorder{magic: 0xa1b2c3d4, major: 2, minor: 2, linkType: 24, swapped: true, fraction: 123456789},
		Block{LinkType: 0, Time: 1500000000123456789, Captured: 60, Length: 100}},
	{"ss990417", recorder{magic: 0xa1b2c3d4, major: 2, minor: 4, linkType: 1, fraction: 123456,
		behindRecord: "02000000 0008 00 00" + "00000002 0800 00 00"},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"ss991029", recorder{magic: 0xa1b2cd34, major: 2, minor: 4, linkType: 1, fraction: 123456,
		behindRecord: "02000000 0008 04 ff" + "00000002 0800 04 ff"},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"ss990915", recorder{magic: 0xa1b2cd34, major: 2, minor: 4, linkType: 1, fraction: 123456,
		behindRecord: "02000000 0008 00 0000 000000" + "00000002 0800 00 0000 000000"},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"Nokia", recorder{magic: 0xa1b2c3d4, major: 2, minor: 4, linkType: 1, fraction: 123456,
		behindRecord: "01b6bf9f" + "9fbfb601"},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"Ixia software", recorder{magic: 0x1c0001ab, major: 2, minor: 4, linkType: 1, fraction: 123456, behindHeader: 4},
		Block{LinkType: 1, Time: 1500000000123456000, Captured: 60, Length: 100}},
	{"Ixia hardware", recorder{magic: 0x1c0001ac, major: 2, minor: 4, linkType: 1, fraction: 123456789, behindHeader: 4},
		Block{LinkType: 1, Time: 1500000000123456789, Captured: 60, Length: 100}},
}

func TestClassicVariants(t *testing.T) {
	for _, tt := range variants {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, records := range []int{0, 1, 2, 5} {
				tt.order, tt.snapLen = order, 65535
				blocks, err := readAll(tt.file(records))
				if err != nil {
					t.Errorf("%s, %v: %v", tt.name, order, err)
					continue
				}
				got := frames(blocks)
				if len(got) != records {
					t.Errorf("%s, %v: %d frames, want %d", tt.name, order, len(got), records)
				}
				for i, f := range got {
					want := frame{1, 0, packet.Frame{Time: tt.want.Time + int64(i)*1e9, LinkType: tt.want.LinkType, Length: tt.want.Length,
						Data: append(bytes.Repeat([]byte("x"), int(tt.want.Captured)-1), byte(i))}, tt.want.Captured}
					if diff := cmp.Diff(want, f); diff != "" {
						t.Errorf("%s, %v, frame %d (-want +got):\n%s", tt.name, order, i+1, diff)
					}
				}
			}
		}
	}
}

// TestClassicConversion shows the blocks that a file becomes.
func TestClassicConversion(t *testing.T) {
	tests := []struct {
		name   string
		in     []byte
		want   []byte
		places []int64 // of the blocks
	}{
		{"microseconds", unhex(classicLE, recordLE), unhex(
			sectionLE,
			"01000000 20000000 01000000 00000400 09000100 06000000 00000000 20000000",
			"06000000 28000000 00000000 3d540500 40a22bf7 05000000 3c000000 0102030405000000 28000000",
		), []int64{0, 0, 24}},
		{"nanoseconds, frame check sequence of 32 bits", unhex("a1b23c4d 0002 0004 00000000 00000000 00040000 24000071"), unhex(
			sectionLE,
			"01000000 28000000 71000000 00000400 09000100 09000000 0d000100 20000000 00000000 28000000",
		), []int64{0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blocks := mustReadAll(t, tt.in)
			if diff := cmp.Diff(tt.want, raw(blocks)); diff != "" {
				t.Errorf("blocks (-want +got):\n%s", diff)
			}
			again := mustReadAll(t, raw(blocks))
			if diff := cmp.Diff(frames(blocks), frames(again)); diff != "" {
				t.Errorf("frames of the conversion differ (-first +again):\n%s", diff)
			}
			for i, want := range tt.places {
				if b := blocks[i]; b.Offset != want || b.Index != uint64(i+1) {
					t.Errorf("block %d at %d, want %d at %d", b.Index, b.Offset, i+1, want)
				}
			}
		})
	}
}

func TestClassicErrors(t *testing.T) {
	header := unhex(classicLE)
	aix := unhex("d4c3b2a1 0200 0200 00000000 00000000 00000400 0f000000")
	tests := []struct {
		name string
		in   []byte
		want string
		kind error
	}{
		{"header cut", header[:20], "block 1 at offset 0: truncated after 20 of at least 24 bytes", ErrTruncated},
		{"Ixia header cut", unhex("ab01001c", classicLE[9:]), "block 1 at offset 0: truncated after 24 of at least 28 bytes", ErrTruncated},
		{"version 1", unhex("d4c3b2a1 0100 0400", classicLE[19:]), "block 1 at offset 0: version 1.4 of pcap is unknown", ErrMalformed},
		{"reserved bits", join(header[:20], unhex("01000100")), "block 1 at offset 0: reserved bits of link type 0x00010001 are set", ErrMalformed},
		{"record header cut", join(header, unhex(recordLE)[:15]), "block 3 at offset 24: truncated after 15 of at least 16 bytes", ErrTruncated},
		{"record cut", join(header, unhex(recordLE)[:18]), "block 3 at offset 24: truncated after 18 of 21 bytes", ErrTruncated},
		{"second record cut", join(header, unhex(recordLE, recordLE)[:40]), "block 4 at offset 45: truncated after 19 of 21 bytes", ErrTruncated},
		{"packet too large", join(header, unhex("00000000 00000000 01000400 01000400")), "block 3 at offset 24: packet of 262145 bytes exceeds 262144", ErrMalformed},
		{"AIX FDDI packet without padding", join(aix, unhex("00000000 00000000 02000000 02000000 0000")),
			"block 3 at offset 24: packet of 2 bytes is shorter than its padding", ErrMalformed},
		{"AIX FDDI packet cut in its padding", join(aix, unhex("00000000 00000000 05000000 05000000 0000")),
			"block 3 at offset 24: truncated after 18 of 21 bytes", ErrTruncated},
		{"AIX FDDI packet cut", join(aix, unhex("00000000 00000000 05000000 05000000 00000000")),
			"block 3 at offset 24: truncated after 20 of 21 bytes", ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readAll(tt.in)
			if err == nil {
				t.Fatal("no error")
			}
			if want := "pcapng: " + tt.want; err.Error() != want || !errors.Is(err, tt.kind) {
				t.Errorf("error %q, want %q", err, want)
			}
		})
	}
}

// TestClassicCutAnywhere cuts a file at each offset. Zeros look most like the
// extra fields of a variant.
func TestClassicCutAnywhere(t *testing.T) {
	record := join(unhex("002f6859 40e20100 20000000 20000000"), make([]byte, 32))
	in := join(unhex(classicLE), record, record, record)
	for n := range in {
		records := max(0, n-classicHeader) / len(record)
		blocks, err := readAll(in[:n])
		if got := len(frames(blocks)); got != records {
			t.Errorf("cut at %d: %d frames, want %d", n, got, records)
		}
		if n >= classicHeader && (n-classicHeader)%len(record) == 0 {
			if err != nil {
				t.Errorf("cut at %d, between records: %v", n, err)
			}
			continue
		}
		block, offset := uint64(1), int64(0)
		if n >= classicHeader {
			block, offset = uint64(records+3), int64(classicHeader+records*len(record))
		}
		var broken *Error
		if !errors.As(err, &broken) || !errors.Is(err, ErrTruncated) || broken.Block != block || broken.Offset != offset {
			t.Errorf("cut at %d: error %v, want block %d at offset %d", n, err, block, offset)
		}
	}
}

// TestClassicBigPackets makes sure that the limit follows the link type, as in
// Wireshark.
func TestClassicBigPackets(t *testing.T) {
	for linkType, want := range map[byte]error{1: ErrMalformed, linkDBus: nil, linkUSBPcap: nil} {
		in := join(unhex(classicLE)[:20], []byte{linkType, 0, 0, 0}, unhex("00000000 00000000 01000400 01000400"), make([]byte, 0x40001))
		if blocks, err := readAll(in); !errors.Is(err, want) || err == nil && len(blocks) != 3 {
			t.Errorf("link type %d: %d blocks, error %v, want %v", linkType, len(blocks), err, want)
		}
	}
}
