package engine

import (
	"sync"

	"ampulla/annotator/feature"
	"ampulla/annotator/score"
)

// memoLen is how many openings each half of a memo holds at most, of 320 bytes
// each.
const memoLen = 4096

// memo remembers the classes of the openings that were seen lately: two
// conversations that began alike, to the last bit, are of the same class. It
// is safe for concurrent use. What it has forgotten is computed again, so that
// verdicts do not depend on it.
type memo struct {
	mu         sync.Mutex
	young, old map[feature.Opening]score.Class // when young is full, old goes
}

// get returns the class of an opening, if it is known.
func (m *memo) get(o *feature.Opening) (score.Class, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	class, ok := m.young[*o]
	if !ok {
		if class, ok = m.old[*o]; ok {
			m.put(o, class)
		}
	}
	return class, ok
}

// add remembers the class of an opening.
func (m *memo) add(o *feature.Opening, class score.Class) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(o, class)
}

func (m *memo) put(o *feature.Opening, class score.Class) {
	if len(m.young) >= memoLen {
		m.young, m.old = m.old, m.young
		clear(m.young)
	}
	if m.young == nil {
		m.young = make(map[feature.Opening]score.Class)
	}
	m.young[*o] = class
}
