//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"runtime"
	"unsafe"

	"ampulla/annotator/packet"
)

// lookUp asks the shim, as the shim does before it asks Go; false if it does not
// know. It is here for the tests, whose files cannot contain C.
func (c *capture) lookUp(s *shot) (found, bool) {
	var pin runtime.Pinner
	defer pin.Unpin()
	data := s.data[:min(len(s.data), packet.SnapLen)]
	pin.Pin(unsafe.SliceData(data))
	var reply C.struct_reply
	ok := C.ampulla_look_up(c.shared(), &C.struct_shot{
		number: C.double(s.number), time: C.double(s.time), caught: C.double(s.caught),
		visited: truth(s.visited), look: truth(s.look),
		data: (*C.char)(unsafe.Pointer(unsafe.SliceData(data))), data_len: C.int(len(data)),
	}, &reply)
	return found{answer: answer(reply.answer), position: uint64(reply.position), score: float64(reply.score)}, ok != 0
}

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
