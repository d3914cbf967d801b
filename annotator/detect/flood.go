package detect

import (
	"fmt"
	"math"
	"slices"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// flood finds destinations that are sent more than they can want. What counts
// is packets that open a conversation or belong to none, so neither a download
// at line rate nor a video stream is a flood.
type flood struct {
	cfg          Flood
	destinations table[host, flooded]
	began        int64 // see Case
}

// vector is a way to flood.
type vector uint8

const (
	vectorNone   vector = iota
	vectorSYN           // connections that are never completed
	vectorUDP           // datagrams that open a conversation each
	vectorEcho          // echo requests, and replies without a request
	vectorAnswer        // reflection: answers without a question
	vectorOther         // TCP segments of no connection
	vectorCount
)

var vectorNames = [vectorCount]string{"", "SYN flood", "UDP flood", "ICMP flood", "reflection", "TCP flood"}

// flooded is the state of one destination. Most are only sent a packet or two, so
// that it is small until more is to be told.
type flooded struct {
	period                          // the second at hand
	streams    [vectorCount]*stream // nil of what was not sent so far
	first      stream               // one of them, as mostly there is one only; a flooded is not copied
	mean, vari float64              // of the packets a second, all vectors, before a flood
	history    int                  // seconds that mean and vari rest on
	asked      int64                // when the host last asked a group of hosts
	refused    int64                // when the host last said that nobody is at a port
	callers    *callers             // who completed a connection to it; nil for nobody
}

// stream is what one vector sends to one destination.
type stream struct {
	alarm
	since     int64  // when the second began in which the alarm did
	now, prev second // the second at hand, and the one before
}

// callers are hashes of the latest clients of a destination.
type callers struct {
	hashes [64]uint64
	n      int // so far
}

// stream returns what a vector sends.
func (s *flooded) stream(v vector) *stream {
	switch {
	case s.streams[v] != nil:
	case s.streams == [vectorCount]*stream{}:
		s.streams[v] = &s.first
	default:
		s.streams[v] = new(stream)
	}
	return s.streams[v]
}

func newFlood(cfg Flood) *flood {
	return &flood{cfg: cfg, destinations: newTable[host, flooded](cfg.Destinations)}
}

func (d *flood) Name() string { return "flood" }

func (d *flood) Wants(k Kind) Want {
	switch k.over() {
	case overTCP:
		return when(k.any(traitStep | traitSignal))
	case overUDP:
		return when(k.is(traitStep))
	}
	return when(k.over() == overICMP || k.over() == overFragment)
}

func (d *flood) await(c *Case) { d.destinations.await(c.target()) }

func (d *flood) Observe(c *Case) {
	o, p := c.Observation, c.Packet
	if p.Version == 0 || p.Time == 0 { // 0: captured without a clock
		return
	}
	d.began = c.began
	if p.Proto == packet.ProtoUDP && o.FromClient && c.many && isReflector(p.DstPort) {
		d.destinations.take(c.source()).asked = p.Time
		return
	}
	v := d.vectorOf(c)
	if v == vectorNone {
		d.answered(c)
		return
	}
	s := d.destinations.take(c.target())
	if v == vectorAnswer && s.asked != 0 && near(p.Time, s.asked, 10*time.Second) {
		return // asked all, so anyone may answer
	}
	if o.Noise == flow.Clean && !isLost(o) {
		d.count(s, v, o)
	}
	if in := s.streams[v]; in == nil || !in.active(p.Time, time.Second) {
		return
	}
	d.tell(c, s, v)
}

// opening is for how long, from the first packet on, a capture meets mostly
// connections that are older than itself.
const opening = 2 * time.Second

// vectorOf tells which kind of flood a packet could belong to.
func (d *flood) vectorOf(c *Case) vector {
	o, p := c.Observation, c.Packet
	switch p.Proto {
	case packet.ProtoTCP:
		if p.FragOffset != 0 {
			return vectorNone
		}
		if p.TCPFlags&(packet.SYN|packet.ACK|packet.RST|packet.FIN) == packet.SYN {
			return vectorSYN
		}
		if o.New && (p.PayloadLength == 0 || !near(p.Time, d.began, opening)) {
			return vectorOther
		}
	case packet.ProtoUDP:
		from, to := sourcePorts(o)
		if isLost(o) {
			return vectorAnswer // not counted, but part of what comes with it
		}
		if isReflector(from) && from != to {
			if fromPeer(o) == 0 && !c.many {
				return vectorAnswer
			}
			return vectorNone
		}
		if o.FromClient && o.ServerPackets == 0 && !c.many {
			return vectorUDP
		}
	case packet.ProtoICMP:
		if p.ICMPType == 8 || p.ICMPType == 0 && fromPeer(o) == 0 {
			return vectorEcho
		}
	case packet.ProtoICMPv6:
		if p.ICMPType == 128 || p.ICMPType == 129 && fromPeer(o) == 0 {
			return vectorEcho
		}
	}
	return vectorNone
}

// sourcePorts returns the ports of a datagram, for a later fragment those of
// its first one.
func sourcePorts(o *flow.Observation) (src, dst uint16) {
	_, src = o.Client()
	_, dst = o.Server()
	if !o.FromClient {
		src, dst = dst, src
	}
	return src, dst
}

// isLost tells that p is a later fragment whose first one was not seen, so
// that nobody knows its ports.
func isLost(o *flow.Observation) bool {
	from, to := sourcePorts(o)
	return o.Packet.FragOffset != 0 && from == 0 && to == 0
}

// isReflector tells that a UDP service is known to answer a small question
// with much more (US-CERT alert TA14-017A).
func isReflector(port uint16) bool {
	switch port {
	case 17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 1434, 1900, 3283, 3702, 5353, 5683, 10001, 11211, 37810:
		return true
	}
	return false
}

// lull is how far a flood may ebb, to no less than suspicious, and still be the
// same.
const lull = 5 * time.Second

// refusal is for how long a host that says that nobody is at a port means it:
// most say so once a second (RFC 1812 section 4.3.2.8).
const refusal = 3 * time.Second

// amplified is the payload from which on an answer is large, bytes; the
// largest that DNS allowed for long is 512.
const amplified = 400

func (d *flood) count(s *flooded, v vector, o *flow.Observation) {
	p := o.Packet
	d.advance(s, p.Time)
	in := s.stream(v)
	b := &in.now
	b.packets++
	b.bytes += uint64(p.Length)
	// A stream is one conversation. Where nobody takes it, it is a flood or a
	// log for a server that is down, and those say less.
	if o.New || b.packets%4 == 0 && v == vectorUDP && s.refused != 0 && near(p.Time, s.refused, refusal) {
		b.flows++
	}
	if v == vectorAnswer && (p.PayloadLength >= amplified || p.FragOffset != 0) {
		b.large++
	}
	source := hashAddr(p.Src)
	setBit(&b.sources, source)
	b.source.vote(source)
	if v != vectorEcho && p.FragOffset == 0 {
		setBit(&b.ports, uint64(p.DstPort))
		b.port.vote(uint64(p.DstPort))
	}
	if !in.active(p.Time, lull) {
		in.since = s.start
	}
	share := s.share(p.Time)
	if v != vectorAnswer && v != vectorEcho && Grade(in.packets(share), min(d.cfg.Rate, d.cfg.ColdRate)) < inkling {
		return // far too few for judge
	}
	latest := in.latest(share)
	in.raise(d.judge(s, v, &latest), p.Time, lull)
}

// answered notes that the destination of a possible flood takes part.
func (d *flood) answered(c *Case) {
	o, p := c.Observation, c.Packet
	if o.Noise != flow.Clean {
		return
	}
	switch {
	case isPortUnreachable(p):
		if s := d.destinations.get(c.source()); s != nil {
			s.refused = p.Time
		}
	case p.Proto == packet.ProtoTCP && o.Established && o.FromClient && o.ClientPackets == 2:
		if s := d.destinations.get(c.target()); s != nil {
			s.stream(vectorSYN).now.answered++
			s.meet(p.Src)
		}
	case p.Proto == packet.ProtoTCP && !o.FromClient && o.ServerPackets == 1 && p.TCPFlags&(packet.SYN|packet.RST) == 0:
		// A connection older than the capture.
		if s := d.destinations.get(c.source()); s != nil {
			s.stream(vectorOther).now.answered++
		}
	case p.Proto == packet.ProtoUDP && !o.FromClient && o.ServerPackets == 1:
		if s := d.destinations.get(c.source()); s != nil {
			s.stream(vectorUDP).now.answered++
		}
	}
}

// isPortUnreachable tells that a host has nobody at a port (RFC 792, RFC 4443
// section 3.1).
func isPortUnreachable(p *packet.Packet) bool {
	return p.Proto == packet.ProtoICMP && p.ICMPType == 3 && p.ICMPCode == 3 ||
		p.Proto == packet.ProtoICMPv6 && p.ICMPType == 1 && p.ICMPCode == 4
}

// meet notes a client that is real. One that floods all by itself is not let
// off for it.
func (s *flooded) meet(a packet.Addr) {
	if syn := &s.stream(vectorSYN).now; s.knows(a) || syn.sourceCount() < 32 && syn.packets > 100 {
		return
	}
	if s.callers == nil {
		s.callers = new(callers)
	}
	s.callers.hashes[s.callers.n%len(s.callers.hashes)] = hashAddr(a)
	s.callers.n++
}

// knows tells that a is such a client.
func (s *flooded) knows(a packet.Addr) bool {
	c := s.callers
	return c != nil && slices.Contains(c.hashes[:min(c.n, len(c.hashes))], hashAddr(a))
}

// advance closes the seconds that have passed.
func (d *flood) advance(s *flooded, now int64) {
	if !s.begun {
		// Before its first packet a destination got none, for as long as the
		// capture is.
		s.period = begin(max(d.began, now-int64(time.Minute)))
	}
	gone := (now - s.start) / int64(time.Second)
	if gone == 0 && now >= s.start {
		return
	}
	jumped := gone < 0 || gone > 3600 || now < s.start
	if jumped { // begin anew, keep what is normal
		s.start = now
	} else {
		d.learn(s, int(gone))
		s.start += gone * int64(time.Second)
	}
	for _, in := range s.streams {
		if in == nil {
			continue
		}
		in.now, in.prev = second{}, in.now
		if jumped || gone > 1 {
			in.prev = second{}
		}
	}
}

// learn takes the second at hand and the empty ones after it as normal, unless
// they are the flood.
func (d *flood) learn(s *flooded, gone int) {
	total := 0.0
	for _, in := range s.streams {
		if in == nil {
			continue
		}
		if in.active(s.start, time.Second) {
			return
		}
		total += float64(in.now.packets)
	}
	gone = min(gone, 60)
	if total == 0 && s.mean == 0 && s.vari == 0 { // nothing yet
		s.history += gone
		return
	}
	for i := range gone {
		x := 0.0
		if i == 0 {
			x = total
		}
		s.history++
		w := 1 / float64(min(s.history, 60))
		delta := x - s.mean
		s.mean += w * delta
		s.vari = (1 - w) * (s.vari + w*delta*delta)
	}
}

// judge returns the score of what one vector has sent.
func (d *flood) judge(s *flooded, v vector, b *second) float64 {
	n := float64(b.packets)
	switch v {
	case vectorEcho:
		return Grade(n, d.cfg.Echo)
	case vectorAnswer:
		if b.large == 0 && b.sourceCount() < 20 {
			return 0
		}
		return max(Grade(float64(b.large), d.cfg.Reflection), Grade(n, 10*d.cfg.Reflection))
	}
	open := float64(b.packets - min(b.answered, b.packets))
	if v == vectorUDP {
		open = float64(b.flows - min(b.answered, b.flows))
	}
	if open < 0.8*n && v != vectorUDP || !b.shaped() {
		return 0
	}
	cold := d.cfg.ColdRate
	if v == vectorOther && near(s.start, d.began, opening) {
		cold *= 4
	}
	score := Grade(open, cold)
	if float64(s.history) >= d.cfg.History.Seconds() {
		limit := max(d.cfg.Rate, s.mean+d.cfg.Sigma*math.Sqrt(s.vari))
		score = max(score, Grade(open, limit))
	}
	return score
}

// tell tells what an alarm that is active says of a packet.
func (d *flood) tell(c *Case, s *flooded, v vector) {
	p := c.Packet
	in := s.stream(v)
	b := in.latest(s.share(p.Time))
	if v != vectorAnswer && (b.port.excludes(uint64(p.DstPort), b.packets) || b.source.excludes(hashAddr(p.Src), b.packets)) ||
		v == vectorSYN && s.knows(p.Src) {
		return // somebody who happens to call while it is flooded
	}
	if in.outdated(p.Time) {
		in.reason = d.reason(s, v, &b, p)
	}
	c.found(Finding{in.score, verdict.Flood, in.reason, RoleVictim, in.since})
}

func (d *flood) reason(s *flooded, v vector, b *second, p *packet.Packet) string {
	what := "packets that open no conversation"
	switch v {
	case vectorEcho:
		what = "echoes"
	case vectorAnswer:
		what = "answers nobody asked for"
	}
	normal := "there was no quiet time before"
	if float64(s.history) >= d.cfg.History.Seconds() {
		normal = fmt.Sprintf("before it were %.1f a second, standard deviation %.1f", s.mean, math.Sqrt(s.vari))
	}
	return fmt.Sprintf("%s: %d %s to %s within a second, %.0f bytes each, from %s; %s",
		vectorNames[v], b.packets, what, p.Dst, float64(b.bytes)/float64(max(b.packets, 1)), b.from(), normal)
}
