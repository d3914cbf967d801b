package transaction

import (
	"cmp"
	"strconv"
	"strings"
)

// Frame types and flags of HTTP/2 (RFC 9113, section 6).
const (
	h2Data         = 0
	h2Headers      = 1
	h2Reset        = 3
	h2Continuation = 9

	h2EndStream  = 0x1
	h2EndHeaders = 0x4

	h2NoError = 0
	h2Cancel  = 8
)

// http2 takes in a segment in which HTTP/2 frames end. tshark prints type,
// stream, flags and length of each frame, and the fields of all header blocks
// in a row: [blocks] takes them apart.
func (t *Tracker) http2(c *connection, r *row, fromClient bool) {
	types, streams := r.values(colH2Type), r.values(colH2Stream)
	flags, lengths := r.values(colH2Flags), r.values(colH2Length)
	if len(streams) != len(types) || len(flags) != len(types) || len(lengths) != len(types) {
		return // malformed
	}
	sections := t.blocks(r)
	resets := r.values(colH2Reset)
	for i := range types {
		f := h2Frame{
			kind: number(types[i]), stream: uint32(number(streams[i])),
			flags: number(flags[i]), length: int64(number(lengths[i])),
		}
		switch f.kind {
		case h2Headers, h2Continuation:
			if f.flags&h2EndHeaders != 0 && len(sections) > 0 {
				f.headers, sections = sections[0], sections[1:]
			}
			fromClient = t.h2HeaderFrame(c, r, f, fromClient)
		case h2Data:
			t.h2Body(c, r, f, fromClient)
		case h2Reset:
			code := uint64(h2NoError)
			if len(resets) > 0 {
				code, resets = number(resets[0]), resets[1:]
			}
			t.h2Reset(c, r, f, code, fromClient)
		}
	}
}

// h2Frame is one frame.
type h2Frame struct {
	kind    uint64
	stream  uint32
	flags   uint64
	length  int64
	headers Headers // of a frame that ends a header block
}

// blocks takes the header fields of a row apart. Pseudo-header fields stand at
// the beginning of a block, each once (RFC 9113, section 8.3), so a block begins
// where one follows an ordinary field or repeats. Trailers, which have none,
// count to the block before them.
func (t *Tracker) blocks(r *row) []Headers {
	names, values := r.values(colH2Name), r.values(colH2Value)
	var all []Headers
	var last Headers
	for i := range min(len(names), len(values)) {
		pseudo := strings.HasPrefix(names[i], ":")
		if pseudo && len(last) > 0 && (!strings.HasPrefix(last[len(last)-1].Name, ":") || last.Has(names[i])) {
			all, last = append(all, last), nil
		}
		last = t.appendHeader(last, names[i], values[i])
	}
	if last != nil {
		all = append(all, last)
	}
	return all
}

// h2HeaderFrame takes in a frame of a header block; it returns whether the
// client sent it, which may differ from what was guessed.
func (t *Tracker) h2HeaderFrame(c *connection, r *row, f h2Frame, fromClient bool) bool {
	if method := f.headers.Get(":method"); method != "" {
		if !fromClient {
			c.Client, c.Server, fromClient = c.Server, c.Client, true
		}
		t.h2Request(c, r, f, method)
		return fromClient
	}
	x := c.streams[f.stream]
	if x == nil {
		return fromClient
	}
	if status, _ := strconv.Atoi(f.headers.Get(":status")); !fromClient && status >= 200 && x.FirstByte == 0 {
		x.Status, x.FirstByte, x.ResponseFrame = status, r.time, r.frame
		x.Response = f.headers
	}
	t.h2Body(c, r, f, fromClient)
	return fromClient
}

func (t *Tracker) h2Request(c *connection, r *row, f h2Frame, method string) {
	if len(c.streams) >= t.cfg.Pending {
		return
	}
	x := t.newExchange(c, r)
	x.Version, x.Stream, x.Method = "2", f.stream, method
	x.Path, x.Request = f.headers.Get(":path"), f.headers
	x.Host = t.host(c, cmp.Or(f.headers.Get(":authority"), f.headers.Get("host")), x.Secure)
	x.RequestBytes = f.length
	if c.streams == nil {
		c.streams = map[uint32]*Exchange{}
	}
	c.streams[f.stream] = x
}

// h2Body counts a frame to its exchange, and ends it with the answer's last.
func (t *Tracker) h2Body(c *connection, r *row, f h2Frame, fromClient bool) {
	x := c.streams[f.stream]
	switch {
	case x == nil:
	case fromClient:
		x.Sent, x.RequestBytes = r.time, x.RequestBytes+f.length
	default:
		x.End, x.LastFrame, x.ResponseBytes = r.time, r.frame, x.ResponseBytes+f.length
		if f.flags&h2EndStream != 0 && x.FirstByte != 0 {
			x.Outcome = Answered
			delete(c.streams, f.stream)
			t.exchange(x)
		}
	}
}

func (t *Tracker) h2Reset(c *connection, r *row, f h2Frame, code uint64, fromClient bool) {
	x := c.streams[f.stream]
	if x == nil {
		return
	}
	x.Outcome = Reset
	switch {
	case fromClient:
		x.Outcome = GivenUp
	case code == h2NoError && x.FirstByte != 0:
		x.Outcome = Answered // it needs no more of the request
	}
	x.End, x.LastFrame = r.time, r.frame
	delete(c.streams, f.stream)
	t.exchange(x)
}
