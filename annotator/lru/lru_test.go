package lru

import (
	"container/list"
	"math/rand/v2"
	"testing"
)

func hashInt(k int) Hash { return Seed.Word(uint64(k)) }

// model is a Map as one would write it without a thought of time.
type model struct {
	order *list.List // of int; front is the newest
	where map[int]*list.Element
	max   int
}

// TestMap does the same to a Map and to a model of it, at random: with hashes
// as they are, and with such that most keys collide.
func TestMap(t *testing.T) {
	hashes := map[string]func(int) Hash{
		"good": hashInt,
		"bad":  func(k int) Hash { return Hash(k % 3) },
		"edge": func(k int) Hash { return ^Hash(k % 5) }, // homes at the end of the slots
	}
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{0, 1, 2, 7, 60} {
				random := rand.New(rand.NewPCG(uint64(limit), 2))
				m := New[int, int](limit)
				want := model{list.New(), map[int]*list.Element{}, max(limit, 1)}
				for range 5000 {
					step(t, random, m, hash, &want)
				}
			}
		})
	}
}

func step(t *testing.T, random *rand.Rand, m *Map[int, int], hash func(int) Hash, want *model) {
	t.Helper()
	k := random.IntN(3 * want.max)
	if random.IntN(2) == 0 {
		m.Await(hash(k)) // changes nothing
	}
	e, known := m.Get(hash(k), &k), want.where[k]
	if (e == nil) != (known == nil) || e != nil && (e.Val != k || e.Ref().Entry() != e) {
		t.Fatalf("key %d: %+v, want it there: %v", k, e, known != nil)
	}
	switch what := random.IntN(4); {
	case e == nil:
		var oldest Ref[int, int]
		if e := m.Oldest(); e != nil {
			oldest = e.Ref()
		}
		e, evicted := m.Add(hash(k), &k)
		if e.Val != 0 {
			t.Fatalf("key %d: new value %d", k, e.Val)
		}
		e.Val = k
		if evicted != (want.order.Len() == want.max) || evicted && oldest.Entry() != nil || oldest == e.Ref() {
			t.Fatalf("key %d: evicted %v with %d of %d", k, evicted, want.order.Len(), want.max)
		}
		if evicted {
			delete(want.where, want.order.Remove(want.order.Back()).(int))
		}
		want.where[k] = want.order.PushFront(k)
	case what == 0:
		ref := e.Ref()
		m.Remove(e)
		if ref.Entry() != nil {
			t.Fatalf("key %d: not gone", k)
		}
		want.order.Remove(known)
		delete(want.where, k)
	case what < 3:
		m.Touch(e)
		want.order.MoveToFront(known)
	}
	if m.Len() != want.order.Len() {
		t.Fatalf("%d entries, want %d", m.Len(), want.order.Len())
	}
	if back := want.order.Back(); back == nil {
		if m.Oldest() != nil {
			t.Fatal("an oldest entry of none")
		}
	} else if m.Oldest().Val != back.Value.(int) {
		t.Fatalf("oldest is %d, want %d", m.Oldest().Val, back.Value)
	}
}

// TestHash checks that hashes of what differs in one place differ, and spread
// over the low bits, of which maps look at few.
func TestHash(t *testing.T) {
	const n = 1 << 14
	seen := map[Hash]bool{}
	low := map[Hash]bool{}
	for i := range uint64(n) {
		for _, a := range [][16]byte{{0: byte(i), 1: byte(i >> 8)}, {10: 0xff, 11: 0xff, 12: 10, 14: byte(i >> 8), 15: byte(i)}} {
			h := Seed.Addr(&a)
			seen[h] = true
			low[h%n] = true
			seen[Seed.Word(i<<20).Addr(&a)] = true
		}
	}
	if len(seen) != 4*n {
		t.Errorf("%d different hashes of %d", len(seen), 4*n)
	}
	if len(low) < n/2 { // 86 % if they were random
		t.Errorf("%d different values of the low bits", len(low))
	}
}

func TestNothingAllocated(t *testing.T) {
	m := New[int, [100]int](50)
	for k := range 50 {
		m.Add(hashInt(k), &k)
	}
	k := 7
	if n := testing.AllocsPerRun(100, func() { m.Touch(m.Get(hashInt(k), &k)) }); n != 0 {
		t.Errorf("%v allocations a look-up", n)
	}
	next := 50
	if n := testing.AllocsPerRun(100, func() { m.Add(hashInt(next), &next); next++ }); n != 0 {
		t.Errorf("%v allocations for an entry in place of another", n)
	}
}

func BenchmarkGet(b *testing.B) {
	m := New[int, int](1 << 14)
	for k := range 1 << 14 {
		m.Add(hashInt(k), &k)
	}
	i := 0
	for b.Loop() {
		k := i * 7919 & (1<<14 - 1)
		m.Touch(m.Get(hashInt(k), &k))
		i++
	}
}

// BenchmarkStrangers adds ever new keys to several maps that are full, as each flow
// of a scan is new to all tables, with and without awaiting them first.
func BenchmarkStrangers(b *testing.B) {
	for _, await := range []bool{false, true} {
		b.Run(map[bool]string{false: "one by one", true: "awaited"}[await], func(b *testing.B) {
			var maps [8]*Map[uint64, [30]uint64]
			k := uint64(0)
			for i := range maps {
				maps[i] = New[uint64, [30]uint64](1 << 16)
				for range 1 << 16 {
					k++
					maps[i].Add(Seed.Word(k), &k)
				}
			}
			for b.Loop() {
				k++
				h := Seed.Word(k)
				if await {
					for _, m := range maps {
						m.Await(h)
					}
				}
				for _, m := range maps {
					if m.Get(h, &k) == nil {
						m.Add(h, &k)
					}
				}
			}
		})
	}
}
