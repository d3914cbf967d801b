package client

import (
	"testing"
	"testing/synctest"
	"time"
)

// simulation is a caller that wants each verdict before it goes on, and an
// annotator, in a time of their own.
type simulation struct {
	*Patience
	session *Session
	begin   time.Time
	ready   []time.Duration // when the verdict of each frame comes
	refused int             // waits
}

func newSimulation(full time.Duration) *simulation {
	return &simulation{Patience: NewPatience(full), session: &Session{}, begin: time.Now()}
}

func (s *simulation) now() time.Duration { return time.Since(s.begin) }

// judge has the verdicts come whose time has come.
func (s *simulation) judge() {
	for n := &s.session.verdicts.gone; *n < uint64(len(s.ready)) && s.ready[*n] <= s.now(); *n++ {
	}
}

// frame asks for a frame whose verdict takes so long, and waits for it; every
// frame costs the caller as much as tshark.
func (s *simulation) frame(latency time.Duration) {
	time.Sleep(30 * time.Microsecond)
	s.session.queued++
	s.ready = append(s.ready, s.now()+latency)
	s.judge()
	called := false
	_ = s.Spend(s.session, func(d time.Duration) error {
		called = true
		left := s.ready[len(s.ready)-1] - s.now()
		time.Sleep(min(left, d))
		s.judge()
		if left > d {
			return ErrTimeout
		}
		return nil
	})
	if !called {
		s.refused++
	}
}

// TestPatienceDelay has annotators of all speeds: whoever keeps up is waited
// for, and no other costs much more than Full.
func TestPatienceDelay(t *testing.T) {
	const frames, full = 20_000, 1500 * time.Millisecond
	for _, tt := range []struct {
		name    string
		latency func(n int) time.Duration
		waited  bool          // for every frame
		most    time.Duration // delay in all
	}{
		{"silent", func(int) time.Duration { return time.Hour }, false, full},
		{"healthy", func(int) time.Duration { return 200 * time.Microsecond }, true, frames * 200 * time.Microsecond},
		{"on a busy machine", func(n int) time.Duration { return time.Duration(n%20) * 100 * time.Microsecond }, true, frames * time.Millisecond},
		{"2 ms", func(int) time.Duration { return 2 * time.Millisecond }, false, 5 * full},
		{"10 ms", func(int) time.Duration { return 10 * time.Millisecond }, false, 3 * full},
		{"100 ms", func(int) time.Duration { return 100 * time.Millisecond }, false, 2 * full},
		{"2 s", func(int) time.Duration { return 2 * time.Second }, false, 2 * full},
		{"stops in the middle", func(n int) time.Duration {
			if n < frames/2 {
				return 200 * time.Microsecond
			}
			return time.Hour
		}, false, frames/2*200*time.Microsecond + full},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSimulation(full)
				for n := range frames {
					s.frame(tt.latency(n))
				}
				if waited := s.refused == 0; waited != tt.waited {
					t.Errorf("%d waits refused, want none: %v", s.refused, tt.waited)
				}
				if delay := s.now() - frames*30*time.Microsecond; delay > tt.most {
					t.Errorf("delayed by %v, more than %v", delay, tt.most)
				}
			})
		})
	}
}

// TestPatienceRecovers has a few frames a second, and an annotator that stops
// for a minute: some time after it goes on, every frame is waited for again.
func TestPatienceRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(100 * time.Millisecond)
		frames := func(seconds int, latency func() time.Duration) {
			for range seconds * 5 {
				time.Sleep(200 * time.Millisecond)
				s.frame(latency())
			}
		}
		healthy := func() time.Duration { return 20 * time.Millisecond }
		frames(10, healthy)
		if s.refused > 0 {
			t.Errorf("%d waits refused before", s.refused)
		}
		goesOn := s.now() + time.Minute
		frames(60, func() time.Duration { return goesOn - s.now() })
		frames(1, healthy)
		s.refused = 0
		frames(10, healthy)
		if s.refused > 0 {
			t.Errorf("%d waits refused after", s.refused)
		}
	})
}
