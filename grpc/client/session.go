package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Options configure a [Session]. The zero value is ready for use.
type Options struct {
	// Client is the name and version of the client, for the annotator's logs.
	Client string
	// Batch is how many frames are sent at once; 256 if zero. A smaller batch
	// goes out when somebody waits, or after Linger.
	Batch int
	// Linger is how long a frame may wait for others; 5 ms if zero.
	Linger time.Duration
	// MaxQueued is how many frames may wait for being sent; 10,000 if zero.
	MaxQueued int
	// Keep is how many verdicts are kept; 2 million if zero, which take about
	// 100 MB and their texts up to 200. Up to twice as many may be there.
	Keep int
	// Terse leaves reasons and Community IDs out of the verdicts, for who looks at
	// scores.
	Terse bool
	// Baseline is the absolute path of what to measure against, instead of the
	// annotator's own; an annotator that cannot is an error.
	Baseline string
	// AlarmsPerHour, if more than 0, has the baseline choose the threshold that
	// Session.Started tells.
	AlarmsPerHour float64
	// Rules are the rules of feedback that the session goes by; those in force at
	// its beginning if zero.
	Rules annotatorv1.Rules
	// Scores, if set, gets the scores of verdicts as they come, in order and in
	// thousandths, before whoever awaits them gets on. It must neither block nor
	// call the session, nor keep what it gets.
	Scores func(permille []uint16)
}

func (o *Options) defaults() {
	set(&o.Batch, 256)
	set(&o.Linger, 5*time.Millisecond)
	set(&o.MaxQueued, 10_000)
	set(&o.Keep, 1<<21)
}

func set[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// Session asks for the verdicts of one capture. Frames are queued in order and
// numbered from 1; verdicts come in the same order, and are there for those who
// Poll for them and those who Await them. What the annotator knows of a capture
// is gone with it: a session that has failed stays so, and says why; a new one
// begins with its own first frame. It is safe for concurrent use.
type Session struct {
	options  Options
	counters *counters
	conn     *grpc.ClientConn
	cancel   context.CancelFunc
	started  *annotatorv1.SessionStarted // not changed any more
	kick     chan struct{}               // tells the sender to send what there is

	mu       sync.Mutex
	pending  queue
	queued   uint64 // frames accepted so far
	sent     uint64 // of these
	hurry    bool   // somebody waits: send what there is
	verdicts verdicts
	scores   []uint16 // for Options.Scores
	inquiry  inquiry
	changed  chan struct{} // closed and replaced when frames left, answers arrived or the session failed
	err      error         // sticky
}

// Queue takes the next frame in, copying what is needed of it, without ever
// waiting. After an error the frame was not taken in; as verdicts depend on all
// frames before, the session should then be given up.
func (s *Session) Queue(f packet.Frame) error {
	f.Data = f.Data[:min(len(f.Data), packet.SnapLen)]
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		s.counters.dropped.Add(1)
		return s.err
	case s.pending.frames >= s.options.MaxQueued:
		s.counters.dropped.Add(1)
		return ErrFull
	}
	s.pending.push(&f, s.options.Batch)
	s.queued++
	s.counters.queued.Add(1)
	if n := s.pending.frames; n == 1 || n >= s.options.Batch {
		s.wake()
	}
	return nil
}

// wake tells the sender that there is something to look at.
func (s *Session) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Poll returns the verdict of frame n if it is there, without waiting. A
// verdict stays when the session fails.
func (s *Session) Poll(n uint64) (v verdict.Verdict, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n < 1 || n > s.queued:
		return v, false, ErrUnknownFrame
	case n > s.verdicts.count():
		return v, false, s.err
	}
	v, ok = s.verdicts.get(n, s.started.GetModel())
	if !ok {
		return v, false, ErrForgotten
	}
	return v, true, nil
}

// Await waits until the verdicts of frame n and of all before it are there, for
// at most d. Whoever has to get on, whatever happens, asks a [Patience] for d.
func (s *Session) Await(n uint64, d time.Duration) error {
	s.mu.Lock()
	known := n <= s.queued
	s.hurry = s.hurry || known
	s.mu.Unlock()
	if !known {
		return ErrUnknownFrame
	}
	s.wake()
	return s.until(d, func() bool { return n <= s.verdicts.count() })
}

// AwaitRoom waits until Queue would take a frame in, for at most d.
func (s *Session) AwaitRoom(d time.Duration) error {
	return s.until(d, func() bool { return s.pending.frames < s.options.MaxQueued })
}

// Has tells whether frame n was queued.
func (s *Session) Has(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n <= s.queued
}

// Judged returns how many frames there are verdicts for.
func (s *Session) Judged() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verdicts.count()
}

// Last returns the latest frame so far of an incident, as far as its verdicts are
// kept; 0 if there is none.
func (s *Session) Last(incident uint32) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verdicts.spans[incident].last
}

// until waits until done, which is called with the lock held, for at most d.
func (s *Session) until(d time.Duration, done func() bool) error {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		over, changed, err := done(), s.changed, s.err
		s.mu.Unlock()
		switch {
		case over:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-deadline.C:
			s.counters.timedOut.Add(1)
			return ErrTimeout
		}
	}
}

// announce wakes all who wait. The lock is held.
func (s *Session) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Started returns how the annotator greeted; nobody may change it.
func (s *Session) Started() *annotatorv1.SessionStarted { return s.started }

// Close ends the session. Nobody waits any longer.
func (s *Session) Close() {
	s.fail(errors.New("session is closed"))
}

// Err returns why the session is over, or nil.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail ends the session with an error, unless it is over already.
func (s *Session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.pending = queue{}
		s.announce()
	}
	s.cancel()
}
