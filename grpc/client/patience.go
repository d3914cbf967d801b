package client

import "time"

// Patience is a circuit breaker: it bounds how long a caller is kept waiting in
// all. Waits use up what it has; when that is nothing they end at once, so that
// an annotator that is stopped costs its callers Full once and not with every
// frame, and a slow one little more. Verdicts that come, asked for or not, give
// some of it back: an annotator that keeps up is waited for without end. All of
// it is back some time later if everything is judged by then that was not waited
// for: an annotator that recovers is noticed without anybody trying.
//
// It may outlive sessions. It is not safe for concurrent use.
type Patience struct {
	left, full time.Duration
	session    *Session
	judged     uint64 // verdicts of session that were accounted for
	refused    uint64 // frames of session when a wait was refused last; 0 for none
	since      time.Time // when it was refused first
}

// What an annotator may need, on a machine that has much else to do: each wait
// that succeeds gives perWait back, and each verdict perVerdict. One that has
// the machine for itself needs a fifth. A slower one delays a capture by Full,
// and by perVerdict for each frame at most, or by perWait where frames cannot be
// asked for ahead of need.
const (
	perWait    = time.Millisecond
	perVerdict = 100 * time.Microsecond
)

// rest is how long after the first refusal Patience may be full again.
const rest = 10 * time.Second

// NewPatience returns a Patience that is full.
func NewPatience(full time.Duration) *Patience { return &Patience{left: full, full: full} }

// Spend calls wait with the time that it may take, or returns ErrTimeout when
// there is none left. The verdicts of s, which may be nil, count.
func (p *Patience) Spend(s *Session, wait func(time.Duration) error) error {
	p.earn(s)
	if p.Over() {
		p.refuse(s)
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
		p.session, p.judged, p.refused = s, 0, 0
	}
	n := s.Judged()
	p.add(time.Duration(min(n-p.judged, 1<<20)) * perVerdict)
	p.judged = n
	if p.refused > 0 && n >= p.refused && time.Since(p.since) >= rest {
		p.left, p.refused = p.full, 0
	}
}

func (p *Patience) refuse(s *Session) {
	if s == nil {
		return
	}
	if p.refused == 0 {
		p.since = time.Now()
	}
	p.refused = s.asked()
}

func (p *Patience) add(d time.Duration) { p.left = min(p.full, p.left+d) }
