package engine

import (
	"hash/maphash"
	"sync"

	"ampulla/annotator/feature"
	"ampulla/annotator/score"
)

const (
	// memoLen is how many openings a memo holds at most, of 16 bytes each.
	memoLen = 1 << 17
	// places is how many there are for each opening: as many as are in one line of
	// the processor's cache.
	places = 4
)

// memo remembers the classes of the openings that were seen lately: two
// conversations that began alike, to the last bit, are of the same class. It
// knows them by 64 bits of a hash that differs from run to run, so that one is
// taken for another once in 10^19 questions, whoever asks. Each has a few places,
// of which the next ones push it out; what is forgotten is computed again, so that
// verdicts do not depend on it. The zero value is ready; it is safe for concurrent
// use.
type memo struct {
	mu    sync.Mutex
	seed  maphash.Seed
	known [][places]memory  // the latest first; nil before the first
	names []string          // of classes
	index map[string]uint16 // in names
}

// memory is what a memo knows of an opening; plain data.
type memory struct {
	hash       uint64 // 0 for none
	confidence float32
	name       uint16
}

// get returns the class of an opening, if it is known.
func (m *memo) get(o *feature.Opening) (score.Class, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		return score.Class{}, false
	}
	set, hash := m.set(o)
	for i := range set {
		if at := &set[i]; at.hash == hash {
			return score.Class{Name: m.names[at.name], Confidence: at.confidence}, true
		}
	}
	return score.Class{}, false
}

// add remembers the class of an opening.
func (m *memo) add(o *feature.Opening, class score.Class) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.seed, m.known, m.index = maphash.MakeSeed(), make([][places]memory, memoLen/places), map[string]uint16{}
	}
	name, named := m.index[class.Name]
	if !named {
		name = uint16(len(m.names))
		m.names, m.index[class.Name] = append(m.names, class.Name), name
	}
	set, hash := m.set(o)
	copy(set[1:], set[:])
	set[0] = memory{hash, class.Confidence, name}
}

// set returns where an opening may be kept, and under which hash.
func (m *memo) set(o *feature.Opening) (*[places]memory, uint64) {
	hash := max(maphash.Comparable(m.seed, *o), 1)
	return &m.known[hash%uint64(len(m.known))], hash
}
