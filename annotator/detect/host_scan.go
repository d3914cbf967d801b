package detect

import (
	"encoding/binary"
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// hostScan finds one host trying the same service of many others.
type hostScan struct {
	cfg     HostScan
	sources table[sweepKey, sweep]
	calls   table[pair, int64] // when the first last opened a conversation with the second
}

// sweepKind is what is tried.
type sweepKind uint8

const (
	sweepTCP sweepKind = iota
	sweepUDP
	sweepSCTP
	sweepEcho
	sweepARP // also IPv6 neighbour solicitation
)

type sweepKey struct {
	src    packet.Addr // ARP: the MAC
	kind   sweepKind
	port   uint16
	domain uint32
}

func (k *sweepKey) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&k.src)).Word(uint64(k.domain)<<32 | uint64(k.port)<<8 | uint64(k.kind))
}

// sweep is what one source tried.
type sweep struct {
	alarm
	period
	hosts     distinct // marked when it answered
	recent    rate
	low, high uint64 // range of the addresses tried
	beside    int    // hosts with a neighbour that had been tried before
}

func newHostScan(cfg HostScan) *hostScan {
	return &hostScan{
		cfg:     cfg,
		sources: newTable[sweepKey, sweep](cfg.Sources),
		calls:   newTable[pair, int64](cfg.Sources),
	}
}

func (d *hostScan) Name() string { return "host_scan" }

func (d *hostScan) Wants(k Kind) Want {
	switch {
	case k.over() == overARP, k.over() == overICMP, k.over() == overFragment:
		return always
	case k.hasPorts():
		return when(k.is(traitSignal) || k.is(traitStep) && k.any(traitClient|traitPayload) || k.is(traitClient|traitSilent|traitEarly))
	}
	return when(k.is(traitStep))
}

func (d *hostScan) await(c *Case) {
	call := callOf(c.Packet)
	d.calls.await(call.hash(), &call)
	var t attempt
	if t.read(c.Observation, c.probe()) {
		d.sources.await(t.key.hash(), &t.key)
	}
}

// callOf returns the key of calls for a packet.
func callOf(p *packet.Packet) pair { return pair{p.Src, p.Dst, uint32(p.VLAN)} }

func (d *hostScan) Observe(c *Case) {
	o, p := c.Observation, c.Packet
	if o.New {
		call := callOf(p)
		*d.calls.take(call.hash(), &call) = p.Time
	}
	var t attempt
	if t.read(o, c.probe()) {
		if t.key.kind == sweepARP && d.wasCalled(p, &t.target) {
			return
		}
		d.probe(c, &t)
		return
	}
	if o.Noise == flow.Clean {
		d.answer(c)
	}
	if !p.HasPorts() || !o.FromClient || o.ServerPayloads > 0 || o.Age > followed {
		return
	}
	key := sweepKey{p.Src, sweepTCP, p.DstPort, p.Domain}
	if p.Proto == packet.ProtoUDP {
		key.kind = sweepUDP
	}
	if s := d.sources.get(key.hash(), &key); s != nil && s.hosts.has(hashAddr(p.Dst)) {
		d.tell(c, s, &key)
	}
}

// attempt is a packet that tries a host.
type attempt struct {
	key    sweepKey
	target packet.Addr
}

// read tells whether a packet, which tries a port in such a way, tries a host, and
// fills in t, which is zero, if it does.
func (t *attempt) read(o *flow.Observation, tries probe) bool {
	p := o.Packet
	const arpRequest = 1
	switch {
	case tries == 0 && p.HasPorts(): // as most
		return false
	case p.ARPOp == arpRequest:
		if p.ARPSender == p.ARPTarget {
			return false // an announcement
		}
		t.key = sweepKey{macAddr(p.ARPSenderMAC), sweepARP, 0, uint32(p.VLAN)}
		t.target = p.ARPTarget
		return true
	case p.Version == 0:
		return false
	case p.Proto == packet.ProtoICMPv6 && p.ICMPType == 135 && len(p.Payload) >= 16: // RFC 4861 section 4.3
		if p.Src.IsZero() {
			return false // duplicate address detection
		}
		t.key = sweepKey{macAddr(p.SrcMAC), sweepARP, 0, uint32(p.VLAN)}
		t.target = packet.Addr(p.Payload[:16])
		return true
	case toMany(&p.Dst):
		return false
	case p.Proto == packet.ProtoICMP && p.ICMPType == 8, p.Proto == packet.ProtoICMPv6 && p.ICMPType == 128:
		t.key.src, t.key.kind, t.key.domain = p.Src, sweepEcho, p.Domain
		t.target = p.Dst
		return true
	}
	switch tries {
	case 0:
		return false
	case probeUDP:
		t.key.kind = sweepUDP
	case probeSCTP:
		t.key.kind = sweepSCTP
	case probeACK:
		return false // as likely the middle of a conversation
	}
	t.key.src, t.key.port, t.key.domain = p.Src, p.DstPort, p.Domain
	t.target = p.Dst
	return true
}

