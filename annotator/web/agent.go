package web

import (
	"net/netip"
	"strings"

	"ampulla/annotator/transaction"
)

// recent is how many requests are kept to find those within others.
const recent = 512

// agents finds out which clients are no visitors but servers at work for one: a
// shop's application that asks a payment service, a proxy. They answer requests
// themselves, or else (where a machine has several addresses) are no browsers,
// and all that they ask begins and ends while a server answers somebody else.
type agents struct {
	ring    [recent]span
	next    int
	clients map[netip.Addr]*agent
}

// span is when a client waited for a server.
type span struct {
	client, server netip.Addr
	start, end     int64
	within         bool // counted as within another
}

// agent counts the requests of a client, and those within others.
type agent struct {
	requests, within int
	browser          bool // by what it says of itself
}

func (a *agents) add(x *transaction.Exchange) {
	s := span{client: x.Client.Addr(), server: x.Server.Addr(), start: x.Start, end: max(x.End, x.Start)}
	known := a.clients[s.client]
	if known == nil {
		if len(a.clients) >= maxServers {
			return
		}
		known = &agent{}
		a.clients[s.client] = known
	}
	known.requests++
	known.browser = known.browser || strings.HasPrefix(x.Request.Get("user-agent"), "Mozilla/")
	for i := range a.ring {
		o := &a.ring[i]
		if !s.within && s.in(o) {
			s.within = true
			known.within++
		}
		if !o.within && o.in(&s) {
			o.within = true
			a.clients[o.client].within++
		}
	}
	a.ring[a.next] = s
	a.next = (a.next + 1) % recent
}

// in tells whether s lies within o, of other hosts.
func (s *span) in(o *span) bool {
	return s.client.IsValid() && o.client.IsValid() && s.start > o.start && s.end < o.end &&
		s.server != o.server && s.client != o.client
}

// at tells whether a client works for a server.
func (a *agents) at(client netip.Addr) bool {
	known := a.clients[client]
	return known != nil && !known.browser && known.requests >= 2 && known.within*10 >= known.requests*9
}
