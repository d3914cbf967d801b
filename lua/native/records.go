package main

import (
	"slices"

	"ampulla/grpc/client"
)

// remember notes the next frame.
func (f *feed) remember(r row) {
	f.table.add(r)
	if n := f.table.known.Load(); n&63 == 0 || n < 64 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.announce()
	}
}

// row returns what is remembered of a position, waiting for the reader if it is
// still to come.
func (f *feed) row(n uint64, wait *client.Patience) (row, bool) {
	if n > f.table.known.Load() {
		f.want(n)
		_ = f.until(wait, func() bool { return f.done || n <= f.table.known.Load() })
	}
	return f.table.at(n)
}

// search returns the first position from a given one at which s was.
func (f *feed) search(key uint64, s *shot, from uint64) (uint64, bool) {
	f.index.extend(f.table)
	all := f.index.positions[key]
	first, _ := slices.BinarySearch(all, from)
	for _, n := range all[first:] {
		if r, ok := f.table.at(n); ok && r.near(s) {
			return n, true
		}
	}
	return 0, false
}

// index finds positions by key.
type index struct {
	positions map[uint64][]uint64 // in order
	from, to  uint64              // it has those behind from, up to to
}

// extend takes in what a table has got since. The index begins anew when half of
// what it holds is forgotten.
func (x *index) extend(t *table) {
	if gone := t.gone(); x.positions == nil || gone-x.from >= maxRows/2 {
		*x = index{make(map[uint64][]uint64), gone, gone}
	}
	for ; x.to < t.known.Load(); x.to++ {
		if r, ok := t.at(x.to + 1); ok {
			x.positions[r.key] = append(x.positions[r.key], x.to+1)
		}
	}
}

// find is search, with the frames that are still to be read from the file.
func (f *feed) find(key uint64, s *shot, from uint64, wait *client.Patience) (uint64, bool) {
	for {
		f.mu.Lock()
		seen, end := f.table.known.Load(), f.done
		f.mu.Unlock()
		n, ok := f.search(key, s, from)
		if ok || end {
			return n, ok
		}
		f.want(seen + 1)
		if f.until(wait, func() bool { return f.done || f.table.known.Load() > seen }) != nil {
			return 0, false
		}
	}
}

// state returns why a position is not known.
func (f *feed) state(n uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.err != nil:
		return f.err
	case n <= f.table.gone():
		return client.ErrForgotten
	case !f.done && n > f.table.known.Load():
		return errBehind
	}
	return errLost
}
