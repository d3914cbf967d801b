package rewrite

import (
	"slices"
	"sync"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// spare is how much room a batch that is not full has for the next block, in
// bytes. A larger one may need memory of its own.
const spare = 64 << 10

// batch is a stretch of the input.
type batch struct {
	blocks []pcapng.Block // the first n are filled, the others unused
	n      int
	room   []byte         // memory of the blocks, one after the other
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
	free := b.room[len(b.room):]
	block.Raw = free
	if err := r.Read(block); err != nil {
		return err
	}
	b.n++
	b.bytes += len(block.Raw)
	if &block.Raw[0] == &free[:1][0] { // else it is so large that it has memory of its own
		b.room = b.room[:len(b.room)+len(block.Raw)]
	}
	if block.IsFrame() {
		n := len(b.frames)
		b.frames = slices.Grow(b.frames, 1)[:n+1]
		block.PutFrame(&b.frames[n]) // where it stays: copies of what was just put together are slow
	}
	return nil
}

// reset empties the batch and keeps its memory.
func (b *batch) reset() {
	for i := range b.blocks[:b.n] {
		b.blocks[i].Raw = nil
	}
	*b = batch{blocks: b.blocks, frames: b.frames[:0], room: b.room[:0]}
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
		return &batch{room: make([]byte, 0, b.maxBytes+spare)}
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
