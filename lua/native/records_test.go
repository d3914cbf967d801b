//go:build cgo

package main

import (
	"errors"
	"testing"

	"ampulla/grpc/client"
)

// TestSearch looks for frames that are alike but for their time.
func TestSearch(t *testing.T) {
	c := bare(t, 1)
	f := &feed{table: c.table}
	at := func(seconds int64) *shot {
		return &shot{nanos: seconds * second, time: float64(seconds), caught: 60, data: make([]byte, 60)}
	}
	key := c.row(at(1)).key
	for _, seconds := range []int64{1, 2, 1, 3, 1} {
		c.add(c.row(at(seconds)))
	}
	for _, tt := range []struct {
		seconds int64 // 0 for no time
		from    uint64
		want    uint64 // 0 for none
	}{
		{1, 0, 1}, {1, 1, 1}, {1, 2, 3}, {1, 4, 5}, {1, 6, 0}, {2, 1, 2}, {2, 3, 0}, {3, 1, 4}, {4, 1, 0}, {0, 2, 2},
	} {
		if got, ok := f.search(key, at(tt.seconds), tt.from); got != tt.want || ok != (tt.want > 0) {
			t.Errorf("second %d from %d: %d, %v, want %d", tt.seconds, tt.from, got, ok, tt.want)
		}
	}
	if got, ok := f.search(key+1, at(1), 0); ok {
		t.Errorf("a key that no frame has: %d", got)
	}

	c.known.Store(maxRows) // by rows that are empty
	c.add(c.row(at(1)))
	if got, ok := f.search(key, at(1), 0); !ok || got != maxRows+1 {
		t.Errorf("%d, %v, want the one that is not forgotten", got, ok)
	}
	if n := len(f.index.positions[key]); n != 1 {
		t.Errorf("the index has %d positions, all but one of them forgotten", n)
	}
}

// TestState says why positions are not known.
func TestState(t *testing.T) {
	c := bare(t, maxRows)
	f := &feed{table: c.table}
	for _, tt := range []struct {
		position uint64
		done     bool
		want     error
	}{
		{1, false, client.ErrForgotten}, {maxRows/2 - 1, true, client.ErrForgotten},
		{maxRows, false, errBehind}, {maxRows, true, errLost},
	} {
		f.done = tt.done
		if err := f.state(tt.position); !errors.Is(err, tt.want) {
			t.Errorf("position %d: %v, want %v", tt.position, err, tt.want)
		}
	}
	f.err = client.ErrGone
	if err := f.state(1); !errors.Is(err, client.ErrGone) {
		t.Errorf("%v, want %v", err, client.ErrGone)
	}
}

// TestOutOfPlace queues a frame behind one that was not taken in: it and what
// follows would be judged wrongly.
func TestOutOfPlace(t *testing.T) {
	w := newWireshark(t, asking(start(t, socketPath(t)).path))
	w.begin(1)
	s := &shot{caught: 60, data: make([]byte, 60), length: 60}
	for i, tt := range []struct {
		position uint64
		want     error
	}{{1, nil}, {3, errLost}, {2, errLost}} {
		if err := w.feed.queue(tt.position, s.frame(), w.row(s), w.wait); !errors.Is(err, tt.want) {
			t.Errorf("call %d: %v, want %v", i+1, err, tt.want)
		}
	}
}
