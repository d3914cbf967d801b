package flow

import (
	"bytes"
	"math"

	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
)

// Table holds the flows and hosts of one capture. It is not safe for
// concurrent use. Its only clock is the packets' time, which may run backwards
// or jump: ages are never negative, and nothing breaks.
type Table struct {
	config    Config
	flows     *lru.Map[flowKey, Flow]
	hosts     *lru.Map[hostKey, Host]
	pairs     *lru.Map[pairKey, Pair]
	services  *lru.Map[serviceKey, service]
	fragments *lru.Map[fragmentKey, fragment]
	copies    copies
	stats     Stats
}

// flowKey names a conversation whichever way a packet of it goes: the lower
// end comes first. It holds no pointers, so that the map is cheap to scan.
type flowKey struct {
	low, high         packet.Addr
	domain            uint32
	lowPort, highPort uint16
	proto             uint8
}

func (k *flowKey) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&k.low)).Addr((*[16]byte)(&k.high)).
		Word(uint64(k.domain)<<32 | uint64(k.lowPort)<<16 | uint64(k.highPort)).Word(uint64(k.proto))
}

// fragmentKey names a fragmented datagram (RFC 791 section 3.2, RFC 8200
// section 4.5).
type fragmentKey struct {
	src, dst packet.Addr
	domain   uint32
	id       uint32
	proto    uint8
}

func (k *fragmentKey) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&k.src)).Addr((*[16]byte)(&k.dst)).Word(uint64(k.domain)<<32 | uint64(k.id)).Word(uint64(k.proto))
}

// fragment is where the later fragments of a datagram go.
type fragment struct {
	ends ends
	time int64
}

// NewTable returns an empty table.
func NewTable(c Config) *Table {
	return &Table{
		config:    c,
		flows:     lru.New[flowKey, Flow](c.MaxFlows),
		hosts:     lru.New[hostKey, Host](max(c.MaxHosts, 2)), // both ends of a packet
		pairs:     lru.New[pairKey, Pair](c.MaxPairs),
		services:  lru.New[serviceKey, service](c.MaxServices),
		fragments: lru.New[fragmentKey, fragment](c.MaxFragments),
		copies:    newCopies(c),
	}
}

// Stats returns what was counted so far.
func (t *Table) Stats() Stats { return t.stats }

// Observe takes the next packet in and describes it in o, which is overwritten
// entirely. It returns the state that the packet belongs to, for reading until
// the next call: its flow, its source and its destination; all nil for packets
// without IP addresses.
func (t *Table) Observe(p *packet.Packet, o *Observation) (f *Flow, src, dst *Host) {
	return t.ObserveHashed(p, HashContent(p), o)
}

// Await has the processor fetch what Observe will need of a packet with such a
// hash, and does not wait for it.
func (t *Table) Await(h ContentHash) { t.copies.await(h) }

// ObserveHashed is Observe for a packet whose hash is known.
func (t *Table) ObserveHashed(p *packet.Packet, h ContentHash, o *Observation) (f *Flow, src, dst *Host) {
	*o = Observation{Packet: p}
	if p.Version == 0 {
		return nil, nil, nil
	}
	duplicate := t.copies.seen(p, h)
	e := t.ends(p)
	f, fromClient, isNew := t.flow(p, e)
	with := t.bind(f, p.Time)

	f.Fresh = false
	o.Noise = f.judge(p, fromClient, duplicate)
	switch o.Noise {
	case Clean:
		f.observe(p, fromClient)
		f.confirm(p, fromClient)
		f.record(p, with, fromClient, isNew)
	case Duplicate:
		t.stats.Duplicates++
	case Retransmission:
		t.stats.Retransmissions++
	case KeepAlive:
		t.stats.KeepAlives++
	}
	f.Last = p.Time

	src, dst = with.ends(fromClient)
	f.describe(o, e, fromClient, isNew)
	o.HostPackets = src.Packets
	return f, src, dst
}

// describe fills in what o tells of the flow.
func (f *Flow) describe(o *Observation, e ends, fromClient, isNew bool) {
	o.Flow, o.CommunityID, o.Memo = f.Number, f.ID, f.memo
	o.New, o.FromClient, o.Established = isNew, fromClient, f.Established
	o.srcPort, o.dstPort = e.src, e.dst
	o.Age = max(f.Last-f.First, 0)
	o.ClientPackets, o.ServerPackets = f.Client.Packets, f.Server.Packets
	o.ClientPayloads, o.ServerPayloads = f.Client.Payloads, f.Server.Payloads
	o.ClientBytes, o.ServerBytes = f.Client.Bytes, f.Server.Bytes
}

