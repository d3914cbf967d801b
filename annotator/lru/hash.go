package lru

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// Hash is a hash in the making, of the parts of a key one after the other,
// beginning with [Seed]. Results depend on no hash: it only says where a map
// looks first.
type Hash uint64

// Seed is where hashes begin. Like that of Go's maps it differs from process
// to process, so that nobody can make a capture of keys that collide.
var Seed, secret = newSeed()

func newSeed() (seed Hash, secret uint64) {
	first, second := maphash.MakeSeed(), maphash.MakeSeed()
	return Hash(maphash.Bytes(first, nil)), maphash.Bytes(second, nil) | 1
}

// Word adds 64 bits.
func (h Hash) Word(v uint64) Hash {
	high, low := bits.Mul64(uint64(h)^v, secret)
	return Hash(high ^ low)
}

// Addr adds 128 bits. (The multiplication is that of wyhash.)
func (h Hash) Addr(a *[16]byte) Hash {
	high, low := bits.Mul64(uint64(h)^binary.LittleEndian.Uint64(a[:8]), secret^binary.LittleEndian.Uint64(a[8:]))
	return Hash(high ^ low)
}
