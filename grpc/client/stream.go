package client

import (
	"cmp"
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"ampulla/grpc/wire"
	annotatorv1 "ampulla/proto/annotator/v1"
)

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
			if calls.SendMsg(batch) != nil {
				return // the cause comes with Recv
			}
			s.counters.sent.Add(uint64(batch.Len()))
			s.release(batch)
			if !s.inquire(calls) {
				return
			}
		}
		if !s.inquire(calls) {
			return
		}
	}
}

// batch returns the next frames to send, after waiting for more if there is
// time; nil when there are none.
func (s *Session) batch(ctx context.Context) *wire.Batch {
	linger := time.NewTimer(s.options.Linger)
	defer linger.Stop()
	for late := false; ; {
		s.mu.Lock()
		n := s.pending.first()
		if n == 0 || n == s.options.Batch || s.hurry || late {
			batch := s.pending.pop()
			s.sent += uint64(n)
			s.hurry = s.hurry && s.pending.frames > 0
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

// release gives back a batch that was sent.
func (s *Session) release(batch *wire.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending.release(batch)
}

// receive stores the answers until the stream ends.
func (s *Session) receive(calls stream) {
	defer s.conn.Close()
	for {
		var answer wire.Raw
		err := calls.RecvMsg(&answer)
		if err == nil {
			err = s.take(answer.ReadOnlyData())
			answer.Free()
		}
		if err != nil {
			s.fail(broken(err))
			return
		}
	}
}

// take stores one answer.
func (s *Session) take(message []byte) error {
	if ok, err := s.store(func(add func(*wire.Verdict) error) (bool, error) { return wire.Verdicts(message, add) }); ok || err != nil {
		return err
	}
	var answer annotatorv1.SessionResponse
	if err := proto.Unmarshal(message, &answer); err != nil {
		return err
	}
	if list := answer.GetIncidents(); list != nil {
		return s.storeIncidents(list)
	}
	_, err := s.store(func(add func(*wire.Verdict) error) (bool, error) {
		for _, v := range answer.GetVerdicts().GetVerdicts() {
			if err := add(wire.VerdictOf(v)); err != nil {
				return true, err
			}
		}
		return true, nil
	})
	return err
}

// store takes in the verdicts that each adds, if it says that it did. It refuses
// what breaks the contract.
func (s *Session) store(each func(add func(*wire.Verdict) error) (ok bool, err error)) (ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scores = s.scores[:0]
	room, n := s.sent-s.verdicts.count(), uint64(0)
	var bad error // of the first bad one, which matters less than too many
	ok, err = each(func(v *wire.Verdict) error {
		if n++; n > room {
			return errors.New("more verdicts than frames")
		}
		if bad == nil {
			s.scores = append(s.scores, uint16(v.ScorePermille))
			bad = s.verdicts.add(v)
		}
		return nil
	})
	if !ok {
		return false, err
	}
	defer s.announce()
	switch {
	case err != nil || bad != nil:
		return true, cmp.Or(err, bad)
	case n == 0:
		return true, errors.New("answer holds no verdicts")
	}
	if s.options.Scores != nil {
		s.options.Scores(s.scores)
	}
	s.counters.judged.Add(n)
	return true, nil
}
