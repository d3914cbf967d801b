// Package backlog keeps a capture in the making flowing while whoever reads it
// is busy.
package backlog

import (
	"io"
	"sync"
	"time"
)

// Backlog is the memory between a source, which should never wait, and whoever
// reads, who may be busy for a while. It is a list of chunks, bounded in bytes
// however small the pieces are in which they arrive; when it is full the source
// has to wait after all, and dumpcap counts what the kernel then loses.
//
// One goroutine may call Fill and one other Read; all else is safe for
// concurrent use.
type Backlog struct {
	max int // chunks

	mu      sync.Mutex
	changed sync.Cond
	chunks  []*chunk // the source fills the last one
	spare   []*chunk
	waiting int       // bytes in chunks that were not read
	err     error     // of the source; comes behind all chunks
	closed  bool      // nobody reads any more
	handed  time.Time // when what was read last had arrived
}

// chunk is filled once from the front to the back and read likewise.
type chunk struct {
	data         [chunkLen]byte
	filled, read int
	arrived      time.Time // the oldest of its unread bytes, or shortly before
}

const (
	chunkLen = 64 << 10
	// maxSpare is how many chunks are kept for later use.
	maxSpare = 64
)

// New returns a Backlog of up to max bytes, rounded up to chunks of 64 KiB.
func New(max int) *Backlog {
	b := &Backlog{max: max/chunkLen + 1, handed: time.Now()}
	b.changed.L = &b.mu
	return b
}

// Fill reads the source to its end, or until Close; the source's error follows
// all that was read. A Read of the source that waits is not interrupted.
func (b *Backlog) Fill(source io.Reader) {
	for {
		c := b.tail()
		if c == nil {
			return
		}
		n, err := source.Read(c.data[c.filled:]) // nobody else touches that part
		if !b.commit(c, n, err) {
			return
		}
	}
}

// tail returns a chunk with room, waiting for one if need be; nil when nobody
// reads any more.
func (b *Backlog) tail() *chunk {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.chunks); n > 0 && b.chunks[n-1].filled < chunkLen {
		return b.chunks[n-1]
	}
	for len(b.chunks) >= b.max && !b.closed {
		b.changed.Wait()
	}
	if b.closed {
		return nil
	}
	c := new(chunk)
	if n := len(b.spare); n > 0 {
		c, b.spare = b.spare[n-1], b.spare[:n-1]
		c.filled, c.read = 0, 0
	}
	b.chunks = append(b.chunks, c)
	return c
}

// commit makes n new bytes of c readable. It returns false at the end.
func (b *Backlog) commit(c *chunk, n int, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.read == c.filled {
		c.arrived = time.Now()
	}
	c.filled += n
	b.waiting += n
	b.err = err
	b.changed.Broadcast()
	return err == nil && !b.closed
}

// Read reads what has arrived, waiting if that is nothing. Behind the last byte
// it returns the error of the source, io.EOF as a rule.
func (b *Backlog) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		if len(b.chunks) > 0 {
			if c := b.chunks[0]; c.read < c.filled {
				n := copy(p, c.data[c.read:c.filled])
				c.read += n
				b.waiting -= n
				b.handed = c.arrived
				if c.read == chunkLen {
					b.drop()
				}
				return n, nil
			}
		}
		if b.err != nil {
			return 0, b.err
		}
		b.changed.Wait()
	}
}

// drop takes the first chunk, which was read, off the list.
func (b *Backlog) drop() {
	if len(b.spare) < maxSpare {
		b.spare = append(b.spare, b.chunks[0])
	}
	b.chunks[0] = nil
	b.chunks = b.chunks[1:]
	b.changed.Broadcast()
}

// Waiting returns how many bytes have arrived and were not read.
func (b *Backlog) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

// Behind returns how long ago what was read last had arrived.
func (b *Backlog) Behind() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.handed)
}

// Close lets go of the source: nobody reads any more.
func (b *Backlog) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.changed.Broadcast()
}
