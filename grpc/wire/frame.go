package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"ampulla/annotator/packet"
)

// Frame is a frame as a message holds it.
type Frame struct {
	Time     int64 // nanoseconds since 1970-01-01 UTC
	LinkType uint32
	Length   uint32 // bytes on the wire
	Data     []byte
}

// Numbers of the fields of Frame.
const (
	frameTime protowire.Number = iota + 1
	frameLinkType
	frameLength
	frameData
)

// AddFrame adds a frame to a batch of frames, and copies its data.
func (b *Batch) AddFrame(f *packet.Frame) {
	b.add(func(out []byte) []byte {
		if f.Time != 0 {
			out = protowire.AppendTag(out, frameTime, protowire.Fixed64Type)
			out = protowire.AppendFixed64(out, uint64(f.Time))
		}
		out = appendNumber(out, frameLinkType, uint64(f.LinkType))
		out = appendNumber(out, frameLength, uint64(f.Length))
		if len(f.Data) > 0 {
			out = protowire.AppendTag(out, frameData, protowire.BytesType)
			out = protowire.AppendBytes(out, f.Data)
		}
		return out
	})
}

func appendNumber(out []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return out
	}
	return protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), v)
}

// Frames calls visit with each frame of a SessionRequest, whose data points into
// the message. ok is false if that is not simply a batch of frames; nothing was
// visited then. Errors are those of visit, and of what is no message.
func Frames(message []byte, visit func(Frame) error) (ok bool, err error) {
	batch, ok := batchOf(message)
	if !ok {
		return false, nil
	}
	return true, each(batch, func(item []byte) error {
		var f Frame
		err := eachField(item, func(number protowire.Number, kind protowire.Type, v value) error {
			switch {
			case number == frameTime && kind == protowire.Fixed64Type:
				f.Time = int64(v.number)
			case number == frameLinkType && kind == protowire.VarintType:
				f.LinkType = uint32(v.number)
			case number == frameLength && kind == protowire.VarintType:
				f.Length = uint32(v.number)
			case number == frameData && kind == protowire.BytesType:
				f.Data = v.bytes
			}
			return nil
		})
		if err != nil {
			return err
		}
		return visit(f)
	})
}
