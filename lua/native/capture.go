package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

// config says how a capture asks.
type config struct {
	dial   client.Config
	client string // name and version
	// patience is how long Wireshark waits at most, see the type.
	patience time.Duration
	// ahead is how many frames of the capture file to read beyond the last one
	// that somebody asked for, some hundreds at least; 0 for not reading it. An
	// eager capture begins with the first frame, and not only when somebody looks.
	ahead uint64
	eager bool
	// notes lets a comment of the file stand for a verdict.
	notes bool
	// terse leaves out what nobody asks for who only looks at scores.
	terse bool
	// retry is how long after an annotator was lost to ask for one again.
	retry time.Duration
}

// answer says what there is to know about a frame.
type answer int

const (
	nothing answer = iota // nobody looks
	judged                // a verdict
	noted                 // a comment with a verdict
	exactly               // the exact time and the link type are needed: ask again
	wrong                 // there is no verdict, and a reason
)

var (
	errBehind = errors.New("annotator has not come that far")
	errLost   = errors.New("frame was not seen when the capture was opened")
)

func errPanic(problem any) error { return fmt.Errorf("bug in the native module: %v", problem) }

// found is what there is to know.
type found struct {
	answer
	position uint64 // if judged
	score    float64
	note     string // if noted
	err      error  // if wrong
}

func failed(err error) found { return found{answer: wrong, err: err} }

// capture knows the verdicts of one capture. Frames are dissected in order the
// first time, and in any order afterwards.
//
// The file is looked for among those that this process has open. If it is
// found, its frames go to the annotator ahead of the dissection, or at the
// first look; each is compared with what Wireshark shows before its verdict is
// used. Otherwise, and behind the end of a file that grows, frames go as they
// are dissected. Verdicts are the same.
//
// It is not safe for concurrent use.
type capture struct {
	config
	*table
	file   *os.File // nil if frames go as they are dissected
	left   bool     // they do, since what is shown is no longer what the file has
	feed   *feed    // nil until there is something to send
	next   *feed    // which takes its place once it has a session; nil for none
	last   uint64   // position of the last frame that was looked at again
	wanted uint64   // the feed knows that up to here somebody looks
	wait   *client.Patience
	work   *work // that the user waits for, nil for none
}

func newCapture(cfg config) (*capture, error) {
	t, err := newTable()
	return &capture{config: cfg, table: t, wait: client.NewPatience(cfg.patience)}, err
}

// close ends the session.
func (c *capture) close() {
	c.stop()
	if c.feed != nil {
		c.feed.stop()
	}
	if c.next != nil {
		c.next.stop()
	}
	if c.file != nil {
		_ = c.file.Close()
	}
}

// pass notes that a frame is dissected for the first time and nobody looks. It
// returns false if shown has to be called instead; tshark stops calling it once
// it has returned true.
func (c *capture) pass(number uint64) bool {
	if c.file == nil || c.feed != nil {
		return false
	}
	c.step(c.passed+1, number)
	return true
}

// shown takes in what Wireshark shows, and returns what there is to know if
// somebody looks.
func (c *capture) shown(s *shot) found {
	if c.passed == 0 && s.visited {
		c.second = 1
	}
	if s.visited && !(c.second != 0 && s.number > c.passed) {
		if !s.look {
			return found{}
		}
		return c.again(s)
	}
	if c.passed == 0 && c.ahead > 0 && c.file == nil {
		c.file = findFile(s, c.table)
	}
	if c.file != nil && c.feed == nil && !s.look && !c.eager {
		c.step(c.passed+1, s.number)
		return found{}
	}
	n, err := c.follow(s)
	if n == 0 && err == nil {
		if !s.exact {
			return found{answer: exactly}
		}
		n = c.passed + 1
		if r, ok := c.at(c.passed); ok && s.nanos == 0 {
			s.nanos = r.time // what has no time stamp has that of the frame before, as in package pcapng
		}
		err = c.feed.queue(n, s.frame(), c.row(s), c.wait)
	}
	c.step(max(n, c.passed+1), s.number)
	switch {
	case !s.look:
		return found{}
	case err != nil:
		return failed(err)
	}
	return c.judge(n)
}

// begin starts the feed, unless it is there. One that was lost before it knew
// position n gets a successor: the file has all frames still, and the annotator
// may be back.
func (c *capture) begin(n uint64) {
	switch {
	case c.feed == nil:
		c.feed = newFeed(c.config, c.table, c.file, math.MaxUint64)
	case c.file != nil && !c.left && n > c.judged.Load() && (c.next != nil || c.feed.failed()):
		c.succeed()
	}
}

