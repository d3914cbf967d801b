package baseline

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
)

// sketch is a map that keeps the rows of those keys only that rank lowest, by
// their hash. Which ones that are depends on the set of all keys ever seen and
// on nothing else, and a key that ranks low enough in the end did so all the
// time: so what is kept is complete, and merging in any order and grouping comes
// to the same. (A bottom-k sketch: Cohen and Kaplan, "Summarizing Data using
// Bottom-k Sketches", PODC 2007.)
type sketch[K key, V any] struct {
	limit int
	rows  map[K]*row[V]
	bound rank // the lowest that was dropped; zero if none was
}

// key is what rows are about.
type key interface {
	comparable
	// id names the key, differently for each.
	id() string
	// ours tells that it is about a host of this network: those are kept first.
	ours() bool
}

type row[V any] struct {
	rank  rank
	value V
}

// rank is where a key stands: its hash, of which the first bit puts those behind
// that are not ours. It is never zero.
type rank uint64

func rankOf[K key](k K) rank {
	sum := sha256.Sum256([]byte(k.id()))
	r := rank(binary.BigEndian.Uint64(sum[:]))>>1 | 1
	if !k.ours() {
		r |= 1 << 63
	}
	return r
}

func newSketch[K key, V any](limit int) sketch[K, V] {
	return sketch[K, V]{limit: limit, rows: map[K]*row[V]{}}
}

// get returns the value of a key, nil if it has none.
func (s *sketch[K, V]) get(k K) *V {
	if r := s.rows[k]; r != nil {
		return &r.value
	}
	return nil
}

// take returns the value of a key, a new one if need be; nil if it ranks too
// high to be kept. Values are valid until the next call.
func (s *sketch[K, V]) take(k K) *V {
	if r := s.rows[k]; r != nil {
		return &r.value
	}
	r := rankOf(k)
	if s.bound != 0 && r >= s.bound {
		return nil
	}
	added := &row[V]{rank: r}
	s.rows[k] = added
	if len(s.rows) > s.limit+s.limit/4 {
		s.prune()
		if s.rows[k] == nil {
			return nil
		}
	}
	return &added.value
}

// prune drops what ranks beyond the limit.
func (s *sketch[K, V]) prune() {
	if len(s.rows) <= s.limit {
		return
	}
	ordered := s.keys()
	for _, k := range ordered[s.limit:] {
		s.lower(s.rows[k].rank)
		delete(s.rows, k)
	}
}

// restrict drops what another sketch has dropped.
func (s *sketch[K, V]) restrict(bound rank) {
	if bound == 0 {
		return
	}
	s.lower(bound)
	for k, r := range s.rows {
		if r.rank >= s.bound {
			delete(s.rows, k)
		}
	}
}

func (s *sketch[K, V]) lower(bound rank) {
	if s.bound == 0 || bound < s.bound {
		s.bound = bound
	}
}

// keys returns the keys, the lowest rank first.
func (s *sketch[K, V]) keys() []K {
	return slices.SortedFunc(maps.Keys(s.rows), func(a, b K) int {
		if c := cmp.Compare(s.rows[a].rank, s.rows[b].rank); c != 0 {
			return c
		}
		return cmp.Compare(a.id(), b.id())
	})
}

// merge adds the rows of another sketch, by add.
func (s *sketch[K, V]) merge(other *sketch[K, V], add func(to, from *V)) {
	s.restrict(other.bound)
	for k, r := range other.rows {
		if to := s.take(k); to != nil {
			add(to, &r.value)
		}
	}
	s.prune()
}
