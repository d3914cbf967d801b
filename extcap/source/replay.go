package source

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ampulla/annotator/pcapng"
)

// Replay is a saved capture that happens again. Frames keep their time stamps.
type Replay struct {
	maxBlock int
	omitted  atomic.Uint64

	file   *os.File
	reader *pcapng.Reader
	speed  float64
	err    error  // from reading the file
	rest   []byte // of the block being read

	began time.Time // when the first frame was due
	first int64     // its time stamp, nanoseconds

	stop    chan struct{}
	stopped sync.Once
}

// OpenReplay opens a capture of any kind that package pcapng reads. It is
// replayed at a multiple of its own pace, or as fast as it is read if speed is
// 0. Blocks of more than maxBlock bytes, which Wireshark would not take, are left
// out. The error says what is wrong with the file.
func OpenReplay(path string, speed float64, maxBlock int) (*Replay, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Replay{maxBlock: maxBlock, file: file, reader: pcapng.NewReader(file), speed: speed, stop: make(chan struct{})}
	b, err := r.reader.Next()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.rest = append(r.rest, b.Raw...)
	return r, nil
}

// Read yields what is due, waiting for it if need be. An error of the file comes
// when all before it was read.
func (r *Replay) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err == nil {
			r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next gets the next block and waits until it is due.
func (r *Replay) next() {
	b, err := r.reader.Next()
	if err != nil {
		r.err = err
		return
	}
	if len(b.Raw) > r.maxBlock {
		r.omitted.Add(1)
		return
	}
	if b.IsFrame() && !r.wait(b.Time) {
		r.err = io.EOF
		return
	}
	r.rest = b.Raw
}

// wait waits until a frame of this time is due. It returns false when the replay
// was stopped.
func (r *Replay) wait(stamp int64) bool {
	var wait time.Duration
	if r.speed > 0 {
		if r.began.IsZero() {
			r.began, r.first = time.Now(), stamp
		}
		wait = time.Until(r.began.Add(time.Duration(float64(stamp-r.first) / r.speed)))
	}
	if wait <= 0 {
		select {
		case <-r.stop:
			return false
		default:
			return true
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.stop:
		return false
	case <-timer.C:
		return true
	}
}

// Omitted returns how many blocks were too long so far.
func (r *Replay) Omitted() uint64 { return r.omitted.Load() }

// Stop ends the replay.
func (r *Replay) Stop() { r.stopped.Do(func() { close(r.stop) }) }

// Close ends the replay and closes the file.
func (r *Replay) Close() error {
	r.Stop()
	return r.file.Close()
}