// wasCalled tells that a host that is asked for has called who asks: a server wants
// to answer, and searches nobody.
func (d *hostScan) wasCalled(p *packet.Packet, target *packet.Addr) bool {
	asker := p.Src
	if p.Version == 0 {
		asker = p.ARPSender
	}
	call := pair{*target, asker, uint32(p.VLAN)}
	last := d.calls.get(call.hash(), &call)
	return last != nil && near(p.Time, *last, d.cfg.Window)
}

func macAddr(m packet.MAC) (a packet.Addr) {
	copy(a[:], m[:])
	return a
}

// probe counts a packet that tries a host.
func (d *hostScan) probe(c *Case, t *attempt) {
	s := d.sources.take(t.key.hash(), &t.key)
	if c.Noise == flow.Clean {
		d.count(s, t, c.Packet.Time)
	}
	d.tell(c, s, &t.key)
}

func (d *hostScan) count(s *sweep, t *attempt, now int64) {
	if s.over(now, d.cfg.Window) {
		hosts := s.hosts
		hosts.clear()
		*s = sweep{period: begin(now), hosts: hosts, low: ^uint64(0)}
	}
	if !s.hosts.add(hashAddr(t.target)) {
		return
	}
	if s.hosts.n > 1 && s.neighbour(t.target) {
		s.beside++
	}
	s.recent.add(now, d.cfg.FastWindow, 1)
	n := binary.BigEndian.Uint64(t.target[8:])
	s.low, s.high = min(s.low, n), max(s.high, n)
	d.judge(s, &t.key, now)
}

func (d *hostScan) judge(s *sweep, key *sweepKey, now int64) {
	n, answered := float64(s.hosts.n), float64(s.hosts.marked)
	answers := d.cfg.Answered
	dense := n >= d.cfg.Density*(float64(s.high-s.low)+1)
	// Whoever sweeps one network may well know hosts of another.
	dense = dense || key.kind != sweepARP && float64(s.beside) >= n/2
	more := 1.0
	switch {
	case key.kind == sweepARP && !dense:
		return
	case key.kind == sweepARP:
		// Answers are often not sent past the point of capture, and sweeping
		// a network that is in use gets many.
		answers = 1
	case !dense:
		more = d.cfg.Scattered
	}
	if answered > answers*n {
		s.score = 0
		return
	}
	failed := n - answered
	if key.kind == sweepARP {
		failed = n
	}
	fast := float64(s.recent.count(now, d.cfg.FastWindow)) * failed / n
	s.raise(max(Grade(fast, more*float64(d.cfg.FastHosts)), Grade(failed, more*float64(d.cfg.Hosts))), now, d.cfg.FastWindow)
}

// neighbour tells that one of the addresses next to a was tried as well.
func (s *sweep) neighbour(a packet.Addr) bool {
	const reach = 3
	n := binary.BigEndian.Uint64(a[8:])
	for i := uint64(1); i <= reach; i++ {
		for _, beside := range [...]uint64{n - i, n + i} {
			binary.BigEndian.PutUint64(a[8:], beside)
			if s.hosts.has(hashAddr(a)) {
				return true
			}
		}
	}
	return false
}

// answer notes the hosts that are really there and in use.
func (d *hostScan) answer(c *Case) {
	o, p := c.Observation, c.Packet
	var key sweepKey
	host := p.Src
	switch {
	case p.ARPOp == 2:
		key, host = sweepKey{macAddr(p.ARPTargetMAC), sweepARP, 0, uint32(p.VLAN)}, p.ARPSender
	case p.Version == 0:
		return
	case p.Proto == packet.ProtoICMP && p.ICMPType == 0, p.Proto == packet.ProtoICMPv6 && p.ICMPType == 129:
		key = sweepKey{p.Dst, sweepEcho, 0, p.Domain}
	case p.PayloadLength == 0 || o.ServerPayloads+o.ClientPayloads > 2:
		return
	case p.Proto == packet.ProtoTCP:
		k := &c.key
		key, host = sweepKey{k.client, sweepTCP, k.port, k.domain}, k.server
	case p.Proto == packet.ProtoUDP && !o.FromClient:
		key = sweepKey{p.Dst, sweepUDP, p.SrcPort, p.Domain}
	default:
		return
	}
	if s := d.sources.get(key.hash(), &key); s != nil {
		s.hosts.mark(hashAddr(host))
	}
}

// tell tells what a packet is part of if the sweep is still going on.
func (d *hostScan) tell(c *Case, s *sweep, key *sweepKey) {
	now := c.Packet.Time
	if !s.active(now, d.cfg.FastWindow) {
		return
	}
	if s.outdated(now) {
		s.reason = fmt.Sprintf("%s %s hosts within %.1f s, %d of them answered; hosts that people call mostly do",
			key.verb(), s.hosts.size(), s.seconds(now), s.hosts.marked)
	}
	c.found(Finding{s.score, verdict.HostScan, s.reason, RoleSweep, s.start})
}

func (k *sweepKey) verb() string {
	switch k.kind {
	case sweepEcho:
		return "pinged"
	case sweepARP:
		return "asked for the addresses of"
	case sweepUDP:
		return fmt.Sprintf("tried UDP port %d of", k.port)
	case sweepSCTP:
		return fmt.Sprintf("tried SCTP port %d of", k.port)
	}
	return fmt.Sprintf("tried TCP port %d of", k.port)
}
