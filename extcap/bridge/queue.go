package bridge

import (
	"io"
	"sync"
	"time"
)

// queue is the memory between a source, which should never wait, and whoever
// reads, who may be busy for a while. It is a list of chunks, bounded in bytes;
// when it is full the source has to wait after all, and dumpcap counts what the
// kernel then loses.
type queue struct {
	max int // chunks

	mu      sync.Mutex
	changed sync.Cond
	chunks  []*chunk // the source fills the last one
	spare   []*chunk
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

// newQueue returns a queue of up to max bytes.
func newQueue(max int) *queue {
	q := &queue{max: max/chunkLen + 1, handed: time.Now()}
	q.changed.L = &q.mu
	return q
}

// fill reads the source to its end.
func (q *queue) fill(source io.Reader) {
	for {
		c := q.tail()
		if c == nil {
			return
		}
		n, err := source.Read(c.data[c.filled:]) // nobody else touches that part
		if !q.commit(c, n, err) {
			return
		}
	}
}

// tail returns a chunk with room, waiting for one if need be; nil when nobody
// reads any more.
func (q *queue) tail() *chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.chunks); n > 0 && q.chunks[n-1].filled < chunkLen {
		return q.chunks[n-1]
	}
	for len(q.chunks) >= q.max && !q.closed {
		q.changed.Wait()
	}
	if q.closed {
		return nil
	}
	c := new(chunk)
	if n := len(q.spare); n > 0 {
		c, q.spare = q.spare[n-1], q.spare[:n-1]
		c.filled, c.read = 0, 0
	}
	q.chunks = append(q.chunks, c)
	return c
}

// commit makes n new bytes of c readable. It returns false at the end.
func (q *queue) commit(c *chunk, n int, err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.read == c.filled {
		c.arrived = time.Now()
	}
	c.filled += n
	q.err = err
	q.changed.Broadcast()
	return err == nil && !q.closed
}

// Read reads what has arrived, waiting if that is nothing.
func (q *queue) Read(p []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if len(q.chunks) > 0 {
			if c := q.chunks[0]; c.read < c.filled {
				n := copy(p, c.data[c.read:c.filled])
				c.read += n
				q.handed = c.arrived
				if c.read == chunkLen {
					q.drop()
				}
				return n, nil
			}
		}
		if q.err != nil {
			return 0, q.err
		}
		q.changed.Wait()
	}
}

// drop takes the first chunk, which was read, off the list.
func (q *queue) drop() {
	if len(q.spare) < maxSpare {
		q.spare = append(q.spare, q.chunks[0])
	}
	q.chunks[0] = nil
	q.chunks = q.chunks[1:]
	q.changed.Broadcast()
}

// behind returns how long ago what was read last had arrived.
func (q *queue) behind() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Since(q.handed)
}

// close lets go of the source: nobody reads any more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}
