package feature

import (
	"math/bits"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// LooksLen is how many looks of the anomaly model are remembered.
const LooksLen = 1 << looksBits

const looksBits = 13

// Looks remembers what the anomaly model lately looked at, as far as that
// matters. The model knows no addresses and sees counts by their logarithm, and
// it takes many steps to make an ordinary packet a rare one. So what it said of a
// packet holds for later ones, of any flow between the same two hosts, that are
// alike:
//
//   - of the same kind: protocol, direction, TCP flags, the power of two of the
//     payload, whether it is a fragment and whether the flow is established;
//   - with the same levels, powers of two of counts: how many packets each side
//     of the flow has sent, and what source, destination and the pair of both
//     did lately, see levelsOf.
//
// A conversation is looked at when it has doubled, and so is a scan or a flood,
// in which each flow is like the one before. The rest of what the model sees
// (times, volumes, sizes, longer windows) hardly changes without any of these.
// That the hosts are the same is for the words: the numbers of others would be no
// reason. Where a host calls one that nobody has met before, all that the model
// sees of that one is the packet at hand, so that any other stranger will do: who
// calls many, as a scan does, is looked at when there are twice as many.
//
// Looks are in a table of fixed size, each in the one place that its content
// says, where it takes the place of an older one. So what is due depends on the
// ordered packets alone. The zero value is ready; it is not safe for concurrent
// use.
type Looks struct {
	at [LooksLen]look
}

// look is what matters of a packet; plain data. The zero value is of none.
type look struct {
	of     uint32 // number of the pair of hosts, or of who calls a stranger
	kind   uint32
	levels uint64
}

// Due tells whether the anomaly model has to look at a packet, which it is taken
// to do then, or otherwise still knows what to say. It also returns the number of
// the look, less than LooksLen, under which that is to be remembered. The context
// is as flow.Table.Observe gave it.
func (l *Looks) Due(o *flow.Observation, f *flow.Flow, src, dst *flow.Host) (number int, due bool) {
	pair := f.Pair()
	now := look{of: pair.Number, kind: kindOf(o), levels: levelsOf(o, src, dst, pair)}
	if o.New && o.FromClient && dst.Age(o.Packet.Time) == 0 {
		now.of, now.kind = src.Number, now.kind|toStranger
	}
	number = now.place()
	if l.at[number] == now {
		return number, false
	}
	l.at[number] = now
	return number, true
}

// place spreads looks over a table.
func (l *look) place() int {
	const odd = 0x9e3779b97f4a7c15 // 2^64 by the golden ratio
	h := (uint64(l.of)<<32 | uint64(l.kind)) * odd
	h = (h ^ h>>32 ^ l.levels) * odd
	return int(h >> (64 - looksBits))
}

// toStranger marks the kind of a first packet to a host that nobody has met before.
const toStranger = 1 << 25

// kindOf puts what makes a packet of one kind into one number.
func kindOf(o *flow.Observation) uint32 {
	p := o.Packet
	kind := uint32(bits.Len32(p.PayloadLength)) | uint32(p.Proto)<<16
	if p.Fragment {
		kind |= 1 << 6
	}
	if o.Established {
		kind |= 1 << 7
	}
	if p.Proto == packet.ProtoTCP && p.FragOffset == 0 {
		const signals = packet.SYN | packet.RST | packet.ACK | packet.FIN | packet.URG
		kind |= uint32(p.TCPFlags&signals) << 8
	}
	if o.FromClient {
		kind |= 1 << 24
	}
	return kind
}

// levelsOf puts the powers of two of what matters into one number, six bits
// each.
func levelsOf(o *flow.Observation, src, dst *flow.Host, pair *flow.Pair) uint64 {
	levels := level(o.ClientPackets)<<6 | level(o.ServerPackets)
	levels = levels<<6 | level(src.At(srcPackets))
	levels = levels<<6 | level(src.At(srcFlows))
	levels = levels<<6 | level(src.At(srcServices))
	levels = levels<<6 | level(src.At(srcFailed))
	levels = levels<<6 | level(dst.At(dstFlows))
	levels = levels<<6 | level(dst.At(dstClients))
	levels = levels<<6 | level(pair.At(pairFlows))
	return levels<<6 | level(pair.At(pairServices))
}

func level(count uint32) uint64 { return uint64(bits.Len32(count)) }

// The counts that matter.
var (
	srcPackets   = flow.PlaceOf(flow.PacketsOut, flow.TenSeconds)
	srcFlows     = flow.PlaceOf(flow.FlowsOut, flow.TenSeconds)
	srcServices  = flow.PlaceOf(flow.Services, flow.Minute)
	srcFailed    = flow.PlaceOf(flow.Failed, flow.Minute)
	dstFlows     = flow.PlaceOf(flow.FlowsIn, flow.TenSeconds)
	dstClients   = flow.PlaceOf(flow.Clients, flow.Minute)
	pairFlows    = flow.PlaceOf(flow.FlowsOut, flow.TenSeconds)
	pairServices = flow.PlaceOf(flow.Services, flow.Minute)
)
