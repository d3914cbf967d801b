package engine

import (
	"cmp"
	"errors"
	"io"
	"sync"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

const (
	// ahead is how many chunks may be on their way for the stages that are not
	// scoring; with fewer, stages wait for each other where one takes longer.
	ahead = 4
	// unwritten is how many batches of verdicts may wait for emit.
	unwritten = 2
)

// Stream judges batches of frames, all stages at the same time, in goroutines
// that end before it returns. It takes the batches from next until that returns
// an error, which becomes its own unless it is io.EOF, and hands the verdicts
// on each to emit, in order. Those are valid during the call, the frames' data
// has to be until then. An error of emit, or one of the models as from Process,
// ends it early: stop is closed then, and a next that waits all the same is
// waited for.
//
// next and emit are called by one goroutine each, not by the same one; that of
// emit is the caller's. At most a few batches are on their way at a time, or,
// if they are small, as many as have 512 frames for each of Workers+4.
func (e *Engine) Stream(next func(stop <-chan struct{}) ([]packet.Frame, error), emit func([]verdict.Verdict) error) error {
	s := newStream(e)
	var group sync.WaitGroup
	group.Go(func() { s.read(next) })
	group.Go(s.observe)
	for range e.cfg.Workers {
		group.Go(s.score)
	}
	group.Go(s.judge)
	err := s.emit(emit)
	group.Wait()
	return cmp.Or(err, s.judging, s.reading)
}

// stream is one call of Stream. The channels up to pending have room for all
// chunks that there are, so that stages wait for a free chunk, or for emit, and
// for nothing else. One that fails closes stop, which ends such a wait; the
// stages behind end when the one before has.
type stream struct {
	*Engine
	free                       chan *transit
	decoded, observed, pending chan *transit
	judged, spare              chan []verdict.Verdict
	stop                       chan struct{}
	stopOnce                   sync.Once
	reading, judging           error
}

// transit is a chunk with what Stream needs beside.
type transit struct {
	chunk
	last   bool          // of its batch
	scored chan struct{} // gets one when it is
}

func newStream(e *Engine) *stream {
	n := e.cfg.Workers + ahead
	channel := func() chan *transit { return make(chan *transit, n) }
	s := &stream{
		Engine: e,
		free:   channel(), decoded: channel(), observed: channel(), pending: channel(),
		judged: make(chan []verdict.Verdict, unwritten), spare: make(chan []verdict.Verdict, unwritten+2),
		stop: make(chan struct{}),
	}
	for range n {
		s.free <- &transit{scored: make(chan struct{}, 1)}
	}
	return s
}

func (s *stream) end() { s.stopOnce.Do(func() { close(s.stop) }) }

// stopped tells that a later stage failed.
func (s *stream) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// read takes batches, cuts them into chunks and decodes these.
func (s *stream) read(next func(stop <-chan struct{}) ([]packet.Frame, error)) {
	defer close(s.decoded)
	for t := s.take(); t != nil; {
		frames, err := next(s.stop)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.reading = err
			}
			return
		}
		for last := false; !last && t != nil; t = s.take() {
			n := min(len(frames), chunkLen)
			last = n == len(frames)
			t.last = last
			t.decode(&s.decoder, frames[:n])
			frames = frames[n:]
			s.decoded <- t
		}
	}
}

// take returns a free chunk, nil if there will be none. It is taken before frames
// are read, so that they are decoded while the processor still has them at hand.
func (s *stream) take() *transit {
	select {
	case t := <-s.free:
		return t
	case <-s.stop:
		return nil
	}
}

// observe passes each chunk on twice: for scoring, by whoever has time, and for
// judging, in order.
func (s *stream) observe() {
	defer close(s.observed)
	defer close(s.pending)
	for t := range s.decoded {
		s.Engine.observe(&t.chunk)
		s.observed <- t
		s.pending <- t
	}
}

func (s *stream) score() {
	var w worker
	for t := range s.observed {
		s.Engine.score(&t.chunk, &w)
		t.scored <- struct{}{}
	}
}

func (s *stream) judge() {
	defer close(s.judged)
	var batch []verdict.Verdict
	for t := range s.pending {
		<-t.scored
		if s.stopped() {
			continue
		}
		if err := t.failure(s.frames); err != nil {
			s.judging = err
			s.end()
			continue
		}
		batch = s.Engine.judge(&t.chunk, batch)
		if t.last {
			select {
			case s.judged <- batch:
			case <-s.stop:
			}
			select {
			case batch = <-s.spare:
			default:
				batch = nil
			}
		}
		s.free <- t
	}
}

func (s *stream) emit(emit func([]verdict.Verdict) error) (err error) {
	for batch := range s.judged {
		if err != nil {
			continue
		}
		if err = emit(batch); err != nil {
			s.end()
		}
		s.spare <- batch[:0]
	}
	return err
}
