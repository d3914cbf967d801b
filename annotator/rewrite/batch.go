package rewrite

import (
	"sync"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// retain is the largest block buffer that is kept for the next block, in bytes.
const retain = 64 << 10

// batch is a stretch of the input.
type batch struct {
	blocks []pcapng.Block // the first n are filled, the others spare
	n      int
	frames []packet.Frame // of the blocks
	bytes  int
	paused bool // nothing follows for now, as far as the reader knows
	last   bool // nothing follows
}

// read reads the next block into the batch.
func (b *batch) read(r *pcapng.Reader) error {
	if b.n == len(b.blocks) {
		b.blocks = append(b.blocks, pcapng.Block{})
	}
	block := &b.blocks[b.n]
	if err := r.Read(block); err != nil {
		return err
	}
	b.n++
	b.bytes += len(block.Raw)
	if block.IsFrame() {
		b.frames = append(b.frames, block.Frame())
	}
	return nil
}

// reset empties the batch and keeps its memory, but for unusually large blocks.
func (b *batch) reset() {
	for i := range b.blocks[:b.n] {
		if block := &b.blocks[i]; cap(block.Raw) > retain {
			block.Raw = nil
		}
	}
	*b = batch{blocks: b.blocks, frames: b.frames[:0]}
}

// batches are those that are on their way: read, and not yet written. One
// goroutine may read while another one writes.
type batches struct {
	reader    *pcapng.Reader
	maxFrames int
	maxBytes  int
	err       error // of the reader; what comes before goes first

	mu    sync.Mutex
	queue []*batch
	free  []*batch
}

// read reads the next batch: until it is full or the input pauses. It returns
// the frames of it, maybe none, or the error of the input once everything
// before it has been returned.
func (b *batches) read() ([]packet.Frame, error) {
	if b.err != nil {
		return nil, b.err
	}
	next := b.acquire()
	for {
		b.err = next.read(b.reader)
		full := len(next.frames) >= b.maxFrames || next.n >= b.maxFrames*2 || next.bytes >= b.maxBytes
		next.paused = b.reader.Buffered() == 0
		if b.err != nil || full || next.paused {
			break
		}
	}
	next.last = b.err != nil
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, next)
	return next.frames, nil
}

// acquire returns an empty batch.
func (b *batches) acquire() *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.free) - 1
	if last < 0 {
		return new(batch)
	}
	next := b.free[last]
	b.free = b.free[:last]
	return next
}

// take returns the batch that was read first, which must be there.
func (b *batches) take() *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.queue[0]
	b.queue = b.queue[:copy(b.queue, b.queue[1:])]
	return first
}

// release gives back what take returned.
func (b *batches) release(done *batch) {
	done.reset()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, done)
}
