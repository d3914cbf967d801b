package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

// judge gets verdicts from the annotator, or does without: it takes the place of
// the engine in package rewrite. Frames that it cannot get a verdict for in
// time go on without one.
type judge struct {
	conn     *client.Conn
	options  client.Options
	deadline time.Duration        // from the arrival of a frame
	behind   func() time.Duration // since its arrival
	paused   *atomic.Bool
	current  *atomic.Pointer[client.Session] // session, for others
	counters *counters
	log      func(format string, args ...any)

	session  *client.Session // nil while there is no annotator
	queued   uint64          // frames that session got
	patience *client.Patience
	numbers  []uint64 // of the frames at hand, within session; 0: it did not get them
	frames   uint64   // so far

	life      context.Context // of the attempts to open a session again
	end       context.CancelFunc
	reopening sync.WaitGroup
	reopened  chan *client.Session // holds one
}

// retry is how long to wait before the annotator is tried again.
const retry = time.Second

// Process returns a verdict for each frame, some of them empty.
func (j *judge) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	j.adopt()
	missing := j.ask(frames)
	for i, f := range frames {
		j.frames++
		v, ok := j.take(j.numbers[i])
		if !ok {
			v = verdict.Verdict{}
			missing.Add(1)
		}
		v.Frame, v.Time = j.frames, f.Time
		out = append(out, v)
	}
	if j.session != nil && j.session.Err() != nil {
		j.lose()
	}
	return out, nil
}

// ask sends the frames to the annotator, unless there is a reason not to, and
// waits for the verdicts. It sets numbers, and returns the counter for frames
// that get no verdict.
func (j *judge) ask(frames []packet.Frame) *atomic.Uint64 {
	j.numbers = append(j.numbers[:0], make([]uint64, len(frames))...)
	late := j.behind()
	switch {
	case j.paused.Load():
		return &j.counters.paused
	case j.session == nil:
		return &j.counters.absent
	case late > j.deadline:
		return &j.counters.late
	}
	for i, f := range frames {
		if j.session.Queue(f) != nil {
			break
		}
		j.queued++
		j.numbers[i] = j.queued
	}
	_ = j.patience.Spend(j.session, func(d time.Duration) error {
		return j.session.Await(j.queued, min(d, j.deadline-late))
	})
	if j.session.Err() != nil { // it may have failed before it took any of them
		return &j.counters.absent
	}
	return &j.counters.late
}

// take returns the verdict of a frame, if there is one.
func (j *judge) take(number uint64) (verdict.Verdict, bool) {
	if number == 0 {
		return verdict.Verdict{}, false
	}
	v, ok, err := j.session.Poll(number)
	return v, ok && err == nil
}

// adopt takes a session that was opened in the meantime.
func (j *judge) adopt() {
	select {
	case s := <-j.reopened:
		j.session, j.queued = s, 0
		j.current.Store(s)
		j.counters.sessions.Add(1)
		j.log("the annotator is back; what it knew of this capture is gone")
	default:
	}
}

// lose gives up a session that has failed, and sees to the next one.
func (j *judge) lose() {
	j.log("%v; frames go on without verdicts until it is back", j.session.Err())
	j.session.Close()
	j.session = nil
	j.current.Store(nil)
	j.reopening.Go(func() {
		for j.life.Err() == nil {
			s, err := client.Open(j.life, j.conn, j.options)
			if err == nil {
				j.reopened <- s
				return
			}
			select {
			case <-j.life.Done():
			case <-time.After(retry):
			}
		}
	})
}

// close ends the session, and the attempts to open one.
func (j *judge) close() {
	j.end()
	j.reopening.Wait()
	j.adopt()
	if j.session != nil {
		j.session.Close()
	}
}
