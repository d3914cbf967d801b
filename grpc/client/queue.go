package client

import (
	"ampulla/annotator/packet"
	"ampulla/grpc/wire"
)

// queue holds frames that wait for being sent, in batches that are ready for it.
type queue struct {
	batches []*wire.Batch // all but the last are full
	frames  int           // in all of them
	spare   []*wire.Batch // empty ones
}

// maxSpare is how many empty batches are kept to be used again: one that fills
// while others are on their way.
const maxSpare = 4

// push adds a frame to the last batch, or to a new one if that has as many as
// there may be.
func (q *queue) push(f *packet.Frame, most int) {
	last := len(q.batches) - 1
	if last < 0 || q.batches[last].Len() >= most {
		q.batches = append(q.batches, q.empty())
		last++
	}
	q.batches[last].AddFrame(f)
	q.frames++
}

func (q *queue) empty() *wire.Batch {
	last := len(q.spare) - 1
	if last < 0 {
		return new(wire.Batch)
	}
	b := q.spare[last]
	q.spare = q.spare[:last]
	return b
}

// first returns how many frames are in the first batch.
func (q *queue) first() int {
	if len(q.batches) == 0 {
		return 0
	}
	return q.batches[0].Len()
}

// pop takes the first batch out, nil if there is none.
func (q *queue) pop() *wire.Batch {
	if len(q.batches) == 0 {
		return nil
	}
	b := q.batches[0]
	q.batches = q.batches[:copy(q.batches, q.batches[1:])]
	q.frames -= b.Len()
	return b
}

// release gives back what pop returned.
func (q *queue) release(b *wire.Batch) {
	b.Reset()
	if len(q.spare) < maxSpare {
		q.spare = append(q.spare, b)
	}
}
