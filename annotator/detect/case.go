package detect

import (
	"encoding/binary"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
)

// Case is one packet with what several detectors ask of it, worked out once. It
// is valid during the call of Observe that it is passed to.
type Case struct {
	*flow.Observation

	key     service  // who calls what; this and the next five are valid iff there is a flow
	caller  lru.Hash // of the client: what the next one begins with
	parties lru.Hash // of client and server: what keyHash begins with
	called  lru.Hash // of the server
	keyHash lru.Hash // of key
	many    bool     // the packet goes to many, see toMany

	began int64 // time of the first IP packet of the capture that has one

	// What is dear is only worked out for whoever asks.
	proto    protocol
	tries    probe
	hasProto bool // proto is valid, or
	hasTries bool // tries is
	asked    asked
	ends     pair // what forth and back return
	host     host // what client, server, source and target return

	asking  uint32          // bit of the detector that is asked
	finding Finding         // of that one
	traces  *[traces]uint32 // see Set
}

// asked is what a packet asks DNS, or answers.
type asked struct {
	question
	read, ok bool
	name     [256]byte
}

// observe begins with another packet.
func (c *Case) observe(o *flow.Observation) {
	c.Observation = o
	c.hasProto, c.hasTries, c.asked.read = false, false, false
	p := o.Packet
	if p.Version == 0 {
		return
	}
	c.many = toMany(&p.Dst)
	c.key.client, _ = o.Client()
	c.key.server, c.key.port = o.Server()
	c.key.proto, c.key.domain = p.Proto, p.Domain
	c.caller = hashOfAddr(&c.key.client)
	c.parties = c.caller.Addr((*[16]byte)(&c.key.server))
	c.called = hashOfAddr(&c.key.server)
	c.keyHash = c.parties.Word(uint64(p.Domain)<<32 | uint64(c.key.port)<<8 | uint64(p.Proto))
}

// found takes what a detector knows of the packet; of several findings the highest
// counts, and the first of equal ones. (If detectors returned findings, each packet
// would have several copied, which mostly say nothing.)
func (c *Case) found(f Finding) { c.finding.Raise(f) }

// forth returns client and server as a key of tables, valid until the next call
// of this or of back.
func (c *Case) forth() (lru.Hash, *pair) {
	c.ends.src, c.ends.dst, c.ends.domain = c.key.client, c.key.server, c.key.domain
	return c.parties.Word(uint64(c.key.domain)), &c.ends
}

// back returns server and client likewise.
func (c *Case) back() (lru.Hash, *pair) {
	c.ends.src, c.ends.dst, c.ends.domain = c.key.server, c.key.client, c.key.domain
	return c.called.Addr((*[16]byte)(&c.key.client)).Word(uint64(c.key.domain)), &c.ends
}

// sent returns sender and receiver likewise, received the other way round.
func (c *Case) sent() (lru.Hash, *pair) {
	if c.FromClient {
		return c.forth()
	}
	return c.back()
}

func (c *Case) received() (lru.Hash, *pair) {
	if c.FromClient {
		return c.back()
	}
	return c.forth()
}

// client returns the client as a key of tables, valid until the next call.
func (c *Case) client() (lru.Hash, *host) {
	c.host.addr, c.host.domain = c.key.client, c.key.domain
	return c.caller.Word(uint64(c.key.domain)), &c.host
}

// server returns the server likewise, source and target who sent the packet and who
// receives it.
func (c *Case) server() (lru.Hash, *host) {
	c.host.addr, c.host.domain = c.key.server, c.key.domain
	return c.called.Word(uint64(c.key.domain)), &c.host
}

func (c *Case) source() (lru.Hash, *host) {
	if c.FromClient {
		return c.client()
	}
	return c.server()
}

func (c *Case) target() (lru.Hash, *host) {
	if c.FromClient {
		return c.server()
	}
	return c.client()
}

// eitherHash is a hash of client and server that is the same for packets whose
// flow began the other way round.
func (c *Case) eitherHash() lru.Hash { return c.caller + c.called }

// protocol returns the protocol in which the client could authenticate, see
// protocolOf.
func (c *Case) protocol() protocol {
	if !c.hasProto {
		c.proto, c.hasProto = protocolOf(c.Observation), true
	}
	return c.proto
}

// probe tells how the packet could be trying a port, see probeOf.
func (c *Case) probe() probe {
	if !c.hasTries {
		c.tries, c.hasTries = probeOf(c.Observation), true
	}
	return c.tries
}

// question returns what a DNS message, on whatever port, asks or answers; nil if
// the packet is none.
func (c *Case) question() *question {
	if !c.asked.read {
		c.asked.read = true
		c.asked.ok = c.isDNS() && c.asked.parse(c.Packet, c.asked.name[:0])
	}
	if !c.asked.ok {
		return nil
	}
	return &c.asked.question
}

func (c *Case) isDNS() bool {
	p := c.Packet
	return p.HasPorts() && len(p.Payload) >= 12 &&
		(p.SrcPort == 53 || p.DstPort == 53 || classOf(c.Observation) == "dns" && !c.many)
}

// fromPeer is how many packets the other side of the flow has sent so far.
func fromPeer(o *flow.Observation) uint32 {
	if o.FromClient {
		return o.ServerPackets
	}
	return o.ClientPackets
}

// classOf returns the class of the packet's flow, empty if not known yet.
func classOf(o *flow.Observation) string {
	if o.Memo == nil {
		return ""
	}
	return o.Memo.Class
}

// ipv4 returns an IPv4 address as a number.
func ipv4(a *packet.Addr) (n uint32, ok bool) {
	const mapped = 0xffff << 32
	low := binary.BigEndian.Uint64(a[8:])
	return uint32(low), binary.BigEndian.Uint64(a[:8]) == 0 && low&^0xffffffff == mapped
}

// toMany tells that a is a multicast or broadcast address, or none, which nobody
// scans or logs in to.
func toMany(a *packet.Addr) bool {
	if n, ok := ipv4(a); ok {
		return n>>28 == 0xe || n == 0 || n == 0xffffffff
	}
	return a[0] == 0xff || a.IsZero()
}

// internal tells that a belongs to somebody's own network: private (RFC 1918, RFC
// 4193), link-local and loopback addresses, carrier-grade NAT (RFC 6598) and the
// range for benchmarks (RFC 2544).
func internal(a *packet.Addr) bool {
	if n, ok := ipv4(a); ok {
		switch n >> 24 {
		case 10, 127:
			return true
		case 172:
			return n>>20 == 172<<4|1
		case 192:
			return n>>16 == 192<<8|168
		case 169:
			return n>>16 == 169<<8|254
		case 100:
			return n>>22 == 100<<2|1
		case 198:
			return n>>17 == 198<<7|18>>1
		}
		return false
	}
	return a[0]&0xfe == 0xfc || a[0] == 0xfe && a[1]&0xc0 == 0x80 || *a == packet.Addr{15: 1}
}
