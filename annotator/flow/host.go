package flow

import (
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
)

// Host is what one address did lately.
type Host struct {
	Tally
	Packets uint32 // sent so far, noise left out
	Number  uint32 // from 1 in order of appearance; one that was forgotten gets a new one
	first   int64
}

// Age returns the nanoseconds since the host was first seen, at least 0.
func (h *Host) Age(now int64) int64 { return max(now-h.first, 0) }

// Pair is what one client did lately with one server, over all their flows in
// that direction.
type Pair struct {
	Tally
	Number uint32 // from 1 in order of appearance; one that was forgotten gets a new one
	// Gaps are the seconds between the beginnings of bursts: packets of the
	// client at least BurstGap after the one before.
	Gaps Moments
	// Sizes are the payload bytes that the client sent in each burst that is
	// over.
	Sizes Moments

	client, server         hostRef
	clientMark, serverMark Mark // as peer of client, as client of server
	last, burst            int64
	burstBytes             float64
	seen                   bool
}

// BurstGap is the silence, in nanoseconds, after which a client's next packet
// to a server begins a new burst.
const BurstGap = 1e9

// service is a port of a server as one client uses it.
type service struct {
	host     hostRef // client whose tally hostMark belongs to
	hostMark Mark
	pairMark Mark
	pair     pairRef
}

type hostKey struct {
	addr   packet.Addr
	domain uint32
}

type pairKey struct {
	client, server packet.Addr
	domain         uint32
}

type serviceKey struct {
	pairKey
	port  uint16
	proto uint8
}

func (k *hostKey) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&k.addr)).Word(uint64(k.domain))
}

func (k *pairKey) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&k.client)).Addr((*[16]byte)(&k.server)).Word(uint64(k.domain))
}

func (k *serviceKey) hash() lru.Hash {
	return k.pairKey.hash().Word(uint64(k.port)<<8 | uint64(k.proto))
}

type (
	hostNode    = lru.Entry[hostKey, Host]
	pairNode    = lru.Entry[pairKey, Pair]
	serviceNode = lru.Entry[serviceKey, service]

	hostRef    = lru.Ref[hostKey, Host]
	pairRef    = lru.Ref[pairKey, Pair]
	serviceRef = lru.Ref[serviceKey, service]
)

// await awaits what bind looks up, see [lru.Map.Await].
func (t *Table) await(f *Flow) {
	client, server := hostKey{f.ClientAddr, f.domain}, hostKey{f.ServerAddr, f.domain}
	t.hosts.Await(client.hash())
	t.hosts.Await(server.hash())
	k := f.serviceKey()
	t.pairs.Await(k.pairKey.hash())
	t.services.Await(k.hash())
}

func (f *Flow) serviceKey() serviceKey {
	return serviceKey{pairKey{f.ClientAddr, f.ServerAddr, f.domain}, f.ServerPort, f.Proto}
}

// host returns the host of an address, a new one if need be.
func (t *Table) host(k hostKey, now int64) *hostNode {
	h := k.hash()
	if n := t.hosts.Get(h, &k); n != nil {
		return n
	}
	n, evicted := t.hosts.Add(h, &k)
	t.stats.Hosts++
	n.Val.Number, n.Val.first = saturate(t.stats.Hosts), now
	if evicted {
		t.stats.HostsEvicted++
	}
	return n
}

// parties are what a packet of a flow counts for.
type parties struct {
	client, server *Host
	pair           *Pair
	service        *service
}

// ends returns the hosts that sent and received a packet.
func (with parties) ends(fromClient bool) (src, dst *Host) {
	if fromClient {
		return with.client, with.server
	}
	return with.server, with.client
}

// count counts for the sender as out, the receiver as in, and for the pair as
// seen from its client.
func (with parties) count(fromClient bool, out, in Counter, n uint32) {
	src, dst := with.ends(fromClient)
	src.add(out, n)
	dst.add(in, n)
	if fromClient {
		with.pair.add(out, n)
	} else {
		with.pair.add(in, n)
	}
}

