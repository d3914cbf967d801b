package lru

import (
	"reflect"
	"strings"
	"unsafe"
)

// isPlain tells that a type holds no pointers, other than those of Refs, which keep
// nothing alive. Entries of a map of such keys and values point to each other, to
// nothing else, and live as long as the map, so the garbage collector need not look
// at them to know that: room gives them memory that it takes for numbers. With maps
// of some 100,000 entries of half a kilobyte it would hardly do anything else.
func isPlain(t reflect.Type) bool {
	if t.PkgPath() == reflect.TypeFor[Hash]().PkgPath() && strings.HasPrefix(t.Name(), "Ref[") {
		return true
	}
	switch t.Kind() {
	case reflect.Array:
		return isPlain(t.Elem())
	case reflect.Struct:
		for field := range t.Fields() {
			if !isPlain(field.Type) {
				return false
			}
		}
		return true
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Uintptr
}

// room returns n zero values, whose pointers the garbage collector does not see if
// they are plain. (Nothing moves in Go's heap, so that they stay right.)
func room[T any](plain bool, n int) []T {
	if !plain {
		return make([]T, n)
	}
	const word = unsafe.Sizeof(uint64(0))
	var zero T
	memory := make([]uint64, (uintptr(n)*unsafe.Sizeof(zero)+word-1)/word)
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), n)
}
