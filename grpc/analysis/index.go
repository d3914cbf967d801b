package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// index is what is known of the packets of one capture. It is filled once, by one
// goroutine, and then only read.
type index struct {
	store    *Store
	reserved int64 // bytes of the store's memory
	used     int64 // of these

	rows    []row // in order; frame i+1 is rows[i]
	strings []string
	numbers map[string]uint32 // in strings; nil when finished
	flows   []flowRow         // in the order of their numbers, gaps included
	bytes   float64
	leftOut uint32
	full    bool
	decoder packet.Decoder
	packet  packet.Packet
}

// row is one packet.
type row struct {
	time             int64
	length           uint32
	flow, incident   uint32
	src, dst         uint32 // in strings
	srcPort, dstPort uint16
	class, reason    uint32 // in strings
	score            uint16 // thousandths
	confidence       uint8  // hundredths
	level, kind      uint8  // verdicts: annotatorv1.Level, position in verdict.Types + 1
	proto            uint8
	version          uint8 // of IP; 0 for none
}

// flowRow is one conversation.
type flowRow struct {
	first, last uint32 // frames; 0 for none
	packets     uint32
	flagged     uint32
	bytes       uint64
	best        uint32 // frame with the highest score
}

const (
	rowBytes    = 56
	flowBytes   = 32
	stringBytes = 80 // beside its own bytes, in slice and map
	blockBytes  = 1 << 20
)

func newIndex(s *Store) *index {
	return &index{store: s, strings: []string{""}, numbers: map[string]uint32{"": 0}}
}

// take tells whether n more bytes may be used, and counts them.
func (x *index) take(n int64) bool {
	for x.used+n > x.reserved {
		if x.full || !x.store.reserve(blockBytes) {
			x.full = true
			return false
		}
		x.reserved += blockBytes
	}
	x.used += n
	return true
}

// intern returns the number of a string. Without room it is that of the empty
// one.
func (x *index) intern(s string) uint32 {
	if n, ok := x.numbers[s]; ok {
		return n
	}
	if !x.take(stringBytes + int64(len(s))) {
		return 0
	}
	n := uint32(len(x.strings))
	x.strings = append(x.strings, s)
	x.numbers[s] = n
	return n
}

// Process takes frames in, in the place of the engine; its verdicts are none.
func (x *index) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	for _, f := range frames {
		x.add(f)
		out = append(out, verdict.Verdict{Time: f.Time})
	}
	return out, nil
}

func (x *index) add(f packet.Frame) {
	x.bytes += float64(f.Length)
	if x.leftOut > 0 || !x.take(rowBytes) {
		x.leftOut++
		return
	}
	p := &x.packet
	x.decoder.Decode(f, p)
	r := row{time: f.Time, length: f.Length, proto: p.Proto, version: p.Version}
	switch {
	case p.Version != 0:
		r.src, r.dst = x.intern(p.Src.String()), x.intern(p.Dst.String())
	case p.ARPOp != 0:
		r.src, r.dst = x.intern(p.ARPSender.String()), x.intern(p.ARPTarget.String())
	case p.SrcMAC != packet.MAC{} || p.DstMAC != packet.MAC{}:
		r.src, r.dst = x.intern(p.SrcMAC.String()), x.intern(p.DstMAC.String())
	}
	if p.HasPorts() {
		r.srcPort, r.dstPort = p.SrcPort, p.DstPort
	}
	x.rows = append(x.rows, r)
}

// judge takes the verdict on a packet in.
func (x *index) judge(v *annotatorv1.Verdict) {
	if v.GetFrame() < 1 || v.GetFrame() > uint64(len(x.rows)) {
		return
	}
	frame := uint32(v.GetFrame())
	r := &x.rows[frame-1]
	r.flow, r.incident = v.GetFlow(), v.GetIncident()
	r.score, r.confidence, r.level = uint16(v.GetScorePermille()), uint8(v.GetConfidencePercent()), uint8(v.GetLevel())
	r.kind = uint8(slices.Index(verdict.Types, verdict.Type(v.GetType())) + 1)
	r.class, r.reason = x.intern(v.GetClass()), x.intern(v.GetReason())
	if r.flow == 0 || r.flow > uint32(len(x.rows)) {
		return
	}
	for uint32(len(x.flows)) < r.flow {
		if !x.take(flowBytes) {
			return
		}
		x.flows = append(x.flows, flowRow{})
	}
	f := &x.flows[r.flow-1]
	if f.packets == 0 {
		f.first, f.best = frame, frame
	}
	f.last = frame
	f.packets++
	f.bytes += uint64(r.length)
	if v.GetFlagged() {
		f.flagged++
	}
	if r.score > x.rows[f.best-1].score {
		f.best = frame
	}
}

