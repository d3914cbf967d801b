package detect

import (
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
)

// Role says how a finding reads a packet: who does it, to whom, and what else
// would still be part of the same event. [Role.Name] puts names to it.
type Role uint8

// The roles. RoleHosts is for what cannot tell: what the model finds rare, and
// what follows something that the same two hosts did.
const (
	RoleHosts   Role = iota // the client of the conversation to any server, and part of anything between the two
	RoleClient              // the client to the server, whatever the service
	RoleService             // the client to one service of the server
	RoleScan                // the sender to the receiver, whatever the port
	RoleSweep               // the sender to any host that has a service
	RoleAsker               // who asks to any server
	RoleVictim              // anybody to one host
	RoleMachine             // the sender's network card to any host
)

// Party is one side of an event: a host, or a network card of which no address
// is known or to be believed. The zero value is nobody.
type Party struct {
	Addr packet.Addr
	MAC  packet.MAC // set if the event shows below IP only
}

// String returns the address, or else that of the network card; empty for
// nobody.
func (p Party) String() string {
	switch {
	case !p.Addr.IsZero():
		return p.Addr.String()
	case p.MAC != packet.MAC{}:
		return p.MAC.String()
	}
	return ""
}

// Hash adds p to the hash of a key that it is part of.
func (p *Party) Hash(h lru.Hash) lru.Hash {
	return h.Addr((*[16]byte)(&p.Addr)).Word(p.MAC.Number())
}

// Service is what is called, as far as it has ports; the zero value is none.
type Service struct {
	Proto uint8 // IP protocol
	Port  uint16
}

// String returns the service as in "tcp/22".
func (s Service) String() string {
	switch s.Proto {
	case packet.ProtoTCP:
		return fmt.Sprintf("tcp/%d", s.Port)
	case packet.ProtoUDP:
		return fmt.Sprintf("udp/%d", s.Port)
	case packet.ProtoSCTP:
		return fmt.Sprintf("sctp/%d", s.Port)
	}
	return ""
}

// Parties are who does something to whom. Those of two packets with the same
// Role that are part of one event differ in the many only.
type Parties struct {
	Actor, Target Party
	Service       Service // zero if it is none, or any
	Domain        uint32  // packet.Packet.Domain, or VLAN below IP

	ManyActors, ManyTargets bool // others do it, or suffer it, as well
	AnyService              bool // other services are part of the same event
}

// Name puts into parties who a packet is about if a finding has that role.
func (r Role) Name(o *flow.Observation, parties *Parties) {
	*parties = Parties{}
	p := o.Packet
	parties.Actor.Addr, parties.Target.Addr, parties.Domain = p.Src, p.Dst, p.Domain
	switch r {
	case RoleScan:
		parties.AnyService = true
	case RoleVictim:
		parties.Service = called(p)
		parties.ManyActors, parties.AnyService = true, true
	case RoleSweep:
		parties.sweep(o)
	case RoleMachine:
		parties.machine(p)
	case RoleAsker:
		parties.asker(p)
	default:
		parties.Actor.Addr, _ = o.Client()
		var port uint16
		parties.Target.Addr, port = o.Server()
		parties.ManyTargets, parties.AnyService = r == RoleHosts, r != RoleService
		if p.Proto == packet.ProtoTCP || p.Proto == packet.ProtoUDP || p.Proto == packet.ProtoSCTP {
			parties.Service = Service{p.Proto, port}
		}
	}
}

// called returns the service that a packet goes to.
func called(p *packet.Packet) Service {
	if !p.HasPorts() {
		return Service{}
	}
	return Service{p.Proto, p.DstPort}
}

// asker names who asks DNS. A capture that begins with an answer may have the sides
// of its flow the wrong way round; the message knows better.
func (parties *Parties) asker(p *packet.Packet) {
	parties.Service = called(p)
	parties.ManyTargets, parties.AnyService = true, true
	if isAnswer(p) {
		parties.Actor, parties.Target = parties.Target, parties.Actor
		parties.Service.Port = p.SrcPort
	}
}

// isAnswer tells that a DNS message is a response.
func isAnswer(p *packet.Packet) bool {
	m := p.Payload
	if p.Proto == packet.ProtoTCP && len(m) > 2 {
		m = m[2:]
	}
	return len(m) > 2 && m[2]&0x80 != 0
}

// sweep names who tries a host for a service, echo or address.
func (parties *Parties) sweep(o *flow.Observation) {
	p := o.Packet
	parties.Service, parties.ManyTargets = called(p), true
	var t attempt
	if t.read(o, probeOf(o)) {
		parties.Target.Addr = t.target
		if t.key.kind == sweepARP {
			parties.Domain = uint32(p.VLAN)
			parties.Actor.MAC = p.SrcMAC
		}
	}
	if p.ARPOp != 0 {
		parties.Actor = Party{Addr: p.ARPSender, MAC: p.ARPSenderMAC}
	}
}

// machine names the network card that a frame comes from, and the address that it
// claims or whom it reaches.
func (parties *Parties) machine(p *packet.Packet) {
	parties.Actor, parties.Target = Party{MAC: p.SrcMAC}, Party{MAC: p.DstMAC}
	parties.Domain, parties.ManyTargets = uint32(p.VLAN), true
	if p.ARPOp != 0 {
		parties.Actor.MAC, parties.Target = p.ARPSenderMAC, Party{Addr: p.ARPSender}
	}
}
