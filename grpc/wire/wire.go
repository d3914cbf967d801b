// Package wire puts frames and verdicts into the messages of a session and takes
// them out again, without a structure and a piece of memory for each: a session
// has hundreds of thousands a second. The bytes are those that generated code
// writes (https://protobuf.dev/programming-guides/encoding/); whatever is not
// simply a batch of frames or of verdicts is left to that.
package wire

import (
	"encoding/binary"
	"errors"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of the fields of SessionRequest and SessionResponse, of FrameBatch and
// VerdictBatch.
const (
	fieldBatch protowire.Number = 2
	fieldItem  protowire.Number = 1
)

// maxVarint is the most bytes that a length takes.
const maxVarint = binary.MaxVarintLen64

// Raw is a message as it came, in memory that has to be freed.
type Raw struct{ mem.Buffer }

// Batch is a message in the making: a batch of frames, or one of verdicts. The
// zero value is an empty one. Once it was sent it may be used for the next.
type Batch struct {
	items []byte
	n     int
}

// Len returns how many frames or verdicts are in the batch.
func (b *Batch) Len() int { return b.n }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.items, b.n = b.items[:0], 0 }

// message returns the batch as a whole message.
func (b *Batch) message(pool mem.BufferPool) mem.Buffer {
	head := 1 + protowire.SizeVarint(uint64(len(b.items)))
	message := pool.Get(head + len(b.items))
	out := protowire.AppendTag((*message)[:0], fieldBatch, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(len(b.items)))
	copy((*message)[len(out):], b.items)
	return mem.NewBuffer(message, pool)
}

// add adds an item of which size is at least the length, and fill appends the
// fields.
func (b *Batch) add(fill func([]byte) []byte) {
	// The length comes first and is not known yet: most take one or two bytes.
	start := len(b.items)
	b.items = append(b.items, byte(fieldItem)<<3|byte(protowire.BytesType), 0, 0)
	const room = 2
	from := len(b.items)
	b.items = fill(b.items)
	size := len(b.items) - from
	var length [maxVarint]byte
	n := binary.PutUvarint(length[:], uint64(size))
	if n != room {
		b.items = append(b.items, length[:max(n-room, 0)]...) // grow
		copy(b.items[start+1+n:], b.items[from:from+size])
		b.items = b.items[:start+1+n+size]
	}
	copy(b.items[start+1:], length[:n])
	b.n++
}

// Codec is gRPC's usual one, but that it leaves Raw as it is, and writes a Batch
// itself.
type Codec struct{ encoding.CodecV2 }

// NewCodec returns a Codec.
func NewCodec() Codec { return Codec{encoding.GetCodecV2(grpcproto.Name)} }

// Marshal encodes a message. What it returns shares no memory with it.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	if batch, ok := v.(*Batch); ok {
		return mem.BufferSlice{batch.message(mem.DefaultBufferPool())}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal decodes a message.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if raw, ok := v.(*Raw); ok {
		raw.Buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
		return nil
	}
	return c.CodecV2.Unmarshal(data, v)
}

// errSyntax is what all that is no message is.
var errSyntax = errors.New("malformed message")

// batchOf returns the batch of a message that is nothing but one batch.
func batchOf(message []byte) (batch []byte, ok bool) {
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 || number != fieldBatch || kind != protowire.BytesType {
		return nil, false
	}
	batch, size := protowire.ConsumeBytes(message[n:])
	return batch, size >= 0 && n+size == len(message)
}

// consumeTag is protowire's, but that numbers of fields end where generated code
// has them end; n is negative for what is no tag.
func consumeTag(b []byte) (number protowire.Number, kind protowire.Type, n int) {
	number, kind, n = protowire.ConsumeTag(b)
	if number > protowire.MaxValidNumber {
		return 0, 0, -1
	}
	return number, kind, n
}

// each calls visit with each item of a batch.
func each(batch []byte, visit func(item []byte) error) error {
	return eachField(batch, func(number protowire.Number, kind protowire.Type, v value) error {
		if number != fieldItem || kind != protowire.BytesType {
			return nil
		}
		return visit(v.bytes)
	})
}

// value is a field: a number, or bytes.
type value struct {
	number uint64
	bytes  []byte
}

// eachField calls visit with each field of a message.
func eachField(message []byte, visit func(protowire.Number, protowire.Type, value) error) error {
	for len(message) > 0 {
		number, kind, n := consumeTag(message)
		if n < 0 {
			return errSyntax
		}
		message = message[n:]
		var v value
		switch kind {
		case protowire.VarintType:
			v.number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed64Type:
			v.number, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return errSyntax
		}
		if err := visit(number, kind, v); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
