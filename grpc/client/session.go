package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
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
	// Timeout is how long [Session.Verdict] waits at most; 300 ms if zero.
	Timeout time.Duration
	// Backoff is how long nobody waits any more after a time-out; 5 s if zero.
	Backoff time.Duration
}

func (o *Options) defaults() {
	set(&o.Batch, 256)
	set(&o.Linger, 5*time.Millisecond)
	set(&o.MaxQueued, 10_000)
	set(&o.Timeout, 300*time.Millisecond)
	set(&o.Backoff, 5*time.Second)
}

func set[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// Errors of a Session.
var (
	// ErrTimeout means that the annotator did not answer in time, or did not
	// lately and is not asked for a while.
	ErrTimeout = errors.New("annotator does not answer")
	// ErrFull means that MaxQueued frames are waiting already.
	ErrFull = errors.New("annotator is too slow: queue is full")
	// ErrUnknownFrame means that no such frame was queued.
	ErrUnknownFrame = errors.New("frame was not queued")
	// ErrForgotten means that the frame is too far back: a session keeps the
	// verdicts of its last 2 to 4 million frames.
	ErrForgotten = errors.New("verdict is no longer kept")
)

// Session asks for the verdicts of one capture. Frames are queued in order and
// numbered from 1. It is safe for concurrent use.
type Session struct {
	options Options
	cancel  context.CancelFunc
	breaker *gobreaker.CircuitBreaker[struct{}]
	started *annotatorv1.SessionStarted
	kick    chan struct{} // tells the sender to send what there is

	mu       sync.Mutex
	pending  []*annotatorv1.Frame
	queued   uint64 // frames accepted so far
	hurry    bool   // somebody waits: send what there is
	verdicts verdicts
	changed  chan struct{} // closed and replaced when frames left, verdicts arrived or the session failed
	err      error         // sticky
}

type stream = grpc.BidiStreamingClient[annotatorv1.SessionRequest, annotatorv1.SessionResponse]

// Open begins a session. It returns when the annotator has greeted, or ctx
// ended; the session itself lives until Close.
func Open(ctx context.Context, conn grpc.ClientConnInterface, options Options) (*Session, error) {
	options.defaults()
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	calls, started, err := greet(life, conn, options)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("annotator: %w", err)
	}
	s := &Session{
		options: options,
		cancel:  cancel,
		started: started,
		kick:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:     options.Backoff,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures > 0 },
		}),
	}
	go s.send(life, calls)
	go s.receive(calls)
	return s, nil
}

func greet(ctx context.Context, conn grpc.ClientConnInterface, options Options) (stream, *annotatorv1.SessionStarted, error) {
	calls, err := annotatorv1.NewAnnotatorClient(conn).Session(ctx)
	if err != nil {
		return nil, nil, err
	}
	hello := &annotatorv1.SessionOptions{Client: options.Client}
	// An error of Send is io.EOF; the cause comes with Recv.
	_ = calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Options{Options: hello}})
	answer, err := calls.Recv()
	if err != nil {
		return nil, nil, err
	}
	if answer.GetStarted() == nil {
		return nil, nil, errors.New("first answer is no greeting")
	}
	return calls, answer.GetStarted(), nil
}

// Model returns the version of the annotator's models.
func (s *Session) Model() string { return s.started.GetModel() }

