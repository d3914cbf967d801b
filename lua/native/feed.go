package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/grpc/client"
)

// Bounds of one feed.
const (
	batch    = 1024     // frames to send at once
	maxEarly = 10_000   // frames to hold back until the session is open
	maxNote  = 3000     // bytes of a comment; ours have a few hundred
	maxNotes = 64 << 20 // bytes of all comments
)

const openTimeout = 10 * time.Second

// feed takes the frames of a capture to a session of its own: first those of a
// file, if there is one, up to a position, and then what is queued. It opens
// the session, and starts the annotator, in the background.
type feed struct {
	config
	table *table
	life  context.Context
	stop  context.CancelFunc

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when anything below changes
	session *client.Session
	early   []packet.Frame    // frames that came before session was there
	err     error             // why no frame is taken any more
	lost    time.Time         // since when
	done    bool              // nothing more comes from the file
	flushed bool              // early is in the session
	horizon uint64            // the file may be read up to this position
	notes   map[uint64]string // comments with a verdict, by position
	noted   int               // their bytes

	index index // for Wireshark's thread only
}

// newFeed begins to take the first limit frames of a file, which may be nil.
func newFeed(cfg config, t *table, file *os.File, limit uint64) *feed {
	f := &feed{config: cfg, table: t, notes: make(map[uint64]string), changed: make(chan struct{}), done: file == nil, horizon: cfg.ahead}
	f.life, f.stop = context.WithCancel(context.Background())
	go func() {
		defer f.survive()
		conn, session, err := f.open()
		if err != nil {
			f.fail(err)
			return
		}
		defer conn.Close()
		defer session.Close()
		if file != nil {
			f.read(session, io.NewSectionReader(file, 0, 1<<62), limit)
		}
		f.opened(session)
		<-f.life.Done()
	}()
	return f
}

// survive turns a panic into an error: it must not end Wireshark.
func (f *feed) survive() {
	if problem := recover(); problem != nil {
		f.fail(errPanic(problem))
	}
}

// open opens the session. It may take longer than Wireshark is kept waiting.
func (f *feed) open() (io.Closer, *client.Session, error) {
	ctx, cancel := context.WithTimeout(f.life, openTimeout)
	defer cancel()
	conn, err := client.Dial(ctx, f.dial)
	if err != nil {
		return nil, nil, err
	}
	session, err := client.Open(ctx, conn, client.Options{Client: f.client, Batch: batch, MaxQueued: 2 * maxEarly, Scores: f.table.rate, Terse: f.terse})
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.session = session
	f.announce()
	return conn, session, nil
}

// read queues the frames of a file until its end, or limit. What is behind a
// place that cannot be read comes from Wireshark, if at all.
func (f *feed) read(session *client.Session, file io.Reader, limit uint64) {
	r := pcapng.NewReader(file)
	for n := uint64(1); n <= limit; {
		b, err := r.Next()
		if err != nil {
			return
		}
		if !b.IsFrame() {
			continue
		}
		frame := b.Frame()
		if !f.mayRead(n) {
			return
		}
		if err := f.push(session, frame); err != nil {
			f.fail(err)
			return
		}
		r := f.table.rowOf(frame, b.Captured, b.Data())
		r.noted = f.config.notes && b.HasOptions() && f.note(n, b)
		f.remember(r)
		n++
	}
}

