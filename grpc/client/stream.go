package client

import (
	"context"
	"errors"
	"time"

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
			frames := &annotatorv1.FrameBatch{Frames: batch}
			if calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: frames}}) != nil {
				return // the cause comes with Recv
			}
			s.counters.sent.Add(uint64(len(batch)))
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
func (s *Session) batch(ctx context.Context) []*annotatorv1.Frame {
	linger := time.NewTimer(s.options.Linger)
	defer linger.Stop()
	for late := false; ; {
		s.mu.Lock()
		n := min(len(s.pending), s.options.Batch)
		if n == 0 || n == s.options.Batch || s.hurry || late {
			batch := s.pending[:n:n]
			s.pending = s.pending[n:]
			s.sent += uint64(n)
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
	defer s.conn.Close()
	for {
		answer, err := calls.Recv()
		if err != nil {
			s.fail(broken(err))
			return
		}
		if list := answer.GetIncidents(); list != nil {
			err = s.storeIncidents(list)
		} else {
			err = s.store(answer.GetVerdicts().GetVerdicts())
		}
		if err != nil {
			s.fail(broken(err))
			return
		}
	}
}

// store takes in what the annotator sent. It refuses what breaks the contract.
func (s *Session) store(batch []*annotatorv1.Verdict) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.announce()
	if len(batch) == 0 {
		return errors.New("answer holds no verdicts")
	}
	if s.verdicts.count()+uint64(len(batch)) > s.sent {
		return errors.New("more verdicts than frames")
	}
	for _, v := range batch {
		if err := s.verdicts.add(v); err != nil {
			return err
		}
	}
	if s.options.Scores != nil {
		s.scores = s.scores[:0]
		for _, v := range batch {
			s.scores = append(s.scores, uint16(v.GetScorePermille()))
		}
		s.options.Scores(s.scores)
	}
	s.counters.judged.Add(uint64(len(batch)))
	return nil
}
