package web

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Bounds of what is remembered of one failure, and of one client.
const (
	maxInner  = 4
	maxRecent = 8
)

// failures remembers the latest failures, to find those behind others: while a
// shop's visitor waited in vain, the shop waited in vain for a payment service.
type failures struct {
	ring    []*failure // the latest, size of them at most
	size    int
	next    int // in ring, once it is full
	clients *simplelru.LRU[netip.Addr, []*failure]

	// How many failures of a client there were, and how many of them began while
	// others waited for a server, by both.
	all    map[netip.Addr]int
	within map[[2]netip.Addr]int
}

func newFailures(size int) *failures {
	clients, _ := simplelru.NewLRU[netip.Addr, []*failure](size, nil)
	return &failures{size: size, clients: clients, all: map[netip.Addr]int{}, within: map[[2]netip.Addr]int{}}
}

// add remembers a failure, and which of the others it may explain or be explained
// by.
func (s *failures) add(f *failure) {
	if _, known := s.all[f.client]; known || len(s.all) < maxServers {
		s.all[f.client]++
	}
	for _, g := range s.ring {
		s.link(f, g)
		s.link(g, f)
	}
	if len(s.ring) < s.size {
		s.ring = append(s.ring, f)
		return
	}
	s.ring[s.next] = f
	s.next = (s.next + 1) % s.size
}

// link notes that inner began while the client of outer waited, of other hosts.
func (s *failures) link(outer, inner *failure) {
	if inner.start < outer.start || inner.start > outer.end || inner.server == outer.server || inner.client == outer.client {
		return
	}
	pair := [2]netip.Addr{inner.client, outer.server}
	if _, known := s.within[pair]; !slices.Contains(inner.outer, outer.server) && (known || len(s.within) < maxServers) {
		inner.outer = append(inner.outer, outer.server)
		s.within[pair]++
	}
	if len(outer.inner) < maxInner {
		plain := *inner
		plain.inner, plain.outer = nil, nil
		outer.inner = append(outer.inner, plain)
	}
}

// ofClient remembers a failure that is known by the client alone.
func (s *failures) ofClient(f *failure) {
	list, _ := s.clients.Get(f.client)
	if len(list) == maxRecent {
		list = append(list[:0], list[1:]...)
	}
	s.clients.Add(f.client, append(list, f))
}

// of returns the latest of those of a client.
func (s *failures) of(client netip.Addr) []*failure {
	list, _ := s.clients.Peek(client)
	return list
}

// behind tells whether a client works for a server: it has the same address, or
// (where the server has several) all that goes wrong for it does while others
// wait for that server.
func (s *failures) behind(client, server netip.Addr) bool {
	all := s.all[client]
	return client == server || all >= 2 && s.within[[2]netip.Addr{client, server}]*10 >= all*9
}

// root returns the failure behind a failure, in the words of both; the failure
// itself if there is none.
func (s *failures) root(f *failure) failure {
	best, found := *f, false
	for _, g := range f.inner {
		if s.behind(g.client, f.server) && (!found || weight(g.cause) > weight(best.cause)) {
			best, found = g, true
		}
	}
	if !found {
		return best
	}
	best.what = fmt.Sprintf("%s, as %s", f.what, best.what)
	best.frames = append(slices.Clone(f.frames), best.frames...)
	best.start, best.end = f.start, f.end
	best.filter = f.filter + " or " + best.filter
	return best
}
