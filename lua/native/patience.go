package main

import (
	"time"

	"ampulla/grpc/client"
)

// perVerdict is how much longer Wireshark may be kept waiting for each verdict
// that has come.
const perVerdict = time.Millisecond

// patience bounds how long Wireshark waits: for an annotator that does not
// answer, full in all and then no more; for one that does, longer, but never
// longer than full at a time.
type patience struct {
	left, full time.Duration
	judged     uint64 // verdicts that were accounted for
}

// spend calls wait with the time it may take at most. It is not called when
// there is no time left.
func (p *patience) spend(s *client.Session, wait func(time.Duration) error) error {
	p.earn(s)
	if p.over() {
		return client.ErrTimeout
	}
	begin := time.Now()
	err := wait(p.left)
	p.left -= time.Since(begin)
	p.earn(s)
	return err
}

// over tells whether there is no time left.
func (p *patience) over() bool { return p.left < time.Millisecond }

func (p *patience) earn(s *client.Session) {
	if s == nil {
		return
	}
	n := s.Judged()
	if n > p.judged {
		p.left = min(p.full, p.left+time.Duration(min(n-p.judged, 1<<20))*perVerdict)
	}
	p.judged = n
}
