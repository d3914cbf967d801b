package detect

import (
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// Kind is what a packet is at first sight, as far as it decides which detectors
// have to see it: one of the carriers, and any of the traits. Most packets are
// of a few dozen kinds, in the middle of a conversation, and few detectors care
// for those.
type Kind uint16

// The carriers.
const (
	belowIP      Kind = iota // but ARP
	overARP                  // ARP alone
	overTCP                  // this and the next two have ports
	overUDP                  //
	overSCTP                 //
	overICMP                 // of IPv4 and IPv6
	overIP                   // any other protocol
	overFragment             // a later one, of any protocol
	carriers     Kind = 7    // mask
)

// The traits.
const (
	traitClient    Kind = 8 << iota
	traitPayload        // carries one
	traitStep           // takes its conversation a step further, see Case.isStep
	traitEarly          // may follow up on a probe: the server has not come to talking, within followed
	traitSilent         // the server has sent no payload so far
	traitSignal         // asks for a connection or refuses it, or is odd otherwise, see Case.isSignal
	traitDNS            // a message of DNS, see Case.isDNS
	traitWeb            // what a client says over TCP: a request of HTTP, or anything in a flow of that class
	traitLogIn          // a payload in a protocol of log-ins, and all of a flow in which one was seen
	traitUnknown        // of a TCP flow whose class is verdict.UnknownClass
	traitOdd            // of a flow that is encrypted on a port that is not made for it
	traitBroadcast      // see isBroadcast
	traitOutward        // between an internal client and a server outside, either way
)

// over is the carrier.
func (k Kind) over() Kind { return k & carriers }

// hasPorts tells that the packet is one of TCP, UDP or SCTP and no later fragment.
func (k Kind) hasPorts() bool { return k.over() >= overTCP && k.over() <= overSCTP }

// maybeTCP tells that the packet is one of TCP, or may be a later fragment of one.
func (k Kind) maybeTCP() bool { return k.over() == overTCP || k.over() == overFragment }

// is tells that the packet has all of some traits.
func (k Kind) is(traits Kind) bool { return k&traits == traits }

// any tells that the packet has one of some traits.
func (k Kind) any(traits Kind) bool { return k&traits != 0 }

// Want says whether a detector has to see packets of a kind.
type Want uint8

const (
	never   Want = iota
	ifKnown      // if its table of services may have a state for the packet
	always
)

// when returns always if a condition holds, and never otherwise.
func when(condition bool) Want {
	if condition {
		return always
	}
	return never
}

// kindOf returns the kind of a packet.
func (c *Case) kindOf() Kind {
	o, p := c.Observation, c.Packet
	k := c.carrier()
	if isBroadcast(p) {
		k |= traitBroadcast
	}
	if p.Version == 0 {
		return k
	}
	if p.PayloadLength > 0 {
		k |= traitPayload
	}
	if o.FromClient {
		k |= traitClient
	}
	if o.ServerPayloads == 0 {
		k |= traitSilent
	}
	if o.ServerPayloads < talking && o.Age <= followed {
		k |= traitEarly
	}
	if c.isStep() {
		k |= traitStep
	}
	if internal(&c.key.client) && !internal(&c.key.server) && !toMany(&c.key.server) {
		k |= traitOutward
	}
	if k.hasPorts() {
		k |= c.talk(k)
	}
	return k
}

// isStep tells that a packet takes its conversation a step further that some
// detector counts: nobody has answered so far, or it is one of the first packets of
// its side, or has one of the first payloads.
func (c *Case) isStep() bool {
	o := c.Observation
	packets, payloads := o.ServerPackets, o.ServerPayloads
	if o.FromClient {
		packets, payloads = o.ClientPackets, o.ClientPayloads
	}
	if fromPeer(o) == 0 || packets <= 2 || packets == streamPackets || c.many {
		return true
	}
	return o.Packet.PayloadLength > 0 && (payloads == 1 || o.ClientPayloads+o.ServerPayloads <= 2)
}

// carrier returns what carries the packet.
func (c *Case) carrier() Kind {
	p := c.Packet
	switch {
	case p.Version == 0 && p.ARPOp == 0:
		return belowIP
	case p.Version == 0:
		return overARP
	case p.FragOffset != 0:
		return overFragment
	}
	switch p.Proto {
	case packet.ProtoTCP:
		return overTCP
	case packet.ProtoUDP:
		return overUDP
	case packet.ProtoSCTP:
		return overSCTP
	case packet.ProtoICMP, packet.ProtoICMPv6:
		return overICMP
	}
	return overIP
}

// isSignal tells that a packet with ports asks for a connection or refuses it, is
// where a flow begins with its server, names no ports, or may be an exception of
// Modbus.
func (c *Case) isSignal(tcp bool) bool {
	p := c.Packet
	if p.SrcPort|p.DstPort == 0 || c.New && !c.FromClient {
		return true
	}
	return tcp && (p.TCPFlags&(packet.SYN|packet.ACK|packet.FIN) == packet.SYN || p.TCPFlags&packet.RST != 0 || len(p.Payload) == modbusException)
}

// talk returns those traits of a packet with ports of kind k that are about what is
// said, and how.
func (c *Case) talk(k Kind) Kind {
	p := c.Packet
	var t Kind
	tcp := k.over() == overTCP
	if c.isSignal(tcp) {
		t |= traitSignal
	}
	switch classOf(c.Observation) {
	case "http":
		if tcp && k.is(traitClient) {
			t |= traitWeb
		}
	case verdict.UnknownClass:
		if tcp {
			t |= traitUnknown
		}
	case "tls", "ssh":
		if onOddPort(c.Observation) {
			t |= traitOdd
		}
	}
	if tcp && k.is(traitClient|traitPayload) && isHTTPRequest(p.Payload) {
		t |= traitWeb
	}
	if c.isDNS() {
		t |= traitDNS
	}
	if c.Memo.LogIn || k.is(traitPayload) && c.protocol() != protoNone {
		t |= traitLogIn
	}
	return t
}
