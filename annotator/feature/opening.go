package feature

import (
	"encoding/binary"

	"ampulla/annotator/flow"
	"ampulla/annotator/signature"
)

// Opening is all that the classifier's vector of a conversation is made of. It
// is plain data and comparable: equal ones have the same vector, and so the
// same class.
type Opening struct {
	proto    uint8
	payloads [2]uint8 // of client and server, at most flow.FirstPayloads
	held     [4]uint8 // bytes of each of heads
	lengths  [flow.FirstPayloads]int32
	heads    [4][flow.HeadBytes]byte // first and second payload of client and server; zeros behind what is held
}

// OpeningOf returns the beginning of f as far as it was seen.
func OpeningOf(f *flow.Flow) Opening {
	o := Opening{
		proto: f.Proto, lengths: f.Lengths,
		payloads: [2]uint8{
			uint8(min(f.Client.Payloads, flow.FirstPayloads)),
			uint8(min(f.Server.Payloads, flow.FirstPayloads)),
		},
	}
	for i, head := range [...][]byte{f.Client.Head(), f.Client.Next(), f.Server.Head(), f.Server.Next()} {
		o.held[i] = uint8(copy(o.heads[i][:], head))
	}
	return o
}

// Payloads returns how many packets carried payload, both directions, as far as
// ClassDue counts.
func (o *Opening) Payloads() uint32 { return uint32(o.payloads[0]) + uint32(o.payloads[1]) }

// messages returns the first and second payload of the client and of the
// server; Length is 0 for those not yet seen.
func (o *Opening) messages() (m [4]signature.Message) {
	for i := range m {
		m[i].Data, m[i].Proto = o.heads[i][:o.held[i]], o.proto
	}
	client, server := 0, 2
	for _, n := range o.lengths {
		if n > 0 && client < 2 {
			m[client].Length = int(n)
			client++
		}
		if n < 0 && server < 4 {
			m[server].Length = -int(n)
			server++
		}
	}
	return m
}

// message is all of one payload that signatures look at; plain data.
type message struct {
	head   [flow.HeadBytes]byte
	length int32
	held   uint8 // bytes of head
	proto  uint8
}

// hash spreads messages; nothing depends on how.
func (m *message) hash() uint64 {
	h := uint64(m.length)<<16 | uint64(m.held)<<8 | uint64(m.proto)
	for i := 0; i < len(m.head); i += 8 {
		h = (h ^ binary.LittleEndian.Uint64(m.head[i:])) * 0x9e3779b97f4a7c15
		h ^= h >> 32
	}
	return h
}
