// Package bridge carries a capture in the making from its source to Wireshark
// and has the annotator judge it on the way. Frames go on as they came, with
// verdicts as comments.
//
//	source -> backlog -> rewrite (judge asks the annotator) -> Wireshark
//
// It fails open: a frame whose verdict does not come in time goes on without
// one, and is counted. Nothing but Wireshark itself can hold a capture up.
package bridge

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"ampulla/annotator/backlog"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

// Config says how a [Bridge] works.
type Config struct {
	Conn    *client.Conn    // required
	Session *client.Session // required; the bridge closes it
	Options client.Options  // of that session and the next ones, see SessionOptions

	Comments    rewrite.Comments // which frames get one; CommentFlagged if empty
	Threshold   float64          // frames with a higher score are flagged, 0 to 1
	OnlyFlagged bool             // leave out other frames, but for Context around them
	Context     int
	Provenance  verdict.Provenance

	// Deadline is how long after its arrival a frame may be held back for its
	// verdict; DefaultDeadline if zero.
	Deadline time.Duration
	// MaxQueue bounds the frames that wait, in bytes; DefaultMaxQueue if zero.
	MaxQueue int
	// MaxBlock is the longest block that may be written because of a comment,
	// in bytes.
	MaxBlock int
	// TooLong, if set, returns how many frames the source left out since Wireshark
	// does not take them.
	TooLong func() uint64
	// Log, if set, is told what people should know, a line at a time.
	Log func(line string)
}

// Defaults of Config.
const (
	DefaultDeadline = time.Second
	DefaultMaxQueue = 256 << 20
)

// keep is how many verdicts a session keeps: each is looked at soon, and once.
const keep = 1 << 15

// SessionOptions returns those of the sessions of a Bridge. The program is its
// name and version.
func SessionOptions(program string) client.Options {
	return client.Options{Client: program, Keep: keep}
}

// Bridge is one capture on its way. All methods but Run are safe for concurrent
// use.
type Bridge struct {
	cfg       Config
	counters  counters
	threshold atomic.Pointer[float64]
	paused    atomic.Bool
	findings  findings
	session   atomic.Pointer[client.Session] // nil while there is no annotator

	told   time.Time // when statistics were last written
	toldOf uint64    // frames without a verdict at that time
}

// counters are frames, but for sessions.
type counters struct {
	frames, flagged, omitted, dropped atomic.Uint64
	late, absent, paused              atomic.Uint64
	sessions                          atomic.Uint64
}

// Stats is what happened so far.
type Stats struct {
	Frames  uint64 // that came
	Flagged uint64 // of these, with a score above the threshold
	Omitted uint64 // of these, left out because they are not flagged
	TooLong uint64 // that did not come, see Config.TooLong
	Dropped uint64 // that did not come, as the kernel lost them; known at the end

	// Frames without a verdict, by reason.
	Late   uint64 // the annotator is too slow
	Absent uint64 // there was no annotator
	Paused uint64 // nobody wanted one

	Sessions uint64 // begun, one more each time the annotator came back
}

// Unjudged is how many frames have no verdict.
func (s Stats) Unjudged() uint64 { return s.Late + s.Absent + s.Paused }

// New returns a Bridge that is not yet running.
func New(cfg Config) *Bridge {
	if cfg.Deadline <= 0 {
		cfg.Deadline = DefaultDeadline
	}
	if cfg.MaxQueue <= 0 {
		cfg.MaxQueue = DefaultMaxQueue
	}
	b := &Bridge{cfg: cfg}
	b.SetThreshold(cfg.Threshold)
	b.counters.sessions.Store(1)
	b.session.Store(cfg.Session)
	return b
}

// Incidents returns the incidents that the annotator knows of, as far as it answers
// within d; nil if it does not.
func (b *Bridge) Incidents(d time.Duration) []verdict.Incident {
	s := b.session.Load()
	if s == nil {
		return nil
	}
	incidents, _, err := s.Incidents(d)
	if err != nil {
		return nil
	}
	return incidents
}