// note keeps the comment of a frame that has a verdict, if there is one: the last
// one. What it says is ai.lua's business.
func (f *feed) note(n uint64, b *pcapng.Block) bool {
	text := ""
	options := b.Options()
	for o, ok := options.Next(); ok; o, ok = options.Next() {
		if o.Code == pcapng.OptComment && len(o.Value) <= maxNote && bytes.Contains(o.Value, []byte("ai/")) {
			text = string(o.Value)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if text == "" || f.noted+len(text) > maxNotes {
		return false
	}
	f.notes[n] = text
	f.noted += len(text)
	return true
}

// noteOf returns the comment of a frame that has a verdict.
func (f *feed) noteOf(n uint64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notes[n]
}

// push queues a frame, waiting for room.
func (f *feed) push(session *client.Session, frame packet.Frame) error {
	for {
		err := session.Queue(frame)
		if !errors.Is(err, client.ErrFull) || f.life.Err() != nil {
			return err
		}
		_ = session.AwaitRoom(time.Second) // Queue says what went wrong
	}
}

// mayRead waits until position n is within the horizon.
func (f *feed) mayRead(n uint64) bool {
	for {
		f.mu.Lock()
		ok, changed := n <= f.horizon, f.changed
		f.mu.Unlock()
		if ok {
			return f.life.Err() == nil
		}
		select {
		case <-f.life.Done():
			return false
		case <-changed:
		}
	}
}

// opened queues what came before the session was there. From now on frames are
// queued directly.
func (f *feed) opened(session *client.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, frame := range f.early {
		if err := session.Queue(frame); err != nil && f.err == nil {
			f.err, f.lost = err, time.Now()
		}
	}
	f.early, f.done, f.flushed = nil, true, true
	f.announce()
}

// queue takes in the frame at position n, which follows all that the file had,
// waiting for room as long as wait has it.
func (f *feed) queue(n uint64, frame packet.Frame, r row, wait *client.Patience) error {
	f.want(n)
	err := f.until(wait, func() bool { return f.done })
	if err == nil && n != f.table.known.Load()+1 {
		err = errLost // some were shown before they could be taken in
	}
	held := false
	if err == nil {
		held, err = f.hold(frame)
	}
	if err == nil && !held {
		err = f.until(wait, func() bool { return f.flushed })
	}
	if err == nil && !held {
		session := f.current()
		if err = session.Queue(frame); errors.Is(err, client.ErrFull) {
			if err = wait.Spend(session, session.AwaitRoom); err == nil {
				err = session.Queue(frame)
			}
		}
	}
	if err != nil {
		f.fail(err) // what comes later would be judged wrongly
		return err
	}
	f.remember(r)
	return nil
}

// hold keeps a frame back while the session is not there, as far as there is
// room.
func (f *feed) hold(frame packet.Frame) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || f.flushed || len(f.early) == maxEarly {
		return false, f.err
	}
	f.early = append(f.early, frame)
	return true, nil
}

// current returns the session, nil if it is not there.
func (f *feed) current() *client.Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.session
}

// want moves the horizon so that position n, and what follows, may be read.
func (f *feed) want(n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n+f.ahead/2 > f.horizon {
		f.horizon = n + f.ahead
		f.announce()
	}
}

// until waits until done, which is called with the lock held, or the feed has
// failed.
func (f *feed) until(wait *client.Patience, done func() bool) error {
	f.mu.Lock()
	ok, err, session := done(), f.err, f.session
	f.mu.Unlock()
	if ok || err != nil {
		return err
	}
	return wait.Spend(session, func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		ok, err := f.settled(ctx.Done(), done)
		if err == nil && !ok {
			return client.ErrTimeout
		}
		return err
	})
}

// settled waits until done, which is called with the lock held, or the feed has
// failed; ok is false if it has, or if stop is closed before.
func (f *feed) settled(stop <-chan struct{}, done func() bool) (ok bool, err error) {
	for {
		f.mu.Lock()
		ok, err, changed := done(), f.err, f.changed
		f.mu.Unlock()
		if ok || err != nil {
			return ok, err
		}
		select {
		case <-changed:
		case <-stop:
			return false, nil
		}
	}
}

// fail notes why no frame is taken any more.
func (f *feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err, f.lost = err, time.Now()
	}
	f.announce()
}

// lose says why no frame is taken any more in other words, as of now.
func (f *feed) lose(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.lost = err, time.Now()
	f.announce()
}

// over tells whether no frame is taken any more.
func (f *feed) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil
}

// failed tells whether the feed has failed, or its session has, and long enough
// ago for another try.
func (f *feed) failed() bool {
	if s := f.current(); s != nil && s.Err() != nil {
		f.fail(s.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil && time.Since(f.lost) > f.retry
}

// announce wakes all who wait. The lock is held.
func (f *feed) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}
