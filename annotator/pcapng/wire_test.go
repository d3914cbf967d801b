package pcapng

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

// Blocks as on the wire, little endian; le is a capture of one interface and one
// packet of 5 bytes without options.
const (
	sectionLE = "0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000"
	netifLE   = "01000000 14000000 01000000 00000400 14000000"
	packetLE  = "06000000 28000000 00000000 55060500 80969800 05000000 3c000000 0102030405000000 28000000"
	simpleLE  = "03000000 18000000 05000000 0102030405000000 18000000"
	oldLE     = "02000000 28000000 0000ffff 55060500 80969800 05000000 3c000000 0102030405000000 28000000"
)

// The same, big endian.
const (
	sectionBE = "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"
	netifBE   = "00000001 00000014 0001 0000 00040000 00000014"
	packetBE  = "00000006 00000028 00000000 00050655 00989680 00000005 0000003c 0102030405000000 00000028"
	simpleBE  = "00000003 00000018 00000005 0102030405000000 00000018"
	oldBE     = "00000002 00000028 0000 ffff 00050655 00989680 00000005 0000003c 0102030405000000 00000028"
)

// stamp is the time in the packets above: 0x0005065500989680 microseconds.
const stamp = 0x0005065500989680 * 1000

// unhex decodes hexadecimal rows, ignoring white space.
func unhex(rows ...string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(strings.Join(rows, "")), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// wire makes blocks of either byte order.
type wire struct{ binary.AppendByteOrder }

var (
	little = wire{binary.LittleEndian}
	bigEnd = wire{binary.BigEndian}
)

// block makes a block around a body, which is padded.
func (w wire) block(blockType uint32, body ...[]byte) []byte {
	content := bytes.Join(body, nil)
	total := uint32(12 + round4(len(content)))
	b := w.AppendUint32(nil, blockType)
	b = w.AppendUint32(b, total)
	b = append(b, content...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return w.AppendUint32(b, total)
}

func (w wire) option(code int, value string) []byte {
	b := w.AppendUint16(nil, uint16(code))
	b = w.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// end is opt_endofopt.
var end = make([]byte, 4)

func (w wire) section(length int64, options ...[]byte) []byte {
	b := w.AppendUint32(nil, byteOrderMagic)
	b = w.AppendUint16(b, 1)
	b = w.AppendUint16(b, 0)
	b = w.AppendUint64(b, uint64(length))
	return w.block(TypeSection, append([][]byte{b}, options...)...)
}

func (w wire) netif(linkType uint16, snapLen uint32, options ...[]byte) []byte {
	b := w.AppendUint16(nil, linkType)
	b = w.AppendUint16(b, 0)
	b = w.AppendUint32(b, snapLen)
	return w.block(TypeInterface, append([][]byte{b}, options...)...)
}

func (w wire) packet(netif uint32, stamp uint64, data string, options ...[]byte) []byte {
	b := w.AppendUint32(nil, netif)
	b = w.AppendUint32(b, uint32(stamp>>32))
	b = w.AppendUint32(b, uint32(stamp))
	b = w.AppendUint32(b, uint32(len(data)))
	b = w.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return w.block(TypeEnhancedPacket, append([][]byte{b}, options...)...)
}

func (w wire) simple(length uint32, data string) []byte {
	return w.block(TypeSimplePacket, w.AppendUint32(nil, length), []byte(data))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// readAll returns all blocks of a capture, and the error that ended it unless
// that is io.EOF.
func readAll(in []byte) (blocks []Block, err error) {
	r := NewReader(bytes.NewReader(in))
	r.buffer = smallBuffer
	for {
		var b Block
		if err := r.Read(&b); errors.Is(err, io.EOF) {
			return blocks, nil
		} else if err != nil {
			return blocks, err
		}
		blocks = append(blocks, b)
	}
}

func mustReadAll(t testing.TB, in []byte) []Block {
	t.Helper()
	blocks, err := readAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// raw puts blocks together again.
func raw(blocks []Block) []byte {
	var b []byte
	for i := range blocks {
		b = append(b, blocks[i].Raw...)
	}
	return b
}
