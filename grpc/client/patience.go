package client

import "time"

// Patience is a circuit breaker: it bounds how long a caller is kept waiting in
// all. Waits use up what it has; when that is nothing they end at once, so that
// an annotator that is stopped costs its callers Full once and not with every
// frame. Verdicts that come, asked for or not, give some of it back: an
// annotator that keeps up is waited for without end, a slow one is not, and one
// that recovers is noticed without anybody trying.
//
// It may outlive sessions. It is not safe for concurrent use.
type Patience struct {
	left, full time.Duration
	session    *Session
	judged     uint64    // verdicts of session that were accounted for
	since      time.Time // when the last of them were
}

// What verdicts give back. The first two are what an annotator may need that has
// to share the machine; one that has it for itself needs a fifth.
const (
	perVerdict = 50 * time.Microsecond // for each verdict
	perWait    = time.Millisecond      // for each wait that succeeds
	share      = 10                    // and one in so many of the time that has passed
)

// NewPatience returns a Patience that is full.
func NewPatience(full time.Duration) *Patience {
	return &Patience{left: full, full: full, since: time.Now()}
}

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
	if err == nil {
		p.add(perWait)
	}
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
	n, now := s.Judged(), time.Now()
	if n > p.judged {
		p.add(time.Duration(min(n-p.judged, 1<<20))*perVerdict + now.Sub(p.since)/share)
		p.judged, p.since = n, now
	}
}

func (p *Patience) add(d time.Duration) { p.left = min(p.full, p.left+d) }
