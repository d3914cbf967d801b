package lru

import (
	"reflect"
	"strings"
	"unsafe"
)

// plain keeps the memory of a map whose keys and values hold no pointers, other
// than Refs, which keep nothing alive. Its entries point to each other, to nothing
// else, and live as long as the map, so the garbage collector need not look at them
// to know that: they lie in memory that it takes for numbers, and which this keeps.
// With maps of some 100,000 entries of half a kilobyte it would hardly do anything
// else. (Nothing moves in Go's heap, so that pointers which are not looked at stay
// right.)
type plain struct{ slabs [][]uint64 }

// isPlain tells that a type holds no pointers other than those of Refs.
func isPlain(t reflect.Type) bool {
	if t.PkgPath() == reflect.TypeFor[plain]().PkgPath() && strings.HasPrefix(t.Name(), "Ref[") {
		return true
	}
	switch t.Kind() {
	case reflect.Array:
		return isPlain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isPlain(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Uintptr
}

// newEntries returns n entries with zero values.
func (m *Map[K, V]) newEntries(n int) []Entry[K, V] {
	if m.plain == nil {
		return make([]Entry[K, V], n)
	}
	memory, entries := numbers[Entry[K, V]](n)
	m.plain.slabs = append(m.plain.slabs, memory)
	return entries
}

// newSlots returns n empty slots.
func (m *Map[K, V]) newSlots(n int) []slot[K, V] {
	if m.plain == nil {
		return make([]slot[K, V], n)
	}
	_, slots := numbers[slot[K, V]](n)
	return slots
}

// numbers returns memory for n zero values of a type, which the garbage collector
// takes for numbers.
func numbers[T any](n int) ([]uint64, []T) {
	const word = unsafe.Sizeof(uint64(0))
	var zero T
	memory := make([]uint64, (uintptr(n)*unsafe.Sizeof(zero)+word-1)/word)
	return memory, unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), n)
}