// finish gives back what was only needed to fill the index.
func (x *index) finish() {
	x.numbers = nil
	x.rows, x.strings, x.flows = slices.Clip(x.rows), slices.Clip(x.strings), slices.Clip(x.flows)
}

// verdicts are the levels in words.
var levels = map[annotatorv1.Level]string{
	annotatorv1.Level_LEVEL_NORMAL:     string(verdict.Normal),
	annotatorv1.Level_LEVEL_SUSPICIOUS: string(verdict.Suspicious),
	annotatorv1.Level_LEVEL_ANOMALOUS:  string(verdict.Anomalous),
	annotatorv1.Level_LEVEL_LEARNING:   string(verdict.Learning),
}

// packetAt returns the packet of a frame that is in the index.
func (x *index) packetAt(frame uint32) *annotatorv1.PacketVerdict {
	r := &x.rows[frame-1]
	return &annotatorv1.PacketVerdict{
		Frame: frame, Time: stamp(r.time),
		Source: x.strings[r.src], SourcePort: uint32(r.srcPort),
		Destination: x.strings[r.dst], DestinationPort: uint32(r.dstPort),
		Transport: transport(r.version, r.proto), Length: r.length,
		Class: x.strings[r.class], Confidence: float64(r.confidence) / 100,
		Score: float64(r.score) / 1000, Verdict: levels[annotatorv1.Level(r.level)],
		Type: kind(r.kind), Reason: x.strings[r.reason], Flow: r.flow, Incident: r.incident,
	}
}

func kind(n uint8) string {
	if n == 0 {
		return ""
	}
	return string(verdict.Types[n-1])
}

// transport is Wireshark's name of an IP protocol.
func transport(version, proto uint8) string {
	if version == 0 {
		return ""
	}
	switch proto {
	case packet.ProtoTCP:
		return "tcp"
	case packet.ProtoUDP:
		return "udp"
	case packet.ProtoSCTP:
		return "sctp"
	case packet.ProtoICMP:
		return "icmp"
	case packet.ProtoICMPv6:
		return "icmpv6"
	}
	return fmt.Sprintf("ip.proto %d", proto)
}

// flowAt returns a conversation by its number, which has packets.
func (x *index) flowAt(n uint32) *annotatorv1.FlowSummary {
	f := &x.flows[n-1]
	first, last, best := &x.rows[f.first-1], &x.rows[f.last-1], &x.rows[f.best-1]
	s := &annotatorv1.FlowSummary{
		Flow: n, Source: x.strings[first.src], SourcePort: uint32(first.srcPort),
		Destination: x.strings[first.dst], DestinationPort: uint32(first.dstPort),
		Transport: transport(first.version, first.proto), Class: x.strings[last.class],
		Packets: f.packets, Bytes: float64(f.bytes), FirstFrame: f.first, LastFrame: f.last,
		First: stamp(first.time), Last: stamp(last.time),
		MaxScore: float64(best.score) / 1000, Flagged: f.flagged, Type: kind(best.kind),
	}
	s.DisplayFilter = flowFilter(first.version, s)
	return s
}

// order sorts conversations: the most anomalous first, and the largest of these.
func (x *index) order(a, b uint32) int {
	f, g := &x.flows[a-1], &x.flows[b-1]
	return cmp.Or(cmp.Compare(x.rows[g.best-1].score, x.rows[f.best-1].score), cmp.Compare(g.bytes, f.bytes), cmp.Compare(a, b))
}

// permille returns the least score in thousandths that is at least score.
func permille(score float64) uint16 { return uint16(math.Ceil(score*1000 - 1e-9)) }
