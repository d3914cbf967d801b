package baseline

import (
	"fmt"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// Forget drops what was learned of a host, or as usual of a type of event, or of
// the one by or against the other if both are given, and returns how many rows
// those were. An empty host or type is any. It returns an error if that is no
// address.
func (b *Baseline) Forget(address string, typ verdict.Type) (int, error) {
	var who packet.Addr
	if address != "" {
		var err error
		if who, err = parseAddr(address); err != nil {
			return 0, fmt.Errorf("baseline: %w", err)
		}
	}
	is := func(p detect.Party) bool { return address == "" || p.Addr == who }
	n := drop(&b.relations, func(k Relation) bool {
		return (typ == "" || k.Type == typ) && (is(k.Actor) || is(k.Target))
	})
	if typ == "" {
		n += drop(&b.hosts, func(k host) bool { return packet.Addr(k) == who })
		n += drop(&b.services, func(k Endpoint) bool { return k.Addr == who })
	}
	return n, nil
}

// drop removes rows. They count as seen by nobody.
func drop[K key, V any](s *sketch[K, V], of func(K) bool) (n int) {
	for k := range s.rows {
		if of(k) {
			delete(s.rows, k)
			n++
		}
	}
	return n
}
