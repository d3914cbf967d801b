package rewrite

import (
	"bufio"
	"io"
)

// writer writes blocks. Those that lie one behind the other in memory, as most
// of a batch do, it writes together.
type writer struct {
	buffer *bufio.Writer
	run    []byte // held, and not in the buffer yet
}

func newWriter(w io.Writer) *writer {
	return &writer{buffer: bufio.NewWriterSize(w, bufferLen)}
}

// hold takes a block that stays where it is until the next call of settle.
func (w *writer) hold(block []byte) error {
	end := len(w.run)
	if next := w.run[:cap(w.run)]; end > 0 && end < len(next) && &next[end] == &block[0] {
		w.run = next[:end+len(block)]
		return nil
	}
	err := w.release()
	w.run = block
	return err
}

// write takes a copy of a block.
func (w *writer) write(block []byte) error {
	if err := w.release(); err != nil {
		return err
	}
	_, err := w.buffer.Write(block)
	return err
}

// release writes what is held. More than the buffer takes is not copied into it.
func (w *writer) release() error {
	run := w.run
	w.run = nil
	if len(run) > w.buffer.Size() {
		if err := w.buffer.Flush(); err != nil {
			return err
		}
	}
	_, err := w.buffer.Write(run)
	return err
}

// settle lets go of what is held, and at the end, or before a pause, has all of it
// written.
func (w *writer) settle(end bool) error {
	if err := w.release(); err != nil || !end {
		return err
	}
	return w.buffer.Flush()
}
