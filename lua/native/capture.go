package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
)

// config says how a capture asks.
type config struct {
	dial   client.Config
	client string // name and version
	// patience is how long Wireshark waits at most, see the type.
	patience time.Duration
	// ahead allows to read the capture file; eager does so from the first frame
	// on, and not only when somebody looks.
	ahead, eager bool
}

// answer says what there is to know about a frame.
type answer int

const (
	nothing answer = iota // nobody looks
	judged                // a verdict
	exactly               // the exact time and the link type are needed: ask again
	wrong                 // there is no verdict, and a reason
)

var (
	errBehind = errors.New("annotator has not come that far")
	errLost   = errors.New("frame was not seen when the capture was opened")
)

func errPanic(problem any) error { return fmt.Errorf("bug in the native module: %v", problem) }

// capture knows the verdicts of one capture. Frames are dissected in order the
// first time, and in any order afterwards. They have positions, from 1, in the
// file and in the session; Wireshark numbers them otherwise when a read filter
// drops some.
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
	keys    keeper
	file    *os.File // nil if frames go as they are dissected
	feed    *feed    // nil until there is something to send
	passed  uint64   // position of the last frame dissected for the first time
	numbers []uint32 // position by Wireshark's number
	last    uint64   // position of the last frame found by a search
	second  bool     // the first pass kept frames to itself, they go in the second
	wanted  uint64   // the feed knows that up to here somebody looks
	wait    patience
}

func newCapture(cfg config) *capture {
	return &capture{config: cfg, keys: newKeeper(), wait: patience{left: cfg.patience, full: cfg.patience}}
}

// close ends the session.
func (c *capture) close() {
	if c.feed != nil {
		c.feed.stop()
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

// step notes that the frame at a position has a number now. The number of a
// frame that a read filter drops is given again to the next one.
func (c *capture) step(position, number uint64) {
	c.passed = position
	if number >= maxRecords || position > math.MaxUint32 {
		return
	}
	for uint64(len(c.numbers)) <= number {
		c.numbers = append(c.numbers, 0)
	}
	c.numbers[number] = uint32(position)
}

// shown takes in what Wireshark shows, and returns the verdict if somebody
// looks.
func (c *capture) shown(s *shot) (verdict.Verdict, answer, error) {
	if c.passed == 0 {
		c.second = s.visited
	}
	if s.visited && !(c.second && s.number > c.passed) {
		if !s.look {
			return verdict.Verdict{}, nothing, nil
		}
		return c.again(s)
	}
	if c.passed == 0 && c.ahead && c.file == nil {
		c.file = findFile(s, c.keys)
	}
	if c.file != nil && c.feed == nil && !s.look && !c.eager {
		c.step(c.passed+1, s.number)
		return verdict.Verdict{}, nothing, nil
	}
	n, err := c.follow(s)
	if n == 0 && err == nil {
		if !s.exact {
			return verdict.Verdict{}, exactly, nil
		}
		n = c.passed + 1
		err = c.feed.queue(s.frame(), record{s.nanos, c.keys.of(s.length, s.caught, s.data)}, &c.wait)
	}
	c.step(max(n, c.passed+1), s.number)
	switch {
	case !s.look:
		return verdict.Verdict{}, nothing, nil
	case err != nil:
		return verdict.Verdict{}, wrong, err
	}
	return c.verdict(n)
}

// begin starts the feed, unless it is.
func (c *capture) begin() {
	if c.feed == nil {
		c.feed = newFeed(c.config, c.keys, c.file, math.MaxUint64)
	}
}

// follow returns the position of the next frame in the file, 0 if it is not
// from there and has to be queued.
func (c *capture) follow(s *shot) (uint64, error) {
	c.begin()
	if c.file == nil {
		return 0, nil
	}
	next := c.passed + 1
	r, ok := c.feed.record(next, &c.wait)
	if !ok {
		if err := c.state(next); !errors.Is(err, errLost) {
			return 0, err
		}
		return 0, nil // behind the end of the file
	}
	key := c.keys.of(s.length, s.caught, s.data)
	if r.key == key && r.near(s) {
		return next, nil
	}
	if n, ok := c.feed.find(key, s, next, &c.wait); ok {
		return n, nil // Wireshark kept some to itself
	}
	// Not the file that is shown: only up to here.
	c.feed.stop()
	c.feed, c.wanted = newFeed(c.config, c.keys, c.file, c.passed), 0
	return 0, nil
}

// again returns the verdict of a frame that was dissected before.
func (c *capture) again(s *shot) (verdict.Verdict, answer, error) {
	c.begin()
	n := s.number
	if n < uint64(len(c.numbers)) && c.numbers[n] != 0 {
		n = uint64(c.numbers[n])
	}
	key := c.keys.of(s.length, s.caught, s.data)
	r, ok := c.feed.record(n, &c.wait)
	if ok && r.key == key && r.near(s) {
		return c.verdict(n)
	}
	// Of frames that look alike, the next one.
	m, found := c.feed.search(key, s, c.last+1)
	if !found {
		m, found = c.feed.find(key, s, 1, &c.wait)
	}
	if found {
		c.last = m
		return c.verdict(m)
	}
	if ok && r.key == key {
		return c.verdict(n) // its time was shifted
	}
	return verdict.Verdict{}, wrong, c.state(n)
}

// state returns why a position is not known.
func (c *capture) state(n uint64) error {
	err := c.feed.state(n)
	if errors.Is(err, errBehind) && c.wait.over() {
		return client.ErrTimeout
	}
	return err
}

// verdict returns the verdict of a position, waiting for it if need be.
func (c *capture) verdict(n uint64) (verdict.Verdict, answer, error) {
	f := c.feed
	if n > c.wanted {
		c.wanted = n + maxAhead/4
		f.want(c.wanted)
	}
	session := f.current()
	if session == nil {
		err := f.until(&c.wait, func() bool { return f.session != nil })
		if session = f.current(); session == nil {
			return verdict.Verdict{}, wrong, err
		}
	}
	v, ok, err := session.Poll(n)
	if errors.Is(err, client.ErrUnknownFrame) { // held back still
		_ = f.until(&c.wait, func() bool { return session.Has(n) })
		v, ok, err = session.Poll(n)
	}
	if !ok && err == nil {
		err = c.wait.spend(session, func(d time.Duration) error { return session.Await(n, d) })
		if err == nil {
			v, ok, err = session.Poll(n)
		}
	}
	switch {
	case ok:
		return v, judged, nil
	case errors.Is(err, client.ErrUnknownFrame):
		err = f.state(n)
	}
	return v, wrong, err
}

// inWords returns an error in a few words.
func inWords(err error) string {
	switch {
	case err == nil:
		return errBehind.Error()
	case errors.Is(err, io.EOF) || errors.Is(err, context.Canceled):
		return "annotator has gone"
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text[:min(len(text), 300)]
}
