package detect

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// probe is a way to try a port without using it; several are a bit set.
type probe uint8

const (
	probeSYN probe = 1 << iota
	probeFIN
	probeNULL
	probeXmas
	probeACK // also window and Maimon (FIN and ACK) scans, which look the same
	probeUDP
	probeSCTP
	probeProtocol // an IP protocol, not a port
)

var probeNames = [...]string{"SYN", "FIN", "NULL", "Xmas", "ACK", "UDP", "SCTP INIT", "IP protocol"}

func (p probe) String() string {
	var names []string
	for i, name := range probeNames {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// probeOf tells how a packet could be trying a port; 0 if in no way.
func probeOf(o *flow.Observation) probe {
	p := o.Packet
	if !p.HasPorts() || toMany(&p.Dst) {
		return 0
	}
	switch p.Proto {
	case packet.ProtoTCP:
		return probeOfTCP(o)
	case packet.ProtoUDP:
		answer := p.SrcPort < 1024 && p.DstPort >= 1024
		if o.New && o.FromClient && !answer && p.Length < heavy && !isTraceroute(p) {
			return probeUDP
		}
	case packet.ProtoSCTP:
		const chunkInit = 1 // RFC 9260 section 3.2
		if o.New && p.SCTPChunk == chunkInit {
			return probeSCTP
		}
	}
	return 0
}

func probeOfTCP(o *flow.Observation) probe {
	const all = packet.FIN | packet.SYN | packet.RST | packet.PSH | packet.ACK | packet.URG
	p := o.Packet
	flags := p.TCPFlags & all
	if flags == packet.SYN {
		return probeSYN
	}
	if !o.New || p.PayloadLength != 0 {
		return 0
	}
	switch {
	case flags == 0:
		return probeNULL
	case flags == packet.FIN:
		return probeFIN
	case flags&(packet.ACK|packet.RST) == 0 && flags&(packet.FIN|packet.URG) != 0:
		return probeXmas
	case flags == packet.ACK || flags == packet.FIN|packet.ACK:
		return probeACK
	}
	return 0
}

// isTraceroute tells that p is a traceroute probe: one port after the other
// from 33434 on, but meant for the routers on the way.
func isTraceroute(p *packet.Packet) bool {
	return p.DstPort >= 33434 && p.DstPort < 33600 && p.TTL <= 32
}

// followUp is how long after the last new port the scanner's other packets to
// its victim belong to the scan: repeated probes, the end of handshakes,
// questions for versions. What comes later is another matter.
const followUp = 30 * time.Second

func portKey(proto uint8, port uint16) uint64 { return uint64(proto)<<16 | uint64(port) }

// followed is how old a conversation is at most, nanoseconds, of which packets
// follow a probe.
const followed = int64(10 * time.Second)

// portScan finds one host trying the ports of another.
type portScan struct {
	cfg    PortScan
	pairs  table[pair, portPair]
	shared table[host, sharedScan]
	asked  services[registerScan]
}

// portPair is what one host tried of another.
type portPair struct {
	alarm
	period
	ports     distinct // protocol and port; marked when it carried a conversation
	probes    uint32
	refused   uint32
	unsure    uint32 // probes that may as well be the middle of a conversation
	perSecond rate
	peak      uint32 // highest perSecond
	kinds     probe
	protocols [4]uint64 // bit set of IP protocols
	lastProto uint8
}

func newPortScan(cfg PortScan) *portScan {
	return &portScan{
		cfg:    cfg,
		pairs:  newTable[pair, portPair](cfg.Pairs),
		shared: newTable[host, sharedScan](cfg.Pairs),
		asked:  newServices[registerScan](cfg.Pairs),
	}
}

func (d *portScan) Name() string { return "port_scan" }

func (d *portScan) Wants(k Kind) Want {
	switch {
	case k.over() == overICMP, k.over() == overIP, k.hasPorts() && (k.is(traitSignal) || k.is(traitStep|traitPayload) || k.is(traitClient) && k.any(traitStep|traitEarly)):
		return always
	case k.over() == overTCP:
		return ifKnown
	}
	return never
}

func (d *portScan) await(c *Case) { d.pairs.await(c.sent()) }

func (d *portScan) Observe(c *Case) {
	p := c.Packet
	if p.Version == 0 {
		return
	}
	if headless := p.SrcPort == 0 && p.DstPort == 0; !p.HasPorts() || headless {
		d.protocol(c)
		return
	}
	if kind := c.probe(); kind != 0 {
		if p.Proto != packet.ProtoTCP {
			d.probe(c, kind)
			return
		}
		if c.Noise == flow.Clean {
			d.share(c)
		}
		d.probe(c, kind)
		d.shares(c)
		return
	}
	d.answer(c)
	d.follow(c)
	d.registers(c)
}

// probe counts a packet that tries a port.
func (d *portScan) probe(c *Case, kind probe) {
	p := c.Packet
	s := d.pairs.take(c.sent())
	port := portKey(p.Proto, p.DstPort)
	if c.Noise == flow.Clean {
		d.restart(s, p.Time)
		s.probes++
		s.kinds |= kind
		if s.ports.add(port) {
			s.peak = max(s.peak, s.perSecond.add(p.Time, time.Second, 1))
			if kind == probeACK {
				s.unsure++
			}
			d.judge(s, p.Time)
		}
	}
	hold := followUp
	if s.ports.has(port) && !s.ports.isMarked(port) {
		hold = d.cfg.Window // also when a known scanner comes again
	}
	d.tell(c, s, hold)
}

// restart forgets what is older than the window.
func (d *portScan) restart(s *portPair, now int64) {
	if !s.over(now, d.cfg.Window) {
		return
	}
	ports := s.ports
	ports.clear()
	*s = portPair{period: begin(now), ports: ports}
}

func (d *portScan) judge(s *portPair, now int64) {
	n, served := s.ports.n, s.ports.marked
	if s.unsure > 0 && s.refused*2 < s.unsure {
		n -= int(s.unsure)
	}
	if float64(served) > d.cfg.Served*float64(n) {
		s.score = 0
		return
	}
	score := Grade(float64(n-served), float64(d.cfg.Ports))
	if n >= d.cfg.MinPorts {
		score = max(score, Grade(float64(s.perSecond.count(now, time.Second)), d.cfg.Rate))
	}
	s.raise(score, now, d.cfg.Window)
}

// protocol counts a packet that may try an IP protocol.
func (d *portScan) protocol(c *Case) {
	p := c.Packet
	if p.FragOffset != 0 || c.many {
		return
	}
	h, key := c.sent()
	s := d.pairs.get(h, key)
	if s == nil {
		s = d.pairs.take(h, key)
	} else if s.lastProto == p.Proto && !s.active(p.Time, d.cfg.Window) {
		return
	}
	if c.Noise == flow.Clean {
		d.restart(s, p.Time)
		s.lastProto = p.Proto
		s.protocols[p.Proto/64] |= 1 << (p.Proto % 64)
		if n := s.countProtocols(); n > 2 {
			if score := Grade(float64(n), float64(d.cfg.Protocols)); score > s.score {
				s.kinds |= probeProtocol
				s.raise(score, p.Time, d.cfg.Window)
			}
		}
	}
	echo := p.Proto == packet.ProtoICMP || p.Proto == packet.ProtoICMPv6
	if echo && s.kinds&probeProtocol == 0 {
		return
	}
	d.tell(c, s, d.cfg.Window)
}

func (s *portPair) countProtocols() int {
	n := 0
	for _, w := range s.protocols {
		n += bits.OnesCount64(w)
	}
	return n
}

// answer notes what became of a probe.
func (d *portScan) answer(c *Case) {
	o, p := c.Observation, c.Packet
	if o.Noise != flow.Clean {
		return
	}
	switch {
	case p.Proto == packet.ProtoTCP && p.TCPFlags&packet.RST != 0:
		if s := d.pairs.get(c.received()); s != nil {
			if s.ports.has(portKey(p.Proto, p.SrcPort)) {
				s.refused++
			}
		}
	case p.Proto == packet.ProtoUDP && o.FromClient:
		if o.ClientPackets == streamPackets {
			d.use(c)
		}
	case p.PayloadLength > 0 && o.ServerPayloads+o.ClientPayloads <= 2:
		// The first payload of either side means that the port is used: who
		// only scans sends none, and need not be seen from both sides.
		d.use(c)
	}
}

// streamPackets is from which packet on an unanswered UDP flow is a stream
// and no probe that was repeated.
const streamPackets = 5

// use marks the port that a packet of a flow goes to as used.
func (d *portScan) use(c *Case) {
	k := &c.key
	if s := d.pairs.get(c.forth()); s != nil {
		s.ports.mark(portKey(k.proto, k.port))
	}
	if s := d.shared.get(c.server()); s != nil {
		s.ports.mark(portKey(k.proto, k.port))
	}
}

// follow recognises the later packets of a probe: the end of a handshake, a
// reset, the question for a version.
func (d *portScan) follow(c *Case) {
	if !c.FromClient || c.ServerPayloads >= talking || c.Age > followed {
		return
	}
	s := d.pairs.get(c.forth())
	if s == nil {
		return
	}
	d.tell(c, s, followUp)
}

// tell tells what a packet is part of if the scan was still going on at most hold
// ago.
func (d *portScan) tell(c *Case, s *portPair, hold time.Duration) {
	p := c.Packet
	if !s.active(p.Time, hold) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = d.reason(s, p)
	}
	c.found(Finding{s.score, verdict.PortScan, s.reason, RoleScan, s.start})
}

func (d *portScan) reason(s *portPair, p *packet.Packet) string {
	if n := s.countProtocols(); s.kinds&probeProtocol != 0 && n > s.ports.n {
		return fmt.Sprintf("packets of %d IP protocols to %s within %.1f s; hosts usually share fewer than %d",
			n, p.Dst, s.seconds(p.Time), d.cfg.Protocols)
	}
	return fmt.Sprintf("%d probes (%s) to %s ports of %s within %.1f s, up to %d a second, %d refused, %d used; clients use the few that they try",
		s.probes, s.kinds, s.ports.size(), p.Dst, s.seconds(p.Time), s.peak, s.refused, s.ports.marked)
}
