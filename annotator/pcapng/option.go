package pcapng

import (
	"bytes"
	"errors"
	"fmt"
)

// Options common to all blocks (draft-ietf-opsawg-pcapng, section 3.5).
const (
	OptEnd     = 0
	OptComment = 1
)

// MaxComment is the longest comment that an option can hold, in bytes.
const MaxComment = 1<<16 - 1

// EndMark ends a comment that [Block.AppendEdited] put in front of a lone
// opt_endofopt which was in the block before; without it, that option is taken
// away together with the comment.
const EndMark = " end=1"

// ErrNoOptions means that a block has no options, such as a Simple Packet
// Block, or none that can be found, such as a custom block.
var ErrNoOptions = errors.New("block has no options")

// Option is one option of a block. Value points into the block.
type Option struct {
	Code   uint16
	Value  []byte // without padding
	Offset int    // of the option's first byte in [Block.Raw]
}

// Options iterates over the options of a block.
type Options struct {
	block *Block
	next  int
}

// Options returns an iterator over the options of a section header, interface
// description or packet up to the first opt_endofopt; other blocks have none.
func (b *Block) Options() Options { return Options{b, b.options} }

// Next returns the next option; ok is false behind the last one.
func (o *Options) Next() (option Option, ok bool) {
	b := o.block
	if !b.hasRoom(o.next) {
		return Option{}, false
	}
	option = Option{Code: b.u16(o.next), Offset: o.next}
	if option.Code == OptEnd {
		return Option{}, false
	}
	n := int(b.u16(o.next + 2))
	option.Value = b.Raw[o.next+4 : o.next+4+n]
	o.next += 4 + round4(n)
	return option, true
}

// checkOptions makes sure that all options lie within the block, the way
// Wireshark does: what follows opt_endofopt is not looked at.
func (b *Block) checkOptions() error {
	end := len(b.Raw) - tailLen
	for i := b.options; i < end; {
		// Blocks and options are multiples of 4, so there is room for a header.
		code, n := b.u16(i), int(b.u16(i+2))
		if round4(n) > end-i-4 {
			return malformedf("option length %d exceeds block", n)
		}
		if code == OptEnd {
			return nil
		}
		i += 4 + round4(n)
	}
	return nil
}

// Bare tells that the block carries no option, as most do.
func (b *Block) Bare() bool { return !b.hasRoom(b.options) }

// hasRoom tells whether an option may begin at an offset in b.Raw.
func (b *Block) hasRoom(at int) bool { return b.options != 0 && at+4 <= len(b.Raw)-tailLen }

// HasOptions tells whether the block can carry a comment.
func (b *Block) HasOptions() bool { return b.options != 0 }

// AppendEdited appends the block to dst without the comments for which drop
// returns true, and with the comment add behind all other options. All other
// bytes stay as they are, except the two length fields. A nil drop keeps all
// comments and an empty add adds none. It returns how many were dropped.
//
// Adding a comment and dropping it again gives the block back bit for bit. To
// that end add may come to lie in the block with EndMark behind it; drop gets
// to see it like that. It fails with ErrNoOptions where [Block.HasOptions] is
// false, and if add ends with EndMark or is longer than MaxComment less that.
func (b *Block) AppendEdited(dst []byte, drop func(comment []byte) bool, add []byte) (out []byte, dropped int, err error) {
	if b.options == 0 {
		return dst, 0, ErrNoOptions
	}
	if bytes.HasSuffix(add, []byte(EndMark)) {
		return dst, 0, fmt.Errorf("comment ends with %q", EndMark)
	}
	if len(add) > MaxComment-len(EndMark) {
		return dst, 0, fmt.Errorf("comment of %d bytes exceeds %d", len(add), MaxComment-len(EndMark))
	}
	start := len(dst)
	dst = append(dst, b.Raw[:b.options]...)
	kept := b.options // what follows in Raw has still to be copied
	marked := false   // a dropped comment asks for opt_endofopt to stay
	options := b.Options()
	for {
		o, ok := options.Next()
		if !ok {
			break
		}
		if drop == nil || o.Code != OptComment || !drop(o.Value) {
			continue
		}
		dst = append(dst, b.Raw[kept:o.Offset]...)
		kept = options.next
		dropped++
		marked = marked || bytes.HasSuffix(o.Value, []byte(EndMark))
	}
	end := options.next // of the last option
	dst = append(dst, b.Raw[kept:end]...)

	rest := b.Raw[end : len(b.Raw)-tailLen] // opt_endofopt, if there is one, and what follows it
	empty := len(dst) == start+b.options
	if dropped > 0 && empty && !marked && isBareEnd(rest) {
		rest = nil // it came with the comment
	}
	if len(add) > 0 {
		mark := ""
		if empty && isBareEnd(rest) {
			mark = EndMark
		}
		dst = b.appendComment(dst, add, mark)
		if empty && len(rest) == 0 {
			dst = append(dst, 0, 0, 0, 0)
		}
	}
	dst = append(dst, rest...)
	dst = append(dst, b.Raw[len(b.Raw)-tailLen:]...)
	b.setLengths(dst[start:])
	return dst, dropped, nil
}

func (b *Block) appendComment(dst, text []byte, mark string) []byte {
	n := len(text) + len(mark)
	dst = b.order().AppendUint16(dst, OptComment)
	dst = b.order().AppendUint16(dst, uint16(n))
	dst = append(dst, text...)
	dst = append(dst, mark...)
	return append(dst, "\x00\x00\x00"[:round4(n)-n]...)
}

// setLengths adds to both length fields of an edited copy of b what it grew
// by. They are not simply set, as they need not be multiples of four.
func (b *Block) setLengths(edited []byte) {
	grown := uint32(len(edited) - len(b.Raw))
	tail := len(b.Raw) - tailLen
	b.order().PutUint32(edited[4:], b.u32(4)+grown)
	b.order().PutUint32(edited[len(edited)-tailLen:], b.u32(tail)+grown)
}

// isBareEnd tells whether options consist of nothing but opt_endofopt.
func isBareEnd(options []byte) bool { return string(options) == "\x00\x00\x00\x00" }
