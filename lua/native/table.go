package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sort"
	"sync/atomic"
	"syscall"
	"unsafe"

	"ampulla/annotator/packet"
)

// maxRows is how many frames a table remembers.
const maxRows = 1 << 22

// table is what is known of the frames of one capture. Frames have positions,
// from 1, in the file and in the session; Wireshark numbers them otherwise when
// a read filter drops some.
//
// The C shim reads it too (struct table in shim.h): it answers for most frames
// without entering Go, which costs more than a look-up, and much more while
// Go's threads are at work. So a table is memory outside of Go's heap, 16 MB
// for numbers and 26 bytes for each frame remembered, taken as it is used.
//
// One goroutine appends rows, and another one scores, in either order, while
// Wireshark's thread looks; passed and numbers are that thread's own. The race
// detector sees nothing of this memory.
type table struct {
	*cells
	called uint64 // highest number noted by call, which may be beyond passed
}

type cells struct {
	known   atomic.Uint64 // rows that are there
	judged  atomic.Uint64 // scores that are there
	passed  uint64        // position of the last frame dissected for the first time
	second  uint64        // not 0: the first pass kept frames to itself, they come in the second
	seed    uint64
	numbers [maxRows]uint32 // position by Wireshark's number
	rows    [maxRows]row
	scores  [maxRows]uint16 // thousandths
}

// row is what is remembered of a frame, to know it again.
type row struct {
	time  int64 // nanoseconds since 1970-01-01 UTC
	key   uint64
	noted bool // it has a comment with a verdict
}

// newTable returns an empty table. Its memory goes when it does.
func newTable() (*table, error) {
	memory, err := syscall.Mmap(-1, 0, int(unsafe.Sizeof(cells{})),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("no memory for verdicts: %w", err)
	}
	t := &table{cells: (*cells)(unsafe.Pointer(unsafe.SliceData(memory)))}
	t.seed = rand.Uint64()
	runtime.AddCleanup(t, func(memory []byte) { _ = syscall.Munmap(memory) }, memory)
	return t, nil
}

// add appends a row.
func (t *table) add(r row) {
	n := t.known.Load() + 1
	t.rows[n%maxRows] = r
	t.known.Store(n)
}

// rate appends scores.
func (t *table) rate(scores []uint16) {
	n := t.judged.Load()
	for _, score := range scores {
		n++
		t.scores[n%maxRows] = score
	}
	t.judged.Store(n)
}

// at returns the row of a position; false if it is not there, or not any more.
func (t *table) at(n uint64) (row, bool) {
	if n < 1 || n > t.known.Load() || n <= t.gone() {
		return row{}, false
	}
	return t.rows[n%maxRows], true
}

// gone is the last position that is forgotten. Some rows are given up before
// they are overwritten, so that nobody reads them just then.
func (t *table) gone() uint64 {
	const kept = maxRows / 2
	return max(t.known.Load(), kept) - kept
}

// step notes that the frame at a position has a number now. The number of a
// frame that a read filter drops is given again to the next one.
func (t *table) step(position, number uint64) {
	t.passed = position
	if number < maxRows && position <= 1<<32-1 {
		t.numbers[number] = uint32(position)
	}
}

// call notes the number of a frame that got none when it was passed: tshark does
// not tell of a pass in which nobody looks.
func (t *table) call(position, number uint64) {
	if number < maxRows && position <= 1<<32-1 && t.numbers[number] == 0 {
		t.numbers[number] = uint32(position)
		t.called = max(t.called, number)
	}
}

// inherit takes over from another table what Wireshark's thread knows. A number
// is at most its position, so none is beyond passed but those noted by call.
func (t *table) inherit(from *table) {
	t.passed, t.second, t.called = from.passed, from.second, from.called
	copy(t.numbers[:], from.numbers[:min(max(from.passed, from.called)+1, maxRows)])
}

// position returns where the frame of a number is; false if that is a guess.
func (t *table) position(number uint64) (uint64, bool) {
	if number >= maxRows {
		return number, true
	}
	if n := t.numbers[number]; n != 0 {
		return uint64(n), true
	}
	return number, false
}

// number returns the number of the frame at a position, as far as positions go
// the other way; 0 if it has none, since a read filter dropped it or it was not
// dissected yet. Numbers grow with positions. Where frames come without numbers,
// as number 0, each comes once, and has that of its position.
func (t *table) number(position uint64) uint64 {
	if t.numbers[0] != 0 {
		if position > t.passed {
			return 0
		}
		return position
	}
	n := 1 + sort.Search(maxRows-1, func(i int) bool {
		at := t.numbers[1+i]
		return at == 0 || uint64(at) >= position
	})
	switch {
	case n == maxRows && position >= maxRows:
		return position
	case n == maxRows || uint64(t.numbers[n]) != position:
		return 0
	}
	return uint64(n)
}

// keyOf returns a key of what a frame holds: its captured length and its first
// bytes, up to packet.SnapLen. It is the key of shim.c. What it is mixed with,
// by multiplication and rotation, are the words of wyhash; nobody gains by
// making two frames alike.
func (t *table) keyOf(caught uint32, data []byte) uint64 {
	const prime = 0xa0761d6478bd642f
	data = data[:min(len(data), packet.SnapLen)]
	h := t.seed ^ uint64(caught)
	for ; len(data) >= 8; data = data[8:] {
		h = bits.RotateLeft64((h^binary.NativeEndian.Uint64(data))*prime, 29)
	}
	if len(data) > 0 {
		var last [8]byte
		copy(last[:], data)
		h = bits.RotateLeft64((h^binary.NativeEndian.Uint64(last[:]))*prime, 29)
	}
	return h ^ h>>32
}
