package pcapng

import (
	"encoding/binary"
	"math/bits"
)

// Options of an Interface Statistics Block (draft-ietf-opsawg-pcapng, section
// 4.6).
const (
	optReceived  = 4 // isb_ifrecv
	optDropped   = 5 // isb_ifdrop
	optDelivered = 8 // isb_usrdeliv
)

// statisticsLen is the length of the fixed fields of the block.
const statisticsLen = 20

// Statistics is an Interface Statistics Block in the making.
type Statistics struct {
	Time      int64  // when it was taken, nanoseconds since 1970-01-01 UTC
	Received  uint64 // frames that came from the interface
	Delivered uint64 // of these, those that were passed on
	Comment   string // up to MaxComment bytes
}

// AppendStatistics appends to dst a statistics block for the first interface of
// the section that is being read, in its byte order and units of time. It may
// stand between any two blocks read so far and to come. ok is false, and dst
// unchanged, while the section has no interface.
func (r *Reader) AppendStatistics(dst []byte, s Statistics) (out []byte, ok bool) {
	if len(r.section.interfaces) == 0 {
		return dst, false
	}
	b := Block{BigEndian: r.section.bigEndian}
	stamp := r.section.interfaces[0].stamp(s.Time)
	start := len(dst)
	dst = b.order().AppendUint32(dst, TypeStatistics)
	dst = b.order().AppendUint32(dst, 0) // length, below
	dst = b.order().AppendUint32(dst, 0) // interface
	dst = b.order().AppendUint32(dst, uint32(stamp>>32))
	dst = b.order().AppendUint32(dst, uint32(stamp))
	if s.Comment != "" {
		dst = b.appendComment(dst, []byte(s.Comment[:min(len(s.Comment), MaxComment)]), "")
	}
	dst = appendCount(dst, b.order(), optReceived, s.Received)
	dst = appendCount(dst, b.order(), optDelivered, s.Delivered)
	dst = append(dst, 0, 0, 0, 0) // opt_endofopt
	length := uint32(len(dst) - start + tailLen)
	b.order().PutUint32(dst[start+4:], length)
	return b.order().AppendUint32(dst, length), true
}

// Dropped returns how many frames of an interface of the section were lost since
// the capture began, as nobody took them in time; ok is false unless b is a
// statistics block that says so.
func (b *Block) Dropped() (netif uint32, frames uint64, ok bool) {
	if b.Type != TypeStatistics || len(b.Raw) < statisticsLen+tailLen {
		return 0, 0, false
	}
	with := Block{Raw: b.Raw, BigEndian: b.BigEndian, options: statisticsLen}
	if with.checkOptions() != nil {
		return 0, 0, false
	}
	for options := with.Options(); ; {
		o, more := options.Next()
		if !more {
			return 0, 0, false
		}
		if o.Code == optDropped && len(o.Value) == 8 {
			return b.u32(8), b.order().Uint64(o.Value), true
		}
	}
}

func appendCount(dst []byte, order binary.AppendByteOrder, code uint16, count uint64) []byte {
	dst = order.AppendUint16(dst, code)
	dst = order.AppendUint16(dst, 8)
	return order.AppendUint64(dst, count)
}

// stamp is the reverse of nanoseconds: the time stamp of the interface at or
// before a time, 0 for times that it cannot express.
func (n *netif) stamp(time int64) uint64 {
	seconds, nanos := time/1_000_000_000, time%1_000_000_000
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1_000_000_000
	}
	if seconds -= n.offset; seconds < 0 || n.units == 0 {
		return 0
	}
	hi, whole := bits.Mul64(uint64(seconds), n.units)
	if hi != 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(nanos), n.units) // nanos < 1e9, so hi < 1e9
	fraction, _ := bits.Div64(hi, lo, 1_000_000_000)
	if stamp, carry := bits.Add64(whole, fraction, 0); carry == 0 {
		return stamp
	}
	return 0
}
