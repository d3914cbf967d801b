package lru

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
)

func TestIsPlain(t *testing.T) {
	type trap struct {
		Ref[int, int]
		_ *int
	}
	for typ, want := range map[reflect.Type]bool{
		reflect.TypeFor[int]():              true,
		reflect.TypeFor[[3]float32]():       true,
		reflect.TypeFor[Ref[int, string]](): true,
		reflect.TypeFor[struct {
			a [2]struct{ b uint8 }
			r Ref[int, int]
		}](): true,
		reflect.TypeFor[trap]():            false,
		reflect.TypeFor[string]():          false,
		reflect.TypeFor[[]int]():           false,
		reflect.TypeFor[*int]():            false,
		reflect.TypeFor[map[int]int]():     false,
		reflect.TypeFor[func()]():          false,
		reflect.TypeFor[any]():             false,
		reflect.TypeFor[uintptr]():         false,
		reflect.TypeFor[Entry[int, int]](): false,
	} {
		if got := isPlain(typ); got != want {
			t.Errorf("%v: %v", typ, got)
		}
	}
}

// value is one that shows when its memory was given to somebody else.
type value struct {
	key   int
	other Ref[int, int]
	rest  [50]int
}

// TestCollected: the garbage collector takes nothing of a map away that it does not
// look into, while entries come and go.
func TestCollected(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	others, m := New[int, int](100), New[int, value](3000)
	if !m.plain || !others.plain || New[int, *int](1).plain {
		t.Fatal("the wrong maps are plain")
	}
	var garbage [64][]uint64
	for i := range 200_000 {
		k := random.IntN(5000)
		h := hashInt(k)
		e := m.Get(h, &k)
		switch {
		case e == nil:
			e, _ = m.Add(h, &k)
			e.Val.key = k
			e.Val.rest[i%50] = k
		case e.Val.key != k:
			t.Fatalf("step %d: key %d holds %d", i, k, e.Val.key)
		case i%3 == 0:
			m.Remove(e)
			continue
		}
		m.Touch(e)
		if other := e.Val.other.Entry(); other != nil && other.Val != other.key {
			t.Fatalf("step %d: other %d is %d", i, other.key, other.Val)
		}
		o := random.IntN(300)
		other := others.Get(hashInt(o), &o)
		if other == nil {
			other, _ = others.Add(hashInt(o), &o)
			other.Val = o
		}
		e.Val.other = other.Ref()
		garbage[i%len(garbage)] = make([]uint64, 1+random.IntN(5000))
		garbage[i%len(garbage)][0] = ^uint64(0)
		if i%20_000 == 0 {
			runtime.GC()
		}
	}
}
