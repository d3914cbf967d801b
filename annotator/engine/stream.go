package engine

import (
	"cmp"
	"errors"
	"io"
	"sync"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// ahead is how many chunks may be on their way for each stage that is not
// scoring; with fewer, stages wait for each other where one takes longer.
const ahead = 4

// Stream judges batches of frames, all stages at the same time, in goroutines
// that end before it returns. It takes the batches from next until that returns
// an error, which becomes its own unless it is io.EOF, and hands the verdicts
// on each to emit, in order. Those are valid during the call, the frames' data
// has to be until then. An error of emit, or one of the models as from Process,
// ends it early; a next that waits is waited for.
//
// next and emit are called by one goroutine each, not by the same one; that of
// emit is the caller's. At most Workers+4 batches are on their way at a time.
func (e *Engine) Stream(next func() ([]packet.Frame, error), emit func([]verdict.Verdict) error) error {
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

// stream is one call of Stream. Its channels have room for all chunks that
// there are, so that only the first stage ever waits to pass one on: for a free
// chunk. A stage that fails closes stop, which ends the first one; the others
// end when the one before has.
type stream struct {
	*Engine
	free                               chan *transit
	decoded, observed, pending, judged chan *transit
	stop                               chan struct{}
	stopOnce                           sync.Once
	reading, judging                   error
}

// transit is a chunk with what Stream needs beside.
type transit struct {
	chunk
	scored   chan struct{}
	verdicts []verdict.Verdict
}

func newStream(e *Engine) *stream {
	n := e.cfg.Workers + ahead
	channel := func() chan *transit { return make(chan *transit, n) }
	s := &stream{
		Engine: e, free: channel(),
		decoded: channel(), observed: channel(), pending: channel(), judged: channel(),
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

// read takes batches and decodes them.
func (s *stream) read(next func() ([]packet.Frame, error)) {
	defer close(s.decoded)
	for {
		var t *transit
		select {
		case t = <-s.free:
		case <-s.stop:
			return
		}
		frames, err := next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.reading = err
			}
			return
		}
		t.decode(&s.decoder, frames)
		s.decoded <- t
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
		t.verdicts = s.Engine.judge(&t.chunk, t.verdicts[:0])
		s.judged <- t
	}
}

func (s *stream) emit(emit func([]verdict.Verdict) error) (err error) {
	for t := range s.judged {
		if err != nil {
			continue
		}
		if err = emit(t.verdicts); err != nil {
			s.end()
		}
		s.free <- t
	}
	return err
}
