package detect

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// wire is a network with one detector on it. Packets pass one by one, and time
// only goes on when it is told to.
type wire struct {
	t        *testing.T
	now      int64
	table    *flow.Table
	detector *Set
	seq      map[[2]netip.AddrPort]uint32 // next sequence number of each direction
	class    string                       // given to every flow
	vlan     uint16

	packets, flagged int
	first            Finding // the first flagged one
	last             Finding // of the latest packet
}

func newWire(t *testing.T, d ...Detector) *wire {
	return &wire{
		t:        t,
		now:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano(),
		table:    flow.NewTable(flow.Default()),
		detector: newSet(d, nil),
		seq:      map[[2]netip.AddrPort]uint32{},
	}
}

func (w *wire) wait(d time.Duration) { w.now += int64(d) }

func (w *wire) send(p packet.Packet) Finding {
	w.t.Helper()
	p.Time, p.VLAN = w.now, w.vlan
	p.Length = 54 + p.PayloadLength
	var o flow.Observation
	w.table.Observe(&p, &o)
	if o.Memo != nil && w.class != "" {
		o.Memo.Class = w.class
	}
	w.last = *w.detector.Observe(&o)
	w.packets++
	if !(w.last.Score >= 0 && w.last.Score <= 1) {
		w.t.Fatalf("packet %d: score %v", w.packets, w.last.Score)
	}
	if w.last.Score >= verdict.SuspiciousScore && (w.last.Reason == "" || w.last.Type == "") {
		w.t.Fatalf("packet %d: score %v without a type (%q) or reason (%q)", w.packets, w.last.Score, w.last.Type, w.last.Reason)
	}
	if w.last.Score > verdict.AnomalousScore {
		if w.flagged == 0 {
			w.first = w.last
		}
		w.flagged++
	}
	return w.last
}

func addrPort(s string) netip.AddrPort {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap
	}
	return netip.AddrPortFrom(netip.MustParseAddr(s), 0)
}

func macOf(a netip.Addr) packet.MAC {
	b := a.As16()
	return packet.MAC{2, 0, b[12], b[13], b[14], b[15]}
}

// ip returns a packet between two ends, "10.0.0.1:80", "[2001:db8::1]:80" or
// without a port.
func ip(proto uint8, from, to, payload string) packet.Packet {
	src, dst := addrPort(from), addrPort(to)
	version := uint8(4)
	if src.Addr().Is6() {
		version = 6
	}
	return packet.Packet{
		SrcMAC: macOf(src.Addr()), DstMAC: macOf(dst.Addr()),
		Version: version, Proto: proto, TTL: 64,
		Src: src.Addr().As16(), Dst: dst.Addr().As16(), SrcPort: src.Port(), DstPort: dst.Port(),
		Payload: []byte(payload), PayloadLength: uint32(len(payload)),
	}
}

func (w *wire) tcp(from, to string, flags uint16, payload string) Finding {
	w.t.Helper()
	return w.tcpLong(from, to, flags, payload, uint32(len(payload)))
}

// tcpLong is tcp with a payload of which only the head was captured.
func (w *wire) tcpLong(from, to string, flags uint16, head string, length uint32) Finding {
	w.t.Helper()
	p := ip(packet.ProtoTCP, from, to, head)
	p.PayloadLength = length
	direction := [2]netip.AddrPort{addrPort(from), addrPort(to)}
	p.TCPFlags, p.Seq, p.Window = flags, w.seq[direction], 64240
	if flags&packet.ACK != 0 {
		p.Ack = w.seq[[2]netip.AddrPort{direction[1], direction[0]}]
	}
	w.seq[direction] += length
	if flags&(packet.SYN|packet.FIN) != 0 {
		w.seq[direction]++
	}
	return w.send(p)
}

// connect shakes hands.
func (w *wire) connect(client, server string) {
	w.t.Helper()
	w.tcp(client, server, packet.SYN, "")
	w.tcp(server, client, packet.SYN|packet.ACK, "")
	w.tcp(client, server, packet.ACK, "")
}

// say sends a payload and returns what is said of it.
func (w *wire) say(from, to, payload string) Finding {
	w.t.Helper()
	return w.tcp(from, to, packet.PSH|packet.ACK, payload)
}

// hang up, begun by the client.
func (w *wire) hangUp(client, server string) {
	w.t.Helper()
	w.tcp(client, server, packet.FIN|packet.ACK, "")
	w.tcp(server, client, packet.FIN|packet.ACK, "")
	w.tcp(client, server, packet.ACK, "")
}

func (w *wire) udp(from, to, payload string) Finding {
	w.t.Helper()
	return w.send(ip(packet.ProtoUDP, from, to, payload))
}

func (w *wire) echo(from, to string, reply bool, seq uint16, payload string) Finding {
	w.t.Helper()
	p := ip(packet.ProtoICMP, from, to, payload)
	p.Name, p.ICMPType, p.ICMPID, p.ICMPSeq = "icmp", 8, 77, seq
	if reply {
		p.ICMPType = 0
	}
	return w.send(p)
}

// arp sends an ARP packet from a machine known by the last byte of its MAC
// that says it holds sender.
func (w *wire) arp(op uint16, machine byte, sender string, target byte, about string) Finding {
	w.t.Helper()
	from, to := packet.MAC{2, 0, 0, 0, 0, machine}, packet.MAC{2, 0, 0, 0, 0, target}
	p := packet.Packet{Name: "arp", SrcMAC: from, DstMAC: to, ARPOp: op, ARPSenderMAC: from,
		ARPSender: netip.MustParseAddr(sender).As16(), ARPTarget: netip.MustParseAddr(about).As16()}
	if op == 2 {
		p.ARPTargetMAC = to
	}
	return w.send(p)
}

func at(addr string, port int) string { return fmt.Sprintf("%s:%d", addr, port) }

// scene is a story on a wire and what the detector has to say of it.
type scene struct {
	name string
	play func(w *wire)
	// flagged is the exact number of packets above the threshold, -1 for more
	// than none.
	flagged int
	reason  string // of the first flagged packet; not compared if empty
}

// play runs scenes, each against a new detector.
func play(t *testing.T, kind verdict.Type, detector func() Detector, scenes []scene) {
	t.Helper()
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			w := newWire(t, detector())
			s.play(w)
			if s.flagged >= 0 && w.flagged != s.flagged || s.flagged < 0 && w.flagged == 0 {
				t.Errorf("%d of %d packets flagged, want %d; first: %q", w.flagged, w.packets, s.flagged, w.first.Reason)
			}
			if w.flagged > 0 && w.first.Type != kind {
				t.Errorf("type %q, want %q", w.first.Type, kind)
			}
			if s.reason != "" && w.first.Reason != s.reason {
				t.Errorf("reason\n %q, want\n %q", w.first.Reason, s.reason)
			}
		})
	}
}
