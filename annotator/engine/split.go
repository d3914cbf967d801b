package engine

import (
	"iter"
	"slices"
)

// part is the half-open range [from, to).
type part struct{ from, to int }

// split cuts n items into at most workers contiguous parts of equal size.
func split(n, workers int) iter.Seq2[int, part] {
	return func(yield func(int, part) bool) {
		for w := range workers {
			p := part{n * w / workers, n * (w + 1) / workers}
			if p.from < p.to && !yield(w, p) {
				return
			}
		}
	}
}

// batches cuts n items into parts of at most size items.
func batches(n, size int) iter.Seq[part] {
	return func(yield func(part) bool) {
		for from := 0; from < n; from += size {
			if !yield(part{from, min(from+size, n)}) {
				return
			}
		}
	}
}

// grow lengthens s by n elements, whose content is undefined.
func grow[T any](s []T, n int) []T {
	return slices.Grow(s, n)[:len(s)+n]
}