// Queue takes the next frame in, copying what is needed of it, without ever
// waiting. After an error the frame was not taken in; as verdicts depend on all
// frames before, the session should then be given up.
func (s *Session) Queue(f packet.Frame) error {
	data := append([]byte(nil), f.Data[:min(len(f.Data), packet.SnapLen)]...)
	m := &annotatorv1.Frame{TimeNs: f.Time, LinkType: uint32(f.LinkType), Length: f.Length, Data: data}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case len(s.pending) >= s.options.MaxQueued:
		return ErrFull
	}
	s.pending = append(s.pending, m)
	s.queued++
	if n := len(s.pending); n == 1 || n >= s.options.Batch {
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

// Verdict returns the verdict of frame n, waiting for it if need be and if the
// annotator has answered in time lately.
func (s *Session) Verdict(n uint64) (verdict.Verdict, error) {
	if v, ok, err := s.take(n); ok || err != nil {
		return v, err
	}
	s.mu.Lock()
	s.hurry = true
	s.mu.Unlock()
	s.wake()
	_, err := s.breaker.Execute(func() (struct{}, error) { return struct{}{}, s.wait(n) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = ErrTimeout
	}
	if err != nil {
		return verdict.Verdict{}, err
	}
	v, _, err := s.take(n)
	return v, err
}

// take returns the verdict of frame n if it is there.
func (s *Session) take(n uint64) (v verdict.Verdict, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case n < 1 || n > s.queued:
		return v, false, ErrUnknownFrame
	case n <= s.verdicts.count():
		v, ok = s.verdicts.get(n, s.started.GetModel())
		if !ok {
			return v, false, ErrForgotten
		}
		return v, true, nil
	}
	return v, false, s.err
}

// Poll returns the verdict of frame n if it is there, without waiting.
func (s *Session) Poll(n uint64) (v verdict.Verdict, ok bool, err error) { return s.take(n) }

// Await waits until the verdict of frame n is there, for at most d. Unlike
// [Session.Verdict] it does not care what happened before.
func (s *Session) Await(n uint64, d time.Duration) error {
	s.mu.Lock()
	s.hurry = true
	s.mu.Unlock()
	s.wake()
	return s.until(d, func() bool { return n <= s.verdicts.count() })
}

// AwaitRoom waits until Queue would take a frame in, for at most d.
func (s *Session) AwaitRoom(d time.Duration) error {
	return s.until(d, func() bool { return len(s.pending) < s.options.MaxQueued })
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

// wait waits until the verdict of frame n is there.
func (s *Session) wait(n uint64) error {
	return s.until(s.options.Timeout, func() bool { return n <= s.verdicts.count() })
}

// until waits until done, which is called with the lock held, for at most d.
func (s *Session) until(d time.Duration, done func() bool) error {
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		over, changed, err := done(), s.changed, s.err
		s.mu.Unlock()
		if over || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-deadline.C:
			return ErrTimeout
		}
	}
}

// announce wakes all who wait. The lock is held.
func (s *Session) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Close ends the session. Nobody waits any longer.
func (s *Session) Close() {
	s.fail(errors.New("session is closed"))
	s.cancel()
}

// Err returns why the session is over, or nil.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// send sends batches: full ones at once, others when somebody waits or after
// Linger.
func (s *Session) send(ctx context.Context, calls stream) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
		for batch := s.batch(ctx); batch != nil; batch = s.batch(ctx) {
			frames := &annotatorv1.FrameBatch{Frames: batch}
			if calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: frames}}) != nil {
				return // the cause comes with Recv
			}
		}
	}
}

// batch returns the next frames to send, after waiting for more if there is
// time; nil when there are none.
func (s *Session) batch(ctx context.Context) []*annotatorv1.Frame {
	linger := time.NewTimer(s.options.Linger)
	defer linger.Stop()
	for late := false; ; {
		s.mu.Lock()
		n := min(len(s.pending), s.options.Batch)
		if n == 0 || n == s.options.Batch || s.hurry || late {
			batch := s.pending[:n:n]
			s.pending = s.pending[n:]
			s.hurry = s.hurry && len(s.pending) > 0
			if n == 0 {
				s.pending, batch = nil, nil
			}
			s.announce()
			s.mu.Unlock()
			return batch
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-s.kick:
		case <-linger.C:
			late = true
		}
	}
}

// receive stores the answers until the stream ends.
func (s *Session) receive(calls stream) {
	for {
		answer, err := calls.Recv()
		if err == nil && answer.GetVerdicts() == nil {
			err = errors.New("answer holds no verdicts")
		}
		if err != nil {
			s.fail(fmt.Errorf("annotator: %w", err))
			s.cancel()
			return
		}
		s.mu.Lock()
		for _, v := range answer.GetVerdicts().GetVerdicts() {
			if err = s.verdicts.add(v); err != nil {
				break
			}
		}
		if err == nil && s.verdicts.count() > s.queued {
			err = errors.New("more verdicts than frames")
		}
		s.announce()
		s.mu.Unlock()
		if err != nil {
			s.fail(fmt.Errorf("annotator: %w", err))
			s.cancel()
			return
		}
	}
}

// fail ends the session with an error, unless it is over already.
func (s *Session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.pending = nil
		s.announce()
	}
}
