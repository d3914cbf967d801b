//go:build cgo

package main

import "testing"

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
