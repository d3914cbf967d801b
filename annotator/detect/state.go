package detect

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// table remembers a state per key and forgets the least recently used one when
// it is full.
type table[K comparable, V any] struct{ states *lru.Map[K, V] }

func newTable[K comparable, V any](size int) table[K, V] {
	return table[K, V]{lru.New[K, V](size)}
}

// await awaits what get and take of the same will look at, see [lru.Map.Await].
func (t table[K, V]) await(h lru.Hash, _ *K) { t.states.Await(h) }

// get returns the state of k, whose hash is h; nil if there is none.
func (t table[K, V]) get(h lru.Hash, k *K) *V {
	e := t.states.Get(h, k)
	if e == nil {
		return nil
	}
	t.states.Touch(e)
	return &e.Val
}

// take returns the state of k, whose hash is h; a zero one if there was none.
func (t table[K, V]) take(h lru.Hash, k *K) *V {
	e := t.states.Get(h, k)
	if e == nil {
		e, _ = t.states.Add(h, k)
	}
	t.states.Touch(e)
	return &e.Val
}

// filter tells of most keys that a table never knew them, at one look. It does
// not know what the table has forgotten.
type filter [64]uint64

func (f *filter) add(h lru.Hash) { f[h>>6%64] |= 1 << (h % 64) }

func (f *filter) has(h lru.Hash) bool { return f[h>>6%64]>>(h%64)&1 != 0 }

// services is a table of what is known of a client and what it calls.
type services[V any] struct{ table[service, V] }

func newServices[V any](size int) services[V] { return services[V]{newTable[service, V](size)} }

func (s services[V]) await(c *Case) { s.table.await(c.keyHash, &c.key) }

// get returns the state of the client and the service of a packet, nil if there
// is none.
func (s services[V]) get(c *Case) *V { return s.table.get(c.keyHash, &c.key) }

// take returns it, a zero one if there was none.
func (s services[V]) take(c *Case) *V {
	if v := s.get(c); v != nil {
		return v
	}
	return s.add(c)
}

// add returns a zero state for them, where there is none.
func (s services[V]) add(c *Case) *V {
	e, _ := s.states.Add(c.keyHash, &c.key)
	c.traces[c.keyHash%traces] |= c.asking
	return &e.Val
}

// near tells that two packet times are at most d apart. Time may run
// backwards between packets; what is far in the future is as stale as what is
// long past.
func near(a, b int64, d time.Duration) bool {
	if a > b {
		a, b = b, a
	}
	return b-a >= 0 && b-a <= int64(d) // b-a < 0: farther than an int64 reaches
}

// period is a stretch of time that began with a packet.
type period struct {
	start int64
	begun bool
}

func begin(now int64) period { return period{now, true} }

// over tells that the period has not begun yet or lasted longer than d.
func (p *period) over(now int64, d time.Duration) bool { return !p.begun || !near(now, p.start, d) }

// seconds is how long the period has lasted.
func (p *period) seconds(now int64) float64 { return float64(max(now-p.start, 0)) / 1e9 }

// rate counts events within a sliding window, to an eighth of its length. The
// slots are counted from the first event, so that counts do not depend on the
// time of day.
type rate struct {
	slots  [8]uint32
	origin int64 // time of the first event
	head   int64 // number of the newest slot since
	total  uint32
}

// add counts n events at time now and returns how many there were in window.
func (r *rate) add(now int64, window time.Duration, n uint32) uint32 {
	r.advance(now, window)
	r.slots[uint64(r.head)%8] += n
	r.total += n
	return r.total
}

// count returns how many events there were in the window that ends now.
func (r *rate) count(now int64, window time.Duration) uint32 {
	r.advance(now, window)
	return r.total
}

func (r *rate) advance(now int64, window time.Duration) {
	if r.origin == 0 {
		r.origin = now
	}
	width := max(int64(window)/8, 1)
	slot := (now - r.origin) / width
	if now < r.origin {
		slot-- // division rounds towards zero
	}
	switch ahead := slot - r.head; {
	case ahead >= 8 || ahead <= -8:
		*r = rate{origin: r.origin, head: slot}
	default:
		for ; r.head < slot; r.head++ {
			next := uint64(r.head+1) % 8
			r.total -= r.slots[next]
			r.slots[next] = 0
		}
	}
}

// distinct is a set of hashes, exact up to its bound; each member carries one
// mark.
type distinct struct {
	few    [2]uint64 // the members, as most sets have no more; lowest bit is the mark
	keys   []uint64  // all of them otherwise, by open addressing; 0 is free
	n      int
	marked int
}

// maxDistinct bounds a set; 16 kB when full.
const maxDistinct = 1024

// add puts k into the set and tells whether it was new. A full set takes every
// stranger for new.
func (d *distinct) add(k uint64) bool {
	if d.find(k) != nil {
		return false
	}
	switch {
	case d.n >= maxDistinct:
		return true
	case d.keys == nil && d.n < len(d.few):
		d.few[d.n] = member(k)
	case d.n*2 >= len(d.keys):
		d.grow()
		fallthrough
	default:
		d.insert(member(k))
	}
	d.n++
	return true
}

