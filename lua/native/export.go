//go:build cgo

package main

// #cgo LDFLAGS: -lm
// #include <stddef.h>
// #include "shim.h"
// enum { offset_of_noted = offsetof(struct row, noted) };
import "C"

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"ampulla/annotator/packet"
	"ampulla/grpc/client"
)

// What the shim reads of Go's has the same shape on both sides.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(cells{})-C.sizeof_struct_table]
	_ = [1]struct{}{}[unsafe.Offsetof(row{}.noted)-C.offset_of_noted]
	_ = [1]struct{}{}[packet.SnapLen-C.SNAP]
)

// current is the capture that Wireshark's one thread has open, nil for none.
// The functions below are called from that thread only.
var current *capture

// maxAhead is how many frames of a file are read before anybody asks for them.
const maxAhead = 1 << 20

// goOpen begins another capture; nothing is opened yet. It returns whether this
// is tshark, in which nobody begins to look in the middle.
//
//export goOpen
func goOpen(o *C.struct_options, table **C.struct_table) (tshark C.int) {
	defer survive(nil)
	goClose()
	var err error
	current, err = newCapture(config{
		dial: client.Config{
			Address: C.GoString(o.address), Program: C.GoString(o.program), StartTimeout: openTimeout,
		},
		client:   C.GoString(o.client),
		patience: time.Duration(o.patience_ms) * time.Millisecond,
		ahead:    uint64(o.ahead) * maxAhead,
		eager:    o.eager != 0,
		notes:    o.notes != 0,
		terse:    o.terse != 0,
		retry:    5 * time.Second,
	})
	if err != nil {
		current = nil
		return 0
	}
	*table = current.shared()
	if program, err := os.Executable(); err == nil && strings.HasPrefix(filepath.Base(program), "tshark") {
		return 1
	}
	return 0
}

// shared returns the table as the shim sees it.
func (c *capture) shared() *C.struct_table { return (*C.struct_table)(unsafe.Pointer(c.cells)) }

// goPass is capture.pass.
//
//export goPass
func goPass(number C.double) (known C.int) {
	defer survive(nil)
	if current != nil && current.pass(whole(float64(number))) {
		return 1
	}
	return 0
}

// goFrame is capture.shown.
//
//export goFrame
func goFrame(s *C.struct_shot, r *C.struct_reply, table **C.struct_table) {
	defer survive(r)
	r.answer = C.ANSWER_NOTHING
	if current == nil {
		return
	}
	defer func() { *table = current.shared() }() // it may be another one now
	what := current.shown(&shot{
		number: whole(float64(s.number)), visited: s.visited != 0, look: s.look != 0,
		time: float64(s.time), caught: uint32(whole(float64(s.caught))),
		data:  C.GoBytes(unsafe.Pointer(s.data), min(s.data_len, packet.SnapLen)),
		exact: s.exact != 0, length: uint32(whole(float64(s.length))), nanos: nanoseconds(float64(s.secs), float64(s.nsecs)), encap: int(s.encap),
	})
	r.answer = C.int(what.answer)
	r.position, r.score = C.uint64_t(what.position), C.double(what.score)
	switch what.answer {
	case noted:
		r.len[0] = C.int(put(r, 0, what.note, maxNote))
	case wrong:
		r.len[0] = C.int(put(r, 0, inWords(what.err), maxText))
	}
}

// goVerdict fills in the verdict of r.position.
//
//export goVerdict
func goVerdict(r *C.struct_reply) {
	defer survive(r)
	if current == nil {
		return
	}
	v, last := current.verdict(uint64(r.position))
	r.confidence, r.flow = C.double(v.Confidence), C.double(v.Flow)
	r.incident, r.first, r.last = C.double(v.Incident), C.double(v.IncidentFirst), C.double(last)
	at := 0
	for i, text := range [...]string{v.Class, string(v.Level), string(v.Type), v.Reason, v.CommunityID, v.Model} {
		n := put(r, at, text, maxText)
		r.len[i] = C.int(n)
		at += n
	}
}

const maxText = C.TEXT_MAX / C.TEXTS // bytes

// put copies a text to a place in r, as far as it fits into so many bytes, and
// returns its length.
func put(r *C.struct_reply, at int, text string, most int) int {
	text = cut(text, most)
	for i := range len(text) {
		r.text[at+i] = C.char(text[i])
	}
	return len(text)
}

// goStart is capture.start.
//
//export goStart
func goStart(kind *C.char, number C.double, out *C.char) (text *C.char) {
	if current == nil {
		return C.CString("no capture is open")
	}
	defer surviveInWords(&text)
	if err := current.start(C.GoString(kind), whole(float64(number)), C.GoString(out)); err != nil {
		return C.CString(inWords(err))
	}
	return nil
}

// goResult is capture.result: ANSWER_NOTHING, ANSWER_JUDGED with the text, or
// ANSWER_WRONG with what is wrong.
//
//export goResult
func goResult(milliseconds C.double, answer *C.int, done *C.double) (text *C.char) {
	*answer = C.ANSWER_WRONG
	if current == nil {
		return C.CString("no capture is open")
	}
	defer surviveInWords(&text)
	found, share, err := current.result(time.Duration(whole(float64(milliseconds))) * time.Millisecond)
	*done = C.double(share)
	switch {
	case err == errBusy:
		*answer = C.ANSWER_NOTHING
		return nil
	case err != nil:
		return C.CString(inWords(err))
	}
	*answer = C.ANSWER_JUDGED
	return C.CString(found)
}

// goStop is capture.stop.
//
//export goStop
func goStop() {
	defer survive(nil)
	if current != nil {
		current.stop()
	}
}

// surviveInWords keeps a panic from ending Wireshark, and says that there was
// one.
func surviveInWords(text **C.char) {
	if problem := recover(); problem != nil {
		*text = C.CString(inWords(errPanic(problem)))
	}
}

// goClose ends the session.
//
//export goClose
func goClose() {
	defer survive(nil)
	if current != nil {
		current.close()
		current = nil
	}
}

// whole returns a number from Lua as an integer; 0 if it is none.
func whole(x float64) uint64 {
	if !(x >= 0 && x <= math.MaxUint32) {
		return 0
	}
	return uint64(x)
}

// nanoseconds returns a time in nanoseconds, or the nearest one that there is.
func nanoseconds(secs, nsecs float64) int64 {
	const most = math.MaxInt64 / 1_000_000_000
	switch {
	case secs >= most:
		return math.MaxInt64
	case secs <= -most:
		return math.MinInt64
	}
	return int64(secs)*1e9 + int64(nsecs)
}

// survive keeps a panic from ending Wireshark.
func survive(r *C.struct_reply) {
	if problem := recover(); problem != nil && r != nil {
		r.answer = C.ANSWER_WRONG
		r.len[0] = C.int(put(r, 0, inWords(errPanic(problem)), maxText))
	}
}
