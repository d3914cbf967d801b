package client

import "time"

// Patience is a circuit breaker: it bounds how long a caller is kept waiting,
// in all, by an annotator that does not answer. Waits use up what it has; when
// that is nothing they end at once, so that an annotator that is stopped costs
// its callers Full once and not with every frame. Verdicts that come, asked for
// or not, give some of it back: an annotator that is at work is waited for, and
// one that recovers is noticed without anybody trying.
//
// It may outlive sessions. It is not safe for concurrent use.
type Patience struct {
	left, full time.Duration
	session    *Session
	judged     uint64 // verdicts of session that were accounted for
}

// perVerdict is how much patience a verdict gives back.
const perVerdict = time.Millisecond

// NewPatience returns a Patience that is full.
func NewPatience(full time.Duration) *Patience { return &Patience{left: full, full: full} }

// Spend calls wait with the time that it may take, or returns ErrTimeout when
// there is none left. The verdicts of s, which may be nil, count.
func (p *Patience) Spend(s *Session, wait func(time.Duration) error) error {
	p.earn(s)
	if p.Over() {
		return ErrTimeout
	}
	begin := time.Now()
	err := wait(p.left)
	p.left = max(0, p.left-time.Since(begin))
	p.earn(s)
	return err
}

// Over tells whether nobody waits any more, until verdicts come.
func (p *Patience) Over() bool { return p.left < time.Millisecond }

func (p *Patience) earn(s *Session) {
	if s == nil {
		return
	}
	if s != p.session {
		p.session, p.judged = s, 0
	}
	n := s.Judged()
	p.left = min(p.full, p.left+time.Duration(min(n-p.judged, 1<<20))*perVerdict)
	p.judged = n
}