// bind returns hosts, pair and service of a flow, which it looks up unless the
// flow still holds them; marks them as used and moves their windows up to now.
func (t *Table) bind(f *Flow, now int64) parties {
	client := f.client.Entry()
	if client == nil {
		client = t.host(hostKey{f.ClientAddr, f.domain}, now)
		f.client = client.Ref()
	}
	t.hosts.Touch(client)
	server := f.server.Entry()
	if server == nil {
		server = t.host(hostKey{f.ServerAddr, f.domain}, now)
		f.server = server.Ref()
	}
	t.hosts.Touch(server)
	pair := f.pair.Entry()
	if pair == nil {
		pair = t.pair(f)
		f.pair = pair.Ref()
	}
	t.pairs.Touch(pair)
	service := f.service.Entry()
	if service == nil {
		service = t.service(f)
		f.service = service.Ref()
	}
	t.services.Touch(service)

	client.Val.advance(now)
	server.Val.advance(now)
	pair.Val.advance(now)
	if p := &pair.Val; p.client != f.client || p.server != f.server {
		p.client, p.server = f.client, f.server
		p.clientMark, p.serverMark = Mark{}, Mark{}
	}
	if s := &service.Val; s.host != f.client || s.pair != f.pair {
		s.host, s.pair = f.client, f.pair
		s.hostMark, s.pairMark = Mark{}, Mark{}
	}
	return parties{&client.Val, &server.Val, &pair.Val, &service.Val}
}

func (t *Table) pair(f *Flow) *pairNode {
	k := pairKey{f.ClientAddr, f.ServerAddr, f.domain}
	h := k.hash()
	if n := t.pairs.Get(h, &k); n != nil {
		return n
	}
	n, evicted := t.pairs.Add(h, &k)
	t.stats.Pairs++
	n.Val.Number = saturate(t.stats.Pairs)
	if evicted {
		t.stats.PairsEvicted++
	}
	return n
}

func (t *Table) service(f *Flow) *serviceNode {
	k := f.serviceKey()
	h := k.hash()
	if n := t.services.Get(h, &k); n != nil {
		return n
	}
	n, evicted := t.services.Add(h, &k)
	if evicted {
		t.stats.ServicesEvicted++
	}
	return n
}

// record counts a clean packet of f for its hosts and their pair.
func (f *Flow) record(p *packet.Packet, with parties, fromClient, isNew bool) {
	src, dst := with.ends(fromClient)
	src.Packets++
	with.count(fromClient, PacketsOut, PacketsIn, 1)
	with.count(fromClient, BytesOut, BytesIn, p.PayloadLength)
	if isNew {
		with.client.add(FlowsOut, 1)
		with.server.add(FlowsIn, 1)
		with.pair.add(FlowsOut, 1)
	}
	if fromClient {
		with.touchAll()
		with.pair.sent(p)
	}
	f.recordTCP(p, with, fromClient)
	recordICMP(p, src, dst, with.pair, fromClient)
}

// touchAll counts what the client talks to, once per window.
func (with parties) touchAll() {
	with.client.touch(Peers, &with.pair.clientMark)
	with.server.touch(Clients, &with.pair.serverMark)
	with.client.touch(Services, &with.service.hostMark)
	with.pair.touch(Services, &with.service.pairMark)
}

// sent follows the client's bursts.
func (p *Pair) sent(k *packet.Packet) {
	switch gap := k.Time - p.last; {
	case !p.seen:
		p.seen, p.burst = true, k.Time
	case gap >= BurstGap:
		p.Gaps.add(float64(k.Time-p.burst) / 1e9)
		p.Sizes.add(p.burstBytes)
		p.burst, p.burstBytes = k.Time, 0
	}
	p.last = k.Time
	p.burstBytes += float64(k.PayloadLength)
}

func recordICMP(p *packet.Packet, src, dst *Host, pair *Pair, fromClient bool) {
	var unreachable, echo bool
	switch p.Proto {
	case packet.ProtoICMP:
		unreachable, echo = p.ICMPType == 3, p.ICMPType == 8
	case packet.ProtoICMPv6:
		unreachable, echo = p.ICMPType == 1, p.ICMPType == 128
	}
	if unreachable {
		dst.add(UnreachIn, 1)
	}
	if echo {
		src.add(ICMPOut, 1)
		if fromClient {
			pair.add(ICMPOut, 1)
		}
	}
}
