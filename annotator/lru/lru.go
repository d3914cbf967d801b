// Package lru holds maps of bounded size that know which entry was used longest
// ago, for the tables of flows and detectors, which ask them several times a
// packet.
//
// It is not hashicorp/golang-lru, for three reasons that all show in the time a
// packet takes: entries are intrusive, so that whoever holds one can mark it as
// used without looking it up again; whoever asks brings the key's hash, which is
// a few multiplications instead of a walk through its fields, and serves several
// maps; and entries lie side by side, values in them, and are used again, so that
// a map that is full leaves nothing to the garbage collector.
package lru

import "reflect"

// Map is a bounded map. It is not safe for concurrent use. Its memory grows with
// the most entries that it ever had, to the bound.
type Map[K comparable, V any] struct {
	max   int
	n     int
	slots []slot[K, V]    // open addressing with linear probing, at most half full
	root  Entry[K, V]     // ring; next is the newest, prev the oldest
	free  *Entry[K, V]    // list of entries that are gone, by next
	fresh []Entry[K, V]   // the rest of the newest slab, never used
	slab  int             // entries of the newest slab
	plain bool            // see isPlain
	slabs [][]Entry[K, V] // all, if plain: nothing else keeps them
}

// slot is empty without an entry.
type slot[K comparable, V any] struct {
	hash  Hash
	entry *Entry[K, V]
}

// Entry is an entry of a Map. It is valid until it is removed: the next one that
// is added may get its memory. A [Ref] is for those who keep it longer.
type Entry[K comparable, V any] struct {
	Val V

	prev, next *Entry[K, V]
	hash       Hash
	age        uint32 // how often it was removed
	key        K
}

// Ref refers to an entry that may be gone meanwhile. The zero value refers to
// none. Two are equal if they refer to the same entry.
type Ref[K comparable, V any] struct {
	entry *Entry[K, V]
	age   uint32
}

const (
	leastSlots = 8
	// Entries are taken in slabs: twice as many each time, until a slab has
	// slabBytes.
	leastSlab = 4
	slabBytes = 32 << 10
)

// New returns an empty map for at most limit entries, or one if that is less.
func New[K comparable, V any](limit int) *Map[K, V] {
	m := &Map[K, V]{max: max(limit, 1), plain: isPlain(reflect.TypeFor[K]()) && isPlain(reflect.TypeFor[V]())}
	m.slots = room[slot[K, V]](m.plain, leastSlots)
	m.root.next, m.root.prev = &m.root, &m.root
	return m
}

// Ref returns a reference to e.
func (e *Entry[K, V]) Ref() Ref[K, V] { return Ref[K, V]{e, e.age} }

// Entry returns the entry, or nil if it is gone or there was none.
func (r Ref[K, V]) Entry() *Entry[K, V] {
	if r.entry == nil || r.entry.age != r.age {
		return nil
	}
	return r.entry
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int { return m.n }

// Get returns the entry of k, or nil. It does not mark it as used. h is the hash
// of k: the same for equal keys at every call, and best made with [Seed].
func (m *Map[K, V]) Get(h Hash, k *K) *Entry[K, V] {
	for i := m.home(h); ; i = m.after(i) {
		s := &m.slots[i]
		if s.entry == nil {
			return nil
		}
		if s.hash == h && s.entry.key == *k {
			return s.entry
		}
	}
}

// Touch marks e as used last.
func (m *Map[K, V]) Touch(e *Entry[K, V]) {
	if m.root.next == e {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	m.pushFront(e)
}

// Add puts a zero value in under k, whose hash is h and which must not be there
// yet, and tells whether the oldest entry had to go.
func (m *Map[K, V]) Add(h Hash, k *K) (e *Entry[K, V], evicted bool) {
	if m.n >= m.max {
		m.Remove(m.root.prev)
		m.awaitOldest()
		evicted = true
	}
	if 2*(m.n+1) > len(m.slots) {
		m.grow()
	}
	e = m.entry()
	e.key, e.hash = *k, h
	m.insert(slot[K, V]{h, e})
	m.n++
	m.pushFront(e)
	return e, evicted
}

// Remove takes e out.
func (m *Map[K, V]) Remove(e *Entry[K, V]) {
	e.prev.next, e.next.prev = e.next, e.prev
	m.clear(m.find(e))
	m.n--
	*e = Entry[K, V]{age: e.age + 1, next: m.free}
	m.free = e
}

// Oldest returns the entry used longest ago, or nil.
func (m *Map[K, V]) Oldest() *Entry[K, V] {
	if m.n == 0 {
		return nil
	}
	return m.root.prev
}

func (m *Map[K, V]) pushFront(e *Entry[K, V]) {
	e.prev, e.next = &m.root, m.root.next
	e.prev.next, e.next.prev = e, e
}

// entry returns an entry that is not in use, with a zero value.
func (m *Map[K, V]) entry() *Entry[K, V] {
	if e := m.free; e != nil {
		m.free = e.next
		return e
	}
	if len(m.fresh) == 0 {
		most := max(slabBytes/int(reflect.TypeFor[Entry[K, V]]().Size()), leastSlab)
		m.slab = min(max(2*m.slab, leastSlab), most, m.max)
		m.fresh = room[Entry[K, V]](m.plain, m.slab)
		if m.plain {
			m.slabs = append(m.slabs, m.fresh)
		}
	}
	e := &m.fresh[0]
	m.fresh = m.fresh[1:]
	return e
}

// home is where the search for a hash begins.
func (m *Map[K, V]) home(h Hash) int { return int(h) & (len(m.slots) - 1) }

func (m *Map[K, V]) after(i int) int { return (i + 1) & (len(m.slots) - 1) }

func (m *Map[K, V]) find(e *Entry[K, V]) int {
	i := m.home(e.hash)
	for m.slots[i].entry != e {
		i = m.after(i)
	}
	return i
}

func (m *Map[K, V]) insert(s slot[K, V]) {
	i := m.home(s.hash)
	for m.slots[i].entry != nil {
		i = m.after(i)
	}
	m.slots[i] = s
}

// clear empties slot i and moves those back that could not have it before.
func (m *Map[K, V]) clear(i int) {
	for j := m.after(i); m.slots[j].entry != nil; j = m.after(j) {
		// The entry at j may move to i unless its home lies behind i.
		if home := m.home(m.slots[j].hash); (j-home)&(len(m.slots)-1) >= (j-i)&(len(m.slots)-1) {
			m.slots[i] = m.slots[j]
			i = j
		}
	}
	m.slots[i] = slot[K, V]{}
}

func (m *Map[K, V]) grow() {
	old := m.slots
	m.slots = room[slot[K, V]](m.plain, 2*len(old))
	for _, s := range old {
		if s.entry != nil {
			m.insert(s)
		}
	}
}
