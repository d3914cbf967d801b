// Package flow keeps the state of the network as far as packets tell it: who
// talks to whom ([Flow]), what each host does ([Host]), on packet time and
// within fixed bounds. It recognises noise (frames duplicated by mirror ports,
// retransmissions, keep-alives) and keeps it out of the statistics.
package flow

import (
	"sync/atomic"

	"ampulla/annotator/packet"
)

// Noise says why a packet tells nothing new.
type Noise uint8

// The kinds of noise.
const (
	Clean Noise = iota
	Duplicate
	Retransmission
	KeepAlive
)

// Observation is one packet together with all that later stages may know of
// its flow at that moment. It is plain data, a snapshot: stages that run behind
// (scoring and detection work a batch later) must see the state as it was.
type Observation struct {
	Packet *packet.Packet

	Flow        uint32 // number of the flow, from 1 in order of appearance; 0 if none
	CommunityID string // of the flow; empty if none
	Memo        *Memo  // of the flow; nil if none
	New         bool   // first packet of its flow
	FromClient  bool   // sent by the side that opened the flow
	Established bool   // TCP: the three-way handshake, or data, was seen from both sides; otherwise: both sides have spoken
	Noise       Noise

	Age int64 // nanoseconds since the flow's first packet

	// Up to and including this packet, noise left out. Bytes are payload bytes
	// on the wire.
	ClientPackets, ServerPackets   uint32
	ClientPayloads, ServerPayloads uint32 // packets that carried payload
	ClientBytes, ServerBytes       uint64

	// HostPackets is how many packets its source host has sent so far, noise
	// left out; the measure of how much is known about it.
	HostPackets uint32

	srcPort, dstPort uint16 // of a later fragment: the ports of its first one
}

// Client returns the address and port of the side that opened the flow, for a
// later fragment as its first one told them.
func (o *Observation) Client() (packet.Addr, uint16) {
	src, dst := o.ports()
	if o.FromClient {
		return o.Packet.Src, src
	}
	return o.Packet.Dst, dst
}

// Server returns the address and port of the side that was called.
func (o *Observation) Server() (packet.Addr, uint16) {
	src, dst := o.ports()
	if o.FromClient {
		return o.Packet.Dst, dst
	}
	return o.Packet.Src, src
}

func (o *Observation) ports() (src, dst uint16) {
	if o.Packet.FragOffset != 0 {
		return o.srcPort, o.dstPort
	}
	return o.Packet.SrcPort, o.Packet.DstPort
}

// Memo is what the later stages remember of a flow. The table only carries it;
// the engine's last stage alone reads and writes it, but for what Settle notes.
type Memo struct {
	Class      string  // empty before the first classification
	Confidence float32 // 0 to 1
	Incident   uint32  // number of the latest that it was part of; 0 if none
	Hindsight  uint32  // the same in hindsight
	Begun      bool    // TCP: with a SYN, so that it is certain who is the client
	LogIn      bool    // a detector followed how somebody logs in, and may remember it

	settled atomic.Uint32 // see Settle
}

// Settle notes that the class at payload packet n, from 1, is final, so that there
// is no use in classifying the flow at later ones. It is safe for concurrent use,
// in any order of n.
func (m *Memo) Settle(n uint32) {
	for known := m.settled.Load(); known == 0 || n < known; known = m.settled.Load() {
		if m.settled.CompareAndSwap(known, n) {
			return
		}
	}
}

// SettledBefore tells whether Settle was called for a payload packet before n.
func (m *Memo) SettledBefore(n uint32) bool {
	known := m.settled.Load()
	return known != 0 && known < n
}
