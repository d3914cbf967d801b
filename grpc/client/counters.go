package client

import "sync/atomic"

// Counters count what became of the frames of all sessions of a [Conn].
type Counters struct {
	Queued   uint64 // frames taken in
	Dropped  uint64 // frames that Queue refused
	Sent     uint64 // frames given to the connection
	Judged   uint64 // verdicts received
	TimedOut uint64 // waits that ended without what was waited for
	Redials  uint64 // times that Open had to try again: the annotator had gone, or made way for another
}

type counters struct {
	queued, dropped, sent, judged, timedOut, redials atomic.Uint64
}

// Counters returns the counters as they are now.
func (c *Conn) Counters() Counters {
	return Counters{
		Queued: c.queued.Load(), Dropped: c.dropped.Load(), Sent: c.sent.Load(),
		Judged: c.judged.Load(), TimedOut: c.timedOut.Load(), Redials: c.redials.Load(),
	}
}
