package feature

import (
	"testing"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// lookout asks what is due of packets that it makes, a microsecond apart.
type lookout struct {
	looks Looks
	table *flow.Table
	now   int64
}

func newLookout() *lookout {
	return &lookout{table: flow.NewTable(flow.Default()), now: 1e18}
}

// due sends a packet from 10.0.0.1 to 10.0.0.2, port 5000, or what change makes
// of it.
func (l *lookout) due(payload uint32, change ...func(*packet.Packet)) bool {
	l.now += int64(time.Microsecond)
	p := packet.Packet{
		Time: l.now, Version: 4, Proto: packet.ProtoUDP, Src: address(1), Dst: address(2), SrcPort: 4000, DstPort: 5000,
		FragID: uint32(l.now / 1000), PayloadLength: payload, Length: payload + 42,
	}
	for _, c := range change {
		c(&p)
	}
	var o flow.Observation
	f, src, dst := l.table.Observe(&p, &o)
	_, due := l.looks.Due(&o, f, src, dst)
	return due
}

func address(n byte) packet.Addr { return packet.Addr{10: 0xff, 11: 0xff, 12: 10, 15: n} }

func back(p *packet.Packet) { p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort }

func ports(from, to uint16) func(*packet.Packet) {
	return func(p *packet.Packet) { p.SrcPort, p.DstPort = from, to }
}

// TestLooks checks when the model has to look again, in one conversation that
// goes on and on.
func TestLooks(t *testing.T) {
	l := newLookout()
	due := 0
	for i := range 100 {
		if l.due(100) {
			due++
		} else if i < 2 {
			t.Errorf("packet %d is not due", i+1)
		}
	}
	if due != 7 { // 1, 2, 4, 8, 16, 32, 64
		t.Errorf("%d of 100 packets are due", due)
	}
	if l.due(100) || l.due(127) {
		t.Error("due although nothing changed")
	}
	for _, tt := range []struct {
		name    string
		payload uint32
		change  func(*packet.Packet)
	}{
		{"an answer", 100, back}, // and the flow is established
		{"another size", 300, func(*packet.Packet) {}},
		{"a fragment", 100, func(p *packet.Packet) { p.Fragment = true }},
		{"another flow of the same hosts", 300, ports(4001, 5000)},
		{"another service of the same hosts", 300, ports(4002, 5001)},
		{"another host", 300, func(p *packet.Packet) { p.Dst = address(3) }},
	} {
		if !l.due(tt.payload, tt.change) {
			t.Errorf("%s: not due", tt.name)
		}
		l.due(100)
		if l.due(100) {
			t.Errorf("%s: due again although nothing changed", tt.name)
		}
	}
	l.now += int64(10 * time.Second)
	if !l.due(100) {
		t.Error("not due although the windows moved on")
	}
}

// TestLooksAcrossFlows wants flows that are alike to be looked at when there are
// twice as many: a scan of ports is.
func TestLooksAcrossFlows(t *testing.T) {
	l := newLookout()
	due := 0
	for port := range uint16(1000) {
		if l.due(0, ports(4000, port+1), func(p *packet.Packet) { p.Proto, p.TCPFlags = packet.ProtoTCP, packet.SYN }) {
			due++
		}
	}
	if due < 10 || due > 20 {
		t.Errorf("%d of 1000 probes are due", due)
	}
}

// TestLooksOfOthers wants a look between two hosts to say nothing of two others
// who do the same.
func TestLooksOfOthers(t *testing.T) {
	l := newLookout()
	for n := range byte(50) {
		pair := func(p *packet.Packet) { p.Src, p.Dst = address(2*n), address(2*n+1) }
		for range 2 {
			if !l.due(100, pair) {
				t.Errorf("hosts %d and %d: not due", 2*n, 2*n+1)
			}
		}
	}
}

// TestLooksOfStrangers wants a host that calls one after the other to be looked at
// when it has called twice as many, and one that calls hosts who are known as
// before.
func TestLooksOfStrangers(t *testing.T) {
	l := newLookout()
	calls := func(from byte) (due int) {
		for n := range byte(200) {
			if l.due(10, func(p *packet.Packet) { p.Src, p.Dst = address(from), packet.Addr{15: n} }) {
				due++
			}
		}
		return due
	}
	if due := calls(1); due != 8 { // 1, 2, 4, 8, 16, 32, 64, 128
		t.Errorf("%d calls of strangers are due", due)
	}
	if due := calls(2); due != 200 {
		t.Errorf("%d of 200 calls of known hosts are due", due)
	}
}

func TestLooksAllocateNothing(t *testing.T) {
	l := newLookout()
	l.due(100)
	p := packet.Packet{Time: l.now, Version: 4, Proto: packet.ProtoUDP, Src: address(1), Dst: address(2), SrcPort: 4000, DstPort: 5000}
	var o flow.Observation
	f, src, dst := l.table.Observe(&p, &o)
	if n := testing.AllocsPerRun(100, func() { l.looks.Due(&o, f, src, dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
