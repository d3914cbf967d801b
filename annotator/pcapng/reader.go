// Package pcapng reads captures block by block without losing a bit, and puts
// comments into blocks and takes them out again (draft-ietf-opsawg-pcapng).
//
// A [Reader] yields the blocks of a pcapng file of either byte order as they
// are. Classic pcap files, in all variants that Wireshark knows, become pcapng
// blocks while they are read, and gzip and zstd are undone, so that nothing
// behind the Reader has to know about them.
package pcapng

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// DefaultMaxBlock is the largest block that Wireshark reads: the largest packet
// plus room for options, in bytes.
const DefaultMaxBlock = 128<<20 + 128<<10

// bufferLen is the size of the read buffer, in bytes; memory for a block is
// taken in steps of it as its bytes arrive.
const bufferLen = 256 << 10

// Reader reads the blocks of one capture. It is not safe for concurrent use.
type Reader struct {
	// MaxBlock is the largest block accepted, in bytes. NewReader sets it to
	// DefaultMaxBlock; it may be changed before the first block is read.
	MaxBlock int

	buffer  int // size of the read buffers, bytes
	source  source
	br      *bufio.Reader // decompressed; nil before the first Read
	classic *classic      // nil unless the input is a classic pcap
	section section
	index   uint64 // of the block to read next, from 1
	offset  int64  // of the block to read next
	next    int64  // of the block behind that one, as far as it is known
	block   Block  // what Next returns
	err     error  // sticky
}

// NewReader returns a Reader of r. Nothing is read before the first block is
// asked for.
func NewReader(r io.Reader) *Reader {
	return &Reader{MaxBlock: DefaultMaxBlock, buffer: bufferLen, source: source{r: r}, index: 1}
}

// Next returns the next block, which is valid until the next call. Its errors
// are those of [Reader.Read].
func (r *Reader) Next() (*Block, error) {
	if err := r.Read(&r.block); err != nil {
		return nil, err
	}
	return &r.block, nil
}

// Read reads the next block into b, whose buffer it reuses. It returns io.EOF
// behind the last block and an [*Error] when the input breaks; b is then
// empty, and all further calls return the same error.
func (r *Reader) Read(b *Block) error {
	if r.err == nil {
		if err := r.read(b); err != nil {
			r.err = r.locate(err)
		}
	}
	if r.err != nil {
		*b = Block{Raw: b.Raw[:0]}
		return r.err
	}
	r.index++
	r.offset = r.next
	return nil
}

// Buffered returns how many bytes can be read without waiting for the input.
func (r *Reader) Buffered() int {
	if r.br == nil {
		return 0
	}
	return r.br.Buffered()
}

func (r *Reader) read(b *Block) error {
	if r.br == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	b.Index, b.Offset = r.index, r.offset
	if r.classic != nil {
		if err := r.classic.read(r, b); err != nil {
			return err
		}
	} else if err := r.readBlock(b); err != nil {
		return err
	}
	return r.section.parse(b)
}

// open finds out what the input is.
func (r *Reader) open() error {
	br, err := decompress(bufio.NewReaderSize(&r.source, r.buffer))
	if err != nil {
		return err
	}
	r.br = br
	head, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	magic := make([]byte, 4)
	copy(magic, head)
	if binary.BigEndian.Uint32(magic) == TypeSection {
		return nil
	}
	if r.classic = newClassic(binary.LittleEndian.Uint32(magic)); r.classic != nil {
		return nil
	}
	switch {
	case len(head) == 0:
		return truncated("input is empty")
	case len(head) < 4 && startsMagic(head):
		return truncatedf("truncated after %d of 4 bytes", len(head))
	}
	return unknownFormat(fmt.Sprintf("not a pcap or pcapng capture (begins with % x)", head))
}

// startsMagic tells whether head is the beginning of a capture's magic number.
func startsMagic(head []byte) bool {
	known := []string{"\x0a\x0d\x0d\x0a"}
	for _, k := range classicKinds {
		known = append(known, string(binary.LittleEndian.AppendUint32(nil, k.magic)),
			string(binary.BigEndian.AppendUint32(nil, k.magic)))
	}
	return slices.ContainsFunc(known, func(magic string) bool { return magic[:len(head)] == string(head) })
}

// readBlock reads one pcapng block into b.Raw and checks its frame: type and
// both lengths. As in Wireshark, lengths that are no multiple of four stand for
// the next one, since some programs leave the padding out.
func (r *Reader) readBlock(b *Block) error {
	head, err := r.br.Peek(headLen)
	if err != nil {
		return cut(err, len(head), headLen)
	}
	if binary.BigEndian.Uint32(head) == TypeSection {
		if head, err = r.br.Peek(headLen + 4); err != nil {
			return cut(err, len(head), headLen+4)
		}
		switch byteOrderMagic {
		case binary.LittleEndian.Uint32(head[headLen:]):
			r.section.bigEndian = false
		case binary.BigEndian.Uint32(head[headLen:]):
			r.section.bigEndian = true
		default:
			return malformedf("unknown byte order magic %x", head[headLen:])
		}
	}
	b.BigEndian = r.section.bigEndian
	b.Raw = append(b.Raw[:0], head...)
	b.Type = b.u32(0)
	length := b.u32(4)
	total := round4(uint64(length))
	if total < minBlockLen {
		return malformedf("block length %d is less than %d", length, minBlockLen)
	}
	if total > uint64(max(r.MaxBlock, 0)) {
		return malformedf("block length %d exceeds %d", length, r.MaxBlock)
	}
	b.Raw = b.Raw[:0]
	if b.Raw, err = fill(r.br, b.Raw, int(total)); err != nil {
		return err
	}
	r.next = r.offset + int64(total)
	if last := b.u32(len(b.Raw) - tailLen); round4(uint64(last)) != total {
		return malformedf("block lengths %d and %d differ", length, last)
	}
	return nil
}

// fill reads bytes until buf holds n. Memory grows with what has arrived, not
// with what was promised.
func fill(br *bufio.Reader, buf []byte, n int) ([]byte, error) {
	if missing := n - len(buf); missing <= br.Buffered() { // as mostly
		arrived, _ := br.Peek(missing) // they are there
		buf = append(buf, arrived...)
		_, err := br.Discard(missing)
		return buf, err
	}
	for len(buf) < n {
		have := len(buf)
		step := min(n-have, max(have, bufferLen))
		buf = slices.Grow(buf, step)[:have+step]
		got, err := io.ReadFull(br, buf[have:])
		if err != nil {
			buf = buf[:have+got]
			if err == io.ErrUnexpectedEOF || err == io.EOF {
				err = truncatedf("truncated after %d of %d bytes", len(buf), n)
			}
			return buf, err
		}
	}
	return buf, nil
}

// cut turns an io.EOF met after got of want bytes into a truncation, except
// at the very beginning of a block, where it is the end of the input.
func cut(err error, got, want int) error {
	if err == io.EOF && got > 0 {
		return truncatedf("truncated after %d of at least %d bytes", got, want)
	}
	return err
}

// locate makes an error of the block being read from its cause.
func (r *Reader) locate(err error) error {
	if err == io.EOF {
		return err
	}
	e := &Error{Block: r.index, Offset: r.offset, Kind: kindOf(err), Err: err}
	if e.Kind == ErrFormat {
		e.Block = 0
	}
	if r.source.err != nil && !errors.Is(r.source.err, io.EOF) {
		e.Kind, e.Err = nil, r.source.err
	}
	return e
}

// source remembers why reading failed: decompressors do not always pass the
// cause on.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.err = err
	}
	return n, err
}