// has tells whether k is in the set.
func (d *distinct) has(k uint64) bool { return d.find(k) != nil }

// mark marks k if it is in the set and was not marked before.
func (d *distinct) mark(k uint64) bool {
	m := d.find(k)
	if m == nil || *m&1 == 1 {
		return false
	}
	*m |= 1
	d.marked++
	return true
}

// isMarked tells whether k is in the set and marked.
func (d *distinct) isMarked(k uint64) bool {
	m := d.find(k)
	return m != nil && *m&1 == 1
}

// member returns k as it is kept, not marked.
func member(k uint64) uint64 { return k<<1 | 1<<63 }

// find returns where k is kept, nil if it is not in the set.
func (d *distinct) find(k uint64) *uint64 {
	k = member(k)
	if d.keys == nil {
		for i := range d.few {
			if d.few[i]&^1 == k {
				return &d.few[i]
			}
		}
		return nil
	}
	mask := len(d.keys) - 1
	for i := int(mix(k)) & mask; d.keys[i] != 0; i = (i + 1) & mask {
		if d.keys[i]&^1 == k {
			return &d.keys[i]
		}
	}
	return nil
}

// insert puts a member where there is room for it.
func (d *distinct) insert(m uint64) {
	mask := len(d.keys) - 1
	i := int(mix(m&^1)) & mask
	for d.keys[i] != 0 {
		i = (i + 1) & mask
	}
	d.keys[i] = m
}

func (d *distinct) grow() {
	old := d.keys
	if old == nil {
		old = d.few[:]
	}
	d.keys = make([]uint64, max(2*len(old), 8))
	for _, m := range old {
		if m != 0 {
			d.insert(m)
		}
	}
}

// clear empties the set and keeps its memory.
func (d *distinct) clear() {
	clear(d.keys)
	d.few, d.n, d.marked = [2]uint64{}, 0, 0
}

// size says how many members there are.
func (d *distinct) size() string {
	if d.n >= maxDistinct {
		return fmt.Sprintf("at least %d", maxDistinct)
	}
	return strconv.Itoa(d.n)
}

// mix spreads the bits of k (the finaliser of MurmurHash3).
func mix(k uint64) uint64 {
	k ^= k >> 33
	k *= 0xff51afd7ed558ccd
	k ^= k >> 33
	k *= 0xc4ceb9fe1a85ec53
	return k ^ k>>33
}

// hashAddr returns a hash of a; different IPv4 addresses have different ones.
func hashAddr(a packet.Addr) uint64 {
	return binary.BigEndian.Uint64(a[8:]) ^ mix(binary.BigEndian.Uint64(a[:8]))
}

// hashBytes returns a hash of b (FNV-1a).
func hashBytes(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// alarm is something going on: the worst that was seen of it, and the words
// for it, which are only written anew when the numbers have moved.
type alarm struct {
	score  float64
	last   int64 // time of the last evidence
	reason string
	said   float64 // score when reason was written
	saidAt int64
}

// raise takes new evidence: the worst of an alarm counts until there has
// been none for longer than hold.
func (a *alarm) raise(score float64, now int64, hold time.Duration) {
	if score < inkling {
		return
	}
	if near(now, a.last, hold) {
		score = max(score, a.score)
	}
	a.score, a.last = score, now
}

// inkling is the least score that is kept: too little to speak of, enough to
// tell that packet from one of which nothing is known.
const inkling = 0.2

// active tells that there is an alarm whose last evidence is not older than
// hold.
func (a *alarm) active(now int64, hold time.Duration) bool {
	return a.score >= inkling && near(now, a.last, hold)
}

// outdated tells that the reason has to be written anew, and notes that it is.
func (a *alarm) outdated(now int64) bool {
	if a.score < verdict.SuspiciousScore {
		return false // nobody asks for a reason
	}
	flagged := a.score > verdict.AnomalousScore && a.said <= verdict.AnomalousScore
	if a.reason != "" && !flagged && a.score < a.said+0.01 && near(now, a.saidAt, time.Second) {
		return false
	}
	a.said, a.saidAt = a.score, now
	return true
}

// pair is an ordered pair of hosts.
type pair struct {
	src, dst packet.Addr
	domain   uint32
}

// host is a host in its network.
type host struct {
	addr   packet.Addr
	domain uint32
}

func (p *pair) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&p.src)).Addr((*[16]byte)(&p.dst)).Word(uint64(p.domain))
}

// service is a client and what it calls. A Case knows the hash.
type service struct {
	client, server packet.Addr
	port           uint16
	proto          uint8
	domain         uint32
}

func hashOfAddr(a *packet.Addr) lru.Hash { return lru.Seed.Addr((*[16]byte)(a)) }

func hashOfMAC(m packet.MAC) lru.Hash { return lru.Seed.Word(m.Number()) }

func hashOfFlow(number uint32) lru.Hash { return lru.Seed.Word(uint64(number)) }

// forget takes back n events, the latest first.
func (r *rate) forget(n uint32) {
	n = min(n, r.total)
	for i := r.head; n > 0 && i > r.head-8; i-- {
		slot := &r.slots[uint64(i)%8]
		k := min(n, *slot)
		*slot -= k
		r.total -= k
		n -= k
	}
}
