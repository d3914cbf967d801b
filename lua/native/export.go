//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

// current is the capture that Wireshark's one thread has open, nil for none,
// and latest the verdict it was told last. The functions below are called from
// that thread only.
var (
	current *capture
	latest  verdict.Verdict
)

// goOpen begins another capture; nothing is opened yet. It returns whether this
// is tshark, in which nobody begins to look in the middle.
//
//export goOpen
func goOpen(o *C.struct_options) (tshark C.int) {
	defer survive(nil)
	goClose()
	current = newCapture(config{
		dial: client.Config{
			Address: C.GoString(o.address), Program: C.GoString(o.program), StartTimeout: openTimeout,
		},
		client:   C.GoString(o.client),
		patience: time.Duration(o.patience_ms) * time.Millisecond,
		ahead:    o.ahead != 0,
		eager:    o.eager != 0,
	})
	if program, err := os.Executable(); err == nil && strings.HasPrefix(filepath.Base(program), "tshark") {
		return 1
	}
	return 0
}

// goPass is capture.pass.
//
//export goPass
func goPass(number C.double) (known C.int) {
	defer survive(nil)
	if current != nil && current.pass(whole(number)) {
		return 1
	}
	return 0
}

// goFrame is capture.shown.
//
//export goFrame
func goFrame(s *C.struct_shot, r *C.struct_reply) {
	defer survive(r)
	r.answer = C.ANSWER_NOTHING
	if current == nil {
		return
	}
	v, answer, err := current.shown(&shot{
		number: whole(s.number), visited: s.visited != 0, look: s.look != 0, time: float64(s.time),
		length: uint32(whole(s.length)), caught: uint32(whole(s.caught)),
		data:  C.GoStringN(s.data, min(s.data_len, packet.SnapLen)),
		exact: s.exact != 0, nanos: int64(s.secs)*1e9 + int64(s.nsecs), encap: int(s.encap),
	})
	r.answer = C.int(answer)
	switch answer {
	case judged:
		latest, r.score = v, C.double(v.Score)
	case wrong:
		r.len[0] = C.int(put(r, 0, inWords(err)))
	}
}

// goVerdict fills in the verdict that goFrame has found last.
//
//export goVerdict
func goVerdict(r *C.struct_reply) {
	defer survive(r)
	v := &latest
	r.score, r.confidence, r.flow = C.double(v.Score), C.double(v.Confidence), C.double(v.Flow)
	at := 0
	for i, text := range [...]string{v.Class, string(v.Level), string(v.Type), v.Reason, v.CommunityID, v.Model} {
		n := put(r, at, text)
		r.len[i] = C.int(n)
		at += n
	}
}

// put copies a text to a place in r, cut to 600 bytes, and returns its length.
func put(r *C.struct_reply, at int, text string) int {
	text = text[:min(len(text), C.TEXT_MAX/C.TEXTS)]
	for i := range len(text) {
		r.text[at+i] = C.char(text[i])
	}
	return len(text)
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
func whole(x C.double) uint64 {
	if !(x >= 0 && x <= math.MaxUint32) {
		return 0
	}
	return uint64(x)
}

// survive keeps a panic from ending Wireshark.
func survive(r *C.struct_reply) {
	if problem := recover(); problem != nil && r != nil {
		r.answer = C.ANSWER_WRONG
		r.len[0] = C.int(put(r, 0, inWords(errPanic(problem))))
	}
}