// Run carries frames from in to out until in ends; ctx is asked between batches
// only. An error of in comes when all before it was written. When in was read to
// its end, or out is gone, nothing is left running; otherwise a Read of in may
// still wait.
func (b *Bridge) Run(ctx context.Context, in io.Reader, out io.Writer) error {
	q := backlog.New(b.cfg.MaxQueue)
	defer q.Close()
	go q.Fill(in)
	j := b.newJudge(q)
	defer j.close()
	b.told = time.Now()
	_, err := rewrite.Annotate(ctx, q, out, rewrite.Config{
		Engine:      j,
		OnVerdict:   b.find,
		Comments:    b.cfg.Comments,
		Threshold:   b.cfg.Threshold,
		Adjust:      b.adjust,
		OnlyFlagged: b.cfg.OnlyFlagged,
		Context:     b.cfg.Context,
		Provenance:  b.cfg.Provenance,
		Statistics:  b.statistics,
		MaxBytes:    b.cfg.MaxQueue / 8,
		MaxBlock:    b.cfg.MaxBlock,
	})
	return err
}

func (b *Bridge) newJudge(q *backlog.Backlog) *judge {
	j := &judge{
		conn: b.cfg.Conn, options: b.cfg.Options, deadline: b.cfg.Deadline, behind: q.Behind,
		paused: &b.paused, current: &b.session, counters: &b.counters, log: b.log,
		session: b.cfg.Session, patience: client.NewPatience(b.cfg.Deadline),
		reopened: make(chan *client.Session, 1),
	}
	j.life, j.end = context.WithCancel(context.Background())
	return j
}

func (b *Bridge) log(format string, args ...any) {
	if b.cfg.Log != nil {
		b.cfg.Log(fmt.Sprintf(format, args...))
	}
}

// Threshold returns the score above which frames are flagged.
func (b *Bridge) Threshold() float64 { return *b.threshold.Load() }

// SetThreshold moves the threshold, from the next batch on.
func (b *Bridge) SetThreshold(score float64) { b.threshold.Store(&score) }

// Pause stops asking for verdicts, or goes on with it.
func (b *Bridge) Pause(pause bool) { b.paused.Store(pause) }

// Stats returns what happened so far.
func (b *Bridge) Stats() Stats {
	c := &b.counters
	s := Stats{
		Frames: c.frames.Load(), Flagged: c.flagged.Load(), Omitted: c.omitted.Load(), Dropped: c.dropped.Load(),
		Late: c.late.Load(), Absent: c.absent.Load(), Paused: c.paused.Load(), Sessions: c.sessions.Load(),
	}
	if b.cfg.TooLong != nil {
		s.TooLong = b.cfg.TooLong()
	}
	return s
}

// tellEvery is how often at most frames without a verdict are told in the
// capture itself.
const tellEvery = 10 * time.Second

// statistics returns the comment of a statistics block: at the end, and now and
// then as long as frames go without a verdict. Wireshark stops reading when
// people stop the capture, so that the end alone would not do.
func (b *Bridge) statistics(c rewrite.Counts, end bool) string {
	b.counters.frames.Store(c.Frames)
	b.counters.flagged.Store(c.Flagged)
	b.counters.omitted.Store(c.Omitted)
	b.counters.dropped.Store(c.Dropped)
	news := c.Unjudged > b.toldOf && time.Since(b.told) >= tellEvery
	if !end && !news {
		return ""
	}
	b.told, b.toldOf = time.Now(), c.Unjudged
	return b.Stats().Comment()
}

// Comment returns s in the form that all comments of ours have.
func (s Stats) Comment() string {
	return fmt.Sprintf("AI: %v\nai/1 statistics=capture frames=%d flagged=%d omitted=%d toolong=%d dropped=%d late=%d absent=%d paused=%d sessions=%d",
		s, s.Frames, s.Flagged, s.Omitted, s.TooLong, s.Dropped, s.Late, s.Absent, s.Paused, s.Sessions)
}

// String returns s as a sentence.
func (s Stats) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d frames, %d flagged", s.Frames, s.Flagged)
	for _, part := range []struct {
		n    uint64
		what string
	}{
		{s.Omitted, "left out as not flagged"},
		{s.TooLong, "left out as too long for Wireshark's pipe"},
		{s.Dropped, "lost by the kernel as nobody took them in time"},
		{s.Late, "without a verdict as the annotator was too slow"},
		{s.Absent, "without a verdict as there was no annotator"},
		{s.Paused, "without a verdict as scoring was paused"},
	} {
		if part.n > 0 {
			fmt.Fprintf(&text, ", %d %s", part.n, part.what)
		}
	}
	return text.String()
}