// judge tells what kind of noise p is, if any.
func (f *Flow) judge(p *packet.Packet, fromClient, duplicate bool) Noise {
	if duplicate {
		return Duplicate
	}
	if p.Proto != packet.ProtoTCP || p.FragOffset != 0 {
		return Clean
	}
	s, r := &f.streams[0], &f.streams[1]
	if !fromClient {
		s, r = r, s
	}
	return s.judge(r, p)
}

// confirm tells whether both sides have spoken.
func (f *Flow) confirm(p *packet.Packet, fromClient bool) {
	switch {
	case p.Proto != packet.ProtoTCP:
		f.Established = f.Client.Packets > 0 && f.Server.Packets > 0
	case p.FragOffset == 0:
		f.observeTCP(p, fromClient)
	}
}

// ends returns the ends of p, for a later fragment those of its first one.
func (t *Table) ends(p *packet.Packet) ends {
	if !p.Fragment {
		return endsOf(p)
	}
	k := fragmentKey{p.Src, p.Dst, p.Domain, p.FragID, p.Proto}
	h := k.hash()
	n := t.fragments.Get(h, &k)
	if p.FragOffset == 0 {
		if n == nil {
			n, _ = t.fragments.Add(h, &k)
		}
		n.Val = fragment{ends: endsOf(p), time: p.Time}
		t.fragments.Touch(n)
		return n.Val.ends
	}
	if n == nil || p.Time-n.Val.time > int64(t.config.FragmentLife) {
		t.stats.LostFragments++
		return ends{}
	}
	t.stats.Fragments++
	return n.Val.ends
}

// flow returns the flow of p, a new one if need be.
func (t *Table) flow(p *packet.Packet, e ends) (f *Flow, fromClient, isNew bool) {
	var k flowKey
	srcIsLow := k.of(p, e)
	h := k.hash()
	t.expire(p.Time)
	if n := t.flows.Get(h, &k); n != nil {
		f, fromClient = &n.Val, n.Val.lowIsClient == srcIsLow
		idle := p.Time - f.Last
		if idle <= int64(t.config.Idle) && !f.renewed(p, fromClient) {
			t.flows.Touch(n)
			return f, fromClient, false
		}
		if idle > int64(t.config.Idle) {
			t.stats.FlowsExpired++
		}
		t.flows.Remove(n)
	}
	n, evicted := t.flows.Add(h, &k)
	if evicted {
		t.stats.FlowsEvicted++
	}
	f = &n.Val
	fromClient = t.open(f, p, e, srcIsLow)
	return f, fromClient, true
}

// open fills in a new flow from its first packet and tells whether its client
// sent that. The client is who sends a SYN or receives the answer to one, and
// whoever speaks first otherwise.
func (t *Table) open(f *Flow, p *packet.Packet, e ends, srcIsLow bool) (fromClient bool) {
	const synack = packet.SYN | packet.ACK
	fromClient = !(p.Proto == packet.ProtoTCP && p.FragOffset == 0 && p.TCPFlags&(synack|packet.RST) == synack)
	if t.stats.Flows < math.MaxUint32 {
		t.stats.Flows++
	}
	f.Number, f.Proto = uint32(t.stats.Flows), p.Proto
	f.domain, f.memo = p.Domain, &Memo{}
	f.First, f.Last = p.Time, p.Time
	f.lowIsClient = srcIsLow == fromClient
	if fromClient {
		f.ClientAddr, f.ServerAddr, f.ClientPort, f.ServerPort = p.Src, p.Dst, e.src, e.dst
	} else {
		f.ClientAddr, f.ServerAddr, f.ClientPort, f.ServerPort = p.Dst, p.Src, e.dst, e.src
	}
	t.await(f)
	f.ID = communityID(p, e)
	return fromClient
}

// expire lets flows go that have been idle for too long, a few at a time.
func (t *Table) expire(now int64) {
	for range 2 {
		n := t.flows.Oldest()
		if n == nil || now-n.Val.Last <= int64(t.config.Idle) {
			return
		}
		t.flows.Remove(n)
		t.stats.FlowsExpired++
	}
}

// of makes k the key of the flow of p, and tells whether its source is the lower
// end.
func (k *flowKey) of(p *packet.Packet, e ends) (srcIsLow bool) {
	c := bytes.Compare(p.Src[:], p.Dst[:])
	k.domain, k.proto = p.Domain, p.Proto
	if e.oneWay || c < 0 || c == 0 && e.src <= e.dst {
		k.low, k.high, k.lowPort, k.highPort = p.Src, p.Dst, e.src, e.dst
		return true
	}
	k.low, k.high, k.lowPort, k.highPort = p.Dst, p.Src, e.dst, e.src
	return false
}