// succeed has another feed take the place of the one that was lost, if there is an
// annotator. Otherwise what the old one knows stays, and it says why there is no
// more.
func (c *capture) succeed() {
	if c.next == nil {
		t, err := newTable()
		if err != nil {
			c.feed.lose(err)
			return
		}
		c.next = newFeed(c.config, t, c.file, math.MaxUint64)
	}
	switch err := c.next.until(c.wait, func() bool { return c.next.session != nil }); {
	case err == nil:
		c.replace(c.next)
	case c.next.over():
		c.feed.lose(err)
		c.next.stop()
		c.next = nil
	}
}

// restart begins anew, with the first limit frames of the file.
func (c *capture) restart(limit uint64) {
	t, err := newTable()
	if err != nil {
		c.feed.lose(err)
		return
	}
	c.replace(newFeed(c.config, t, c.file, limit))
}

// replace ends the feed and has another one in its place.
func (c *capture) replace(f *feed) {
	f.table.inherit(c.table)
	c.feed.stop()
	if c.next != nil && c.next != f {
		c.next.stop()
	}
	c.table, c.feed, c.next, c.wanted = f.table, f, nil, 0
}

// follow returns the position of the next frame in the file, 0 if it is not
// from there and has to be queued.
func (c *capture) follow(s *shot) (uint64, error) {
	next := c.passed + 1
	c.begin(next)
	if c.file == nil || c.left {
		return 0, nil
	}
	r, ok := c.feed.row(next, c.wait)
	if !ok {
		if err := c.state(next); !errors.Is(err, errLost) {
			return 0, err
		}
		return 0, nil // behind the end of the file
	}
	key := c.row(s).key
	if r.key == key && r.near(s) {
		return next, nil
	}
	if n, ok := c.feed.find(key, s, next, c.wait); ok {
		return n, nil // Wireshark kept some to itself
	}
	c.left = true
	c.restart(c.passed)
	return 0, nil
}

// again returns what there is to know of a frame that was dissected before.
func (c *capture) again(s *shot) found {
	n, sure := c.position(s.number)
	c.begin(n)
	key := c.row(s).key
	r, ok := c.feed.row(n, c.wait)
	if ok && r.key == key && r.near(s) && (sure || n > c.last) {
		c.last = n
		c.call(n, s.number)
		return c.judge(n)
	}
	// Of frames that look alike, the next one.
	m, known := c.feed.find(key, s, c.last+1, c.wait)
	if !known {
		m, known = c.feed.search(key, s, 1)
	}
	if known {
		c.last = m
		c.call(m, s.number)
		return c.judge(m)
	}
	if ok && r.key == key {
		return c.judge(n) // its time was shifted
	}
	return failed(c.state(n))
}

// state returns why a position is not known.
func (c *capture) state(n uint64) error {
	err := c.feed.state(n)
	if errors.Is(err, errBehind) && c.wait.Over() {
		return client.ErrTimeout
	}
	return err
}

// judge returns what there is to know of a position, waiting for it if need be.
func (c *capture) judge(n uint64) found {
	c.begin(n)
	f := c.feed
	if r, ok := f.row(n, c.wait); ok && r.noted {
		return found{answer: noted, note: f.noteOf(n)}
	}
	if n > c.wanted {
		c.wanted = n + c.ahead/4
		f.want(c.wanted)
	}
	session := f.current()
	if session == nil {
		err := f.until(c.wait, func() bool { return f.session != nil })
		if session = f.current(); session == nil {
			return failed(err)
		}
	}
	if !session.Has(n) { // held back still
		_ = f.until(c.wait, func() bool { return session.Has(n) })
	}
	v, ok, err := session.Poll(n)
	if !ok && err == nil {
		err = c.wait.Spend(session, func(d time.Duration) error { return session.Await(n, d) })
		if err == nil {
			v, ok, err = session.Poll(n)
		}
	}
	switch {
	case ok:
		return found{answer: judged, position: n, score: v.Score}
	case errors.Is(err, client.ErrUnknownFrame):
		err = f.state(n)
	}
	return failed(err)
}

// verdict returns the verdict of a position that was judged, and the last frame
// so far of its incident, both frames of that by number. The first is 0 if it has
// none; the last is that of the position then, as what follows was not dissected
// yet.
func (c *capture) verdict(n uint64) (v verdict.Verdict, last uint64) {
	if c.feed == nil || c.feed.current() == nil {
		return v, 0
	}
	session := c.feed.current()
	v, _, _ = session.Poll(n)
	if v.Incident == 0 {
		return v, 0
	}
	v.IncidentFirst = c.number(v.IncidentFirst)
	return v, cmp.Or(c.number(session.Last(v.Incident)), c.number(n))
}

// inWords returns an error in a few words.
func inWords(err error) string {
	switch {
	case err == nil:
		return errBehind.Error()
	case errors.Is(err, client.ErrGone):
		return client.ErrGone.Error()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

// cut returns a text, or what of it fits into so many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
