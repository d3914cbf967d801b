package main

// remember notes the next frame.
func (f *feed) remember(r record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.records) == maxRecords {
		const half = maxRecords / 2
		f.gone += half
		f.records = f.records[:copy(f.records, f.records[half:])]
		f.index, f.indexed = nil, f.gone
	}
	f.records = append(f.records, r)
	if n := len(f.records); n&63 == 0 || n < 64 {
		f.announce()
	}
}

// count returns how many frames were taken so far. The lock is held.
func (f *feed) count() uint64 { return f.gone + uint64(len(f.records)) }

// record returns what is remembered of a position, waiting for the reader if
// it is still to come.
func (f *feed) record(n uint64, wait *patience) (r record, ok bool) {
	f.mu.Lock()
	come := n <= f.count()
	f.mu.Unlock()
	if !come {
		f.want(n)
		_ = f.until(wait, func() bool { return f.done || n <= f.count() })
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if n <= f.gone || n > f.count() {
		return r, false
	}
	return f.records[n-1-f.gone], true
}

// search returns the first position from a given one at which s was.
func (f *feed) search(key uint64, s *shot, from uint64) (uint64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.index == nil {
		f.index = make(map[uint64][]uint64)
	}
	for ; f.indexed < f.count(); f.indexed++ {
		k := f.records[f.indexed-f.gone].key
		f.index[k] = append(f.index[k], f.indexed+1)
	}
	for _, n := range f.index[key] {
		if n >= from && n > f.gone && f.records[n-1-f.gone].near(s) {
			return n, true
		}
	}
	return 0, false
}

// find is search, with the frames that are still to be read from the file.
func (f *feed) find(key uint64, s *shot, from uint64, wait *patience) (uint64, bool) {
	for {
		f.mu.Lock()
		seen, end := f.count(), f.done
		f.mu.Unlock()
		n, ok := f.search(key, s, from)
		if ok || end {
			return n, ok
		}
		if f.until(wait, func() bool { return f.done || f.count() > seen }) != nil {
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
	case !f.done && n > f.count():
		return errBehind
	}
	return errLost
}
