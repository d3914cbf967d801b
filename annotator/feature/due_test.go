package feature

import (
	"testing"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// TestAnomalyDue checks when the model has to look again, in one conversation
// that goes on and on.
func TestAnomalyDue(t *testing.T) {
	table := flow.NewTable(flow.Default())
	now := int64(1e18)
	address := func(n byte) packet.Addr { return packet.Addr{10: 0xff, 11: 0xff, 12: 10, 15: n} }
	send := func(payload uint32, change func(*packet.Packet)) bool {
		now += int64(time.Microsecond)
		p := packet.Packet{
			Time: now, Version: 4, Proto: packet.ProtoUDP, Src: address(1), Dst: address(2), SrcPort: 4000, DstPort: 5000,
			FragID: uint32(now / 1000), PayloadLength: payload, Length: payload + 42,
		}
		if change != nil {
			change(&p)
		}
		var o flow.Observation
		f, src, dst := table.Observe(&p, &o)
		return AnomalyDue(&o, f, src, dst)
	}
	plain := func(*packet.Packet) {}
	back := func(p *packet.Packet) { p.Src, p.Dst, p.SrcPort, p.DstPort = p.Dst, p.Src, p.DstPort, p.SrcPort }

	due := 0
	for i := range 100 {
		if send(100, plain) {
			due++
		} else if i < 8 {
			t.Errorf("packet %d is not due", i+1)
		}
	}
	if due < 20 || due > 40 { // 8, then an eighth more each: 9, 10, 12, 14, ... 100
		t.Errorf("%d of 100 packets are due", due)
	}
	if send(100, plain) || send(127, plain) {
		t.Error("due although nothing changed")
	}
	other := func(p *packet.Packet) { p.SrcPort = 4001 }
	for _, tt := range []struct {
		name    string
		payload uint32
		change  func(*packet.Packet)
	}{
		{"an answer", 100, back}, // and the flow is established
		{"another size", 300, plain},
		{"another flow of the same hosts", 300, other},
	} {
		if !send(tt.payload, tt.change) {
			t.Errorf("%s: not due", tt.name)
		}
		send(100, plain)
		if send(100, plain) {
			t.Errorf("%s: due again although nothing changed", tt.name)
		}
	}
	now += int64(time.Second)
	if !send(100, plain) {
		t.Error("not due although the windows moved on")
	}
}
