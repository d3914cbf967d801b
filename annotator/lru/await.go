package lru

import "unsafe"

// Await has the processor fetch what Get of a key with hash h will look at, and Add
// if there is none, from memory that is slower than it is by far, and does not wait
// for it. Who has to look into several maps for keys that nobody may have met
// awaits all of them first.
func (m *Map[K, V]) Await(h Hash) {
	prefetch(unsafe.Pointer(&m.slots[m.home(h)]), 1)
	if m.n >= m.max {
		prefetch(unsafe.Pointer(&m.slots[m.home(m.root.prev.hash)]), 1)
	}
}

// Prefetch has the processor fetch what p points to, as Await does.
func Prefetch[T any](p *T) { prefetch(unsafe.Pointer(p), unsafe.Sizeof(*p)) }

// awaitOldest does the same for the entry that the next Add will remove.
func (m *Map[K, V]) awaitOldest() {
	e := m.root.prev
	prefetch(unsafe.Pointer(e), unsafe.Sizeof(*e))
}
