package main

import "ampulla/grpc/client"

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
	t := f.table
	if f.index == nil {
		f.index = make(map[uint64][]uint64)
	}
	f.indexed = max(f.indexed, t.gone())
	for ; f.indexed < t.known.Load(); f.indexed++ {
		if r, ok := t.at(f.indexed + 1); ok {
			f.index[r.key] = append(f.index[r.key], f.indexed+1)
		}
	}
	for _, n := range f.index[key] {
		if r, ok := t.at(n); n >= from && ok && r.near(s) {
			return n, true
		}
	}
	return 0, false
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
	case !f.done && n > f.table.known.Load():
		return errBehind
	}
	return errLost
}
