package feature

import (
	"math/bits"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// growth is by which part of what it was the number of packets has to grow for
// the anomaly model to look again.
const growth = 8

// AnomalyDue tells whether the anomaly model has to look at a packet: whether
// its features have changed enough to matter since it last looked at one that
// the same side of the flow sent. They have if
//
//   - the packet is of another kind: its TCP flags, the power of two of its
//     payload, whether it is a fragment and whether the flow is established;
//   - anything but packets and bytes was counted for its source, its
//     destination or the pair of both, or one of their windows moved on, which
//     the shortest one does every half second;
//   - that side has sent an eighth more packets; so the first eight all count.
//
// Otherwise what the model said then still holds. If it is due, that is noted
// in f. The context is as flow.Table.Observe gave it.
func AnomalyDue(o *flow.Observation, f *flow.Flow, src, dst *flow.Host) bool {
	last, packets := &f.Looks[0], f.Client.Packets
	if !o.FromClient {
		last, packets = &f.Looks[1], f.Server.Packets
	}
	now := flow.Look{
		Packets:  packets,
		Kind:     kindOf(o.Packet, o.Established),
		Versions: [3]uint32{src.Version, dst.Version, f.Pair().Version},
	}
	if last.Packets > 0 && now.Kind == last.Kind && now.Versions == last.Versions &&
		now.Packets-last.Packets <= last.Packets/growth {
		return false
	}
	*last = now
	return true
}

// kindOf puts what makes a packet of one kind into one number.
func kindOf(p *packet.Packet, established bool) uint32 {
	kind := uint32(bits.Len32(p.PayloadLength))
	if p.Fragment {
		kind |= 1 << 6
	}
	if established {
		kind |= 1 << 7
	}
	if p.Proto == packet.ProtoTCP && p.FragOffset == 0 {
		const signals = packet.SYN | packet.RST | packet.ACK | packet.FIN | packet.URG
		kind |= uint32(p.TCPFlags&signals) << 8
	}
	return kind
}
