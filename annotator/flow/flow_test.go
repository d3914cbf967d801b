package flow

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"ampulla/annotator/packet"
)

const (
	ms     = int64(time.Millisecond)
	sec    = int64(time.Second)
	synack = packet.SYN | packet.ACK
	finack = packet.FIN | packet.ACK
)

// start is when the tests' captures begin.
const start = 1_700_000_000 * sec

// addr returns 10.0.x.y for the number x<<8 | y.
func addr(n uint16) packet.Addr {
	a := packet.Addr{10: 0xff, 11: 0xff, 12: 10}
	binary.BigEndian.PutUint16(a[14:], n)
	return a
}

// base returns a packet between two hosts, at an offset from start.
func base(at int64, proto uint8, src, dst uint16) packet.Packet {
	return packet.Packet{
		Time: start + at, Length: 60, LinkType: 1, Version: 4, TTL: 64, Proto: proto,
		Src: addr(src), Dst: addr(dst),
	}
}

func tcp(at int64, src, dst uint16, sport, dport uint16, flags uint16, seq, ack, size uint32) packet.Packet {
	p := base(at, packet.ProtoTCP, src, dst)
	p.SrcPort, p.DstPort, p.TCPFlags, p.Seq, p.Ack = sport, dport, flags, seq, ack
	p.PayloadLength = size
	p.Payload = make([]byte, min(size, 100))
	p.Length += size
	return p
}

func udp(at int64, src, dst uint16, sport, dport uint16, payload string) packet.Packet {
	p := base(at, packet.ProtoUDP, src, dst)
	p.SrcPort, p.DstPort = sport, dport
	p.Payload, p.PayloadLength = []byte(payload), uint32(len(payload))
	p.Length += uint32(len(payload))
	return p
}

// c and s are packets of one TCP connection, from 1:40000 to 2:80 and back.
func c(at int64, flags uint16, seq, ack, size uint32) packet.Packet {
	return tcp(at, 1, 2, 40000, 80, flags, seq, ack, size)
}

func s(at int64, flags uint16, seq, ack, size uint32) packet.Packet {
	return tcp(at, 2, 1, 80, 40000, flags, seq, ack, size)
}

// observe runs packets through a new table and returns what it said of each.
func observe(t *Table, packets []packet.Packet) []Observation {
	os := make([]Observation, len(packets))
	for i := range packets {
		t.Observe(&packets[i], &os[i])
	}
	return os
}

func TestFlowNumbers(t *testing.T) {
	const minute = 60 * sec
	tests := []struct {
		name    string
		packets []packet.Packet
		want    []uint32
	}{
		{"both directions are one flow", []packet.Packet{
			c(0, packet.SYN, 100, 0, 0), s(1, synack, 500, 101, 0), c(2, packet.ACK, 101, 501, 0),
		}, []uint32{1, 1, 1}},
		{"another port is another flow", []packet.Packet{
			udp(0, 1, 2, 5000, 53, "a"), udp(1, 1, 2, 5001, 53, "a"), udp(2, 2, 1, 53, 5000, "b"),
		}, []uint32{1, 2, 1}},
		{"equal addresses and ports", []packet.Packet{
			udp(0, 1, 1, 5000, 53, "a"), udp(1, 1, 1, 53, 5000, "b"), udp(2, 1, 1, 53, 53, "c"),
		}, []uint32{1, 1, 2}},
		{"idle for ten minutes", []packet.Packet{
			udp(0, 1, 2, 5000, 53, "a"), udp(10*minute, 2, 1, 53, 5000, "b"), udp(20*minute+1, 1, 2, 5000, 53, "c"),
		}, []uint32{1, 1, 2}},
		{"time runs backwards", []packet.Packet{
			udp(20*minute, 1, 2, 5000, 53, "a"), udp(0, 2, 1, 53, 5000, "b"),
		}, []uint32{1, 1}},
		{"time jumps ahead and back", []packet.Packet{
			udp(0, 1, 2, 5000, 53, "a"), udp(1<<62, 1, 2, 5000, 53, "b"), udp(sec, 2, 1, 53, 5000, "c"), udp(-start-1<<62, 1, 2, 5000, 53, "d"),
		}, []uint32{1, 2, 2, 2}},
		{"a retransmitted SYN", []packet.Packet{
			c(0, packet.SYN, 100, 0, 0), c(sec, packet.SYN, 100, 0, 0), c(3*sec, packet.SYN, 100, 0, 0),
		}, []uint32{1, 1, 1}},
		{"a SYN retried after a refusal", []packet.Packet{
			c(0, packet.SYN, 100, 0, 0), s(1, packet.RST|packet.ACK, 0, 101, 0), c(sec/2, packet.SYN, 100, 0, 0),
		}, []uint32{1, 1, 1}},
		{"the port reused after RST", []packet.Packet{
			c(0, packet.SYN, 100, 0, 0), s(1, packet.RST|packet.ACK, 0, 101, 0), c(sec, packet.SYN, 900, 0, 0),
		}, []uint32{1, 1, 2}},
		{"the port reused after FIN, with the same number much later", []packet.Packet{
			c(0, packet.SYN, 100, 0, 0), c(1, finack, 101, 0, 0), c(5*sec, packet.SYN, 100, 0, 0),
		}, []uint32{1, 1, 2}},
		{"the port reused without an end", []packet.Packet{
			c(0, packet.SYN, 100, 0, 0), s(1, synack, 500, 101, 0), c(2, packet.ACK, 101, 501, 0), c(sec, packet.SYN, 900, 0, 0),
		}, []uint32{1, 1, 1, 2}},
		{"SYN after SYN from one port", []packet.Packet{
			c(0, packet.SYN, 900, 0, 0), c(1, packet.SYN, 100, 0, 0), c(2, packet.SYN, 100, 0, 0),
		}, []uint32{1, 2, 2}},
		{"simultaneous open", []packet.Packet{
			c(0, packet.SYN, 900, 0, 0), s(1, packet.SYN, 100, 0, 0), s(2, synack, 100, 901, 0),
		}, []uint32{1, 1, 1}},
		{"SYN behind its answer", []packet.Packet{
			s(0, synack, 100, 901, 0), c(1, packet.SYN, 900, 0, 0),
		}, []uint32{1, 1}},
		{"SYN on a flow met half way", []packet.Packet{
			c(0, packet.ACK, 100, 1, 0), c(1, packet.SYN, 900, 0, 0),
		}, []uint32{1, 2}},
		{"virtual networks", []packet.Packet{
			udp(0, 1, 2, 5000, 53, "a"), inDomain(7, udp(1, 1, 2, 5000, 53, "a")),
		}, []uint32{1, 2}},
		{"echo and an error", []packet.Packet{
			icmp(0, 1, 2, 8, 0), icmp(1, 2, 1, 0, 0), icmp(2, 2, 1, 3, 1), icmp(3, 1, 2, 3, 1),
		}, []uint32{1, 1, 2, 3}},
		{"no addresses, no flow", []packet.Packet{{Name: "arp"}, udp(1, 1, 2, 1, 2, "a")}, []uint32{0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, o := range observe(NewTable(Default()), tt.packets) {
				if o.Flow != tt.want[i] {
					t.Errorf("packet %d: flow %d, want %d", i+1, o.Flow, tt.want[i])
				}
				if o.Age < 0 {
					t.Errorf("packet %d: age %d", i+1, o.Age)
				}
				if (o.Flow != 0) != (o.Memo != nil) || (o.Flow != 0) != (o.CommunityID != "") {
					t.Errorf("packet %d: flow %d, memo %v, community id %q", i+1, o.Flow, o.Memo, o.CommunityID)
				}
			}
		})
	}
}

func inDomain(d uint32, p packet.Packet) packet.Packet {
	p.Domain = d
	return p
}

func icmp(at int64, src, dst uint16, typ, code uint8) packet.Packet {
	p := base(at, packet.ProtoICMP, src, dst)
	p.ICMPType, p.ICMPCode = typ, code
	return p
}

func TestClient(t *testing.T) {
	tests := []struct {
		name  string
		first packet.Packet
		want  packet.Addr
		port  uint16
	}{
		{"sends the SYN", c(0, packet.SYN, 1, 0, 0), addr(1), 40000},
		{"receives the SYN-ACK", s(0, synack, 1, 1, 0), addr(1), 40000},
		{"otherwise speaks first", s(0, packet.ACK, 1, 1, 10), addr(2), 80},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := observe(NewTable(Default()), []packet.Packet{tt.first})[0]
			if a, port := o.Client(); a != tt.want || port != tt.port {
				t.Errorf("client %v:%d, want %v:%d", a, port, tt.want, tt.port)
			}
			if a, _ := o.Server(); a == tt.want {
				t.Errorf("server %v is the client", a)
			}
		})
	}
}

func TestEstablished(t *testing.T) {
	tests := []struct {
		name    string
		packets []packet.Packet
		want    []bool
	}{
		{"handshake", []packet.Packet{
			c(0, packet.SYN, 1, 0, 0), s(1, synack, 1, 2, 0), c(2, packet.ACK, 2, 2, 0),
		}, []bool{false, false, true}},
		{"half-open scan", []packet.Packet{
			c(0, packet.SYN, 1, 0, 0), s(1, synack, 1, 2, 0), c(2, packet.RST, 2, 0, 0),
		}, []bool{false, false, false}},
		{"data from both", []packet.Packet{
			c(0, packet.ACK, 1, 1, 5), s(1, packet.ACK, 1, 6, 0), s(2, packet.ACK, 1, 6, 5),
		}, []bool{false, false, true}},
		{"datagrams", []packet.Packet{
			udp(0, 1, 2, 5, 6, "a"), udp(1, 1, 2, 5, 6, "b"), udp(2, 2, 1, 6, 5, "c"),
		}, []bool{false, false, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, o := range observe(NewTable(Default()), tt.packets) {
				if o.Established != tt.want[i] {
					t.Errorf("packet %d: established %v, want %v", i+1, o.Established, tt.want[i])
				}
			}
		})
	}
}

func TestFragments(t *testing.T) {
	first := udp(0, 1, 2, 5000, 2049, "head")
	first.Fragment, first.MoreFragment, first.FragID = true, true, 77
	rest := base(ms, packet.ProtoUDP, 1, 2)
	rest.Fragment, rest.FragOffset, rest.FragID, rest.PayloadLength = true, 1480, 77, 500
	late := rest
	late.Time += 31 * sec
	stray := rest
	stray.FragID = 78

	table := NewTable(Default())
	os := observe(table, []packet.Packet{first, rest, late, stray})
	for i, want := range []uint32{1, 1, 2, 2} {
		if os[i].Flow != want {
			t.Errorf("packet %d: flow %d, want %d", i+1, os[i].Flow, want)
		}
	}
	if a, port := os[1].Server(); a != addr(2) || port != 2049 {
		t.Errorf("server of the later fragment %v:%d, want 10.0.0.2:2049", a, port)
	}
	if os[1].ClientBytes != 504 {
		t.Errorf("client bytes %d, want 504", os[1].ClientBytes)
	}
	if st := table.Stats(); st.Fragments != 1 || st.LostFragments != 2 {
		t.Errorf("fragments %d, lost %d, want 1 and 2", st.Fragments, st.LostFragments)
	}
}

// TestBounds checks that nothing grows past its bound and what went is counted.
func TestBounds(t *testing.T) {
	config := Default()
	config.MaxFlows, config.MaxHosts, config.MaxPairs = 10, 5, 4
	config.MaxServices, config.MaxFragments = 3, 2
	table := NewTable(config)
	var o Observation
	for i := range uint16(100) {
		p := udp(int64(i)*ms, 1000+i, 2000+i, 5000+i, 53, "a")
		p.Fragment, p.FragID, p.MoreFragment = true, uint32(i), true
		f, src, dst := table.Observe(&p, &o)
		if f == nil || src == nil || dst == nil || src == dst {
			t.Fatalf("packet %d: flow %v, source %v, destination %v", i+1, f, src, dst)
		}
	}
	sizes := []int{table.flows.Len(), table.hosts.Len(), table.pairs.Len(), table.services.Len(), table.fragments.Len()}
	for i, want := range []int{10, 5, 4, 3, 2} {
		if sizes[i] != want {
			t.Errorf("table %d holds %d, want %d", i, sizes[i], want)
		}
	}
	st := table.Stats()
	got := []uint64{st.Flows, st.FlowsEvicted, st.HostsEvicted, st.PairsEvicted, st.ServicesEvicted}
	for i, want := range []uint64{100, 90, 195, 96, 97} {
		if got[i] != want {
			t.Errorf("count %d is %d, want %d", i, got[i], want)
		}
	}
}

func TestOldestGoesFirst(t *testing.T) {
	config := Default()
	config.MaxFlows = 2
	os := observe(NewTable(config), []packet.Packet{
		udp(0, 1, 9, 1, 1, "a"), udp(1, 2, 9, 1, 1, "a"), udp(2, 1, 9, 1, 1, "b"),
		udp(3, 3, 9, 1, 1, "a"), udp(4, 1, 9, 1, 1, "c"), udp(5, 2, 9, 1, 1, "b"),
	})
	for i, want := range []uint32{1, 2, 1, 3, 1, 4} {
		if os[i].Flow != want {
			t.Errorf("packet %d: flow %d, want %d", i+1, os[i].Flow, want)
		}
	}
	if os[1].Memo == os[5].Memo {
		t.Error("the memo of an evicted flow is used again")
	}
}

func TestExpiryFreesFlows(t *testing.T) {
	table := NewTable(Default())
	for i := range uint16(50) {
		observe(table, []packet.Packet{udp(int64(i), i, 999, 1, 1, "a")})
	}
	for i := range uint16(50) {
		observe(table, []packet.Packet{udp(11*60*sec+int64(i), 500, 999, 1, 1, "a")})
	}
	if n := table.flows.Len(); n != 1 || table.Stats().FlowsExpired != 50 {
		t.Errorf("%d flows left, %d expired, want 1 and 50", n, table.Stats().FlowsExpired)
	}
}

// TestSnapshot checks that an observation stays as it was.
func TestSnapshot(t *testing.T) {
	packets := []packet.Packet{
		c(0, packet.SYN, 1, 0, 0), s(1, synack, 1, 2, 0), c(2, packet.ACK, 2, 2, 100), s(3, packet.ACK, 2, 102, 300),
	}
	os := observe(NewTable(Default()), packets)
	for i, want := range []struct {
		client, server, clientPayloads, serverPayloads, host uint32
		clientBytes, serverBytes                             uint64
	}{
		{1, 0, 0, 0, 1, 0, 0}, {1, 1, 0, 0, 1, 0, 0}, {2, 1, 1, 0, 2, 100, 0}, {2, 2, 1, 1, 2, 100, 300},
	} {
		o := os[i]
		got := want
		got.client, got.server, got.clientPayloads, got.serverPayloads = o.ClientPackets, o.ServerPackets, o.ClientPayloads, o.ServerPayloads
		got.host, got.clientBytes, got.serverBytes = o.HostPackets, o.ClientBytes, o.ServerBytes
		if got != want {
			t.Errorf("packet %d: %+v, want %+v", i+1, got, want)
		}
		if o.New != (i == 0) || o.FromClient != (i%2 == 0) || o.Age != int64(i) {
			t.Errorf("packet %d: new %v, from client %v, age %d", i+1, o.New, o.FromClient, o.Age)
		}
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	table := NewTable(Default())
	var o Observation
	packets := conversation(64)
	i := 0
	observeNext := func() {
		table.Observe(&packets[i%len(packets)], &o)
		i++
	}
	for range packets {
		observeNext()
	}
	if n := testing.AllocsPerRun(1000, observeNext); n != 0 {
		t.Errorf("%v allocations per packet of a known flow, want 0", n)
	}
}

// conversation returns the packets of n UDP flows, both directions.
func conversation(n int) []packet.Packet {
	var ps []packet.Packet
	for i := range uint16(n) {
		ps = append(ps, udp(int64(i)*ms, i, 1000+i%7, 5000+i, 53, "question"), udp(int64(i)*ms+1, 1000+i%7, i, 53, 5000+i, "answer"))
	}
	return ps
}

func BenchmarkObserve(b *testing.B) {
	for _, bb := range []struct {
		name  string
		flows int
	}{{"64 flows", 64}, {"50000 flows", 50000}} {
		b.Run(bb.name, func(b *testing.B) {
			table := NewTable(Default())
			packets := conversation(bb.flows)
			var o Observation
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p := &packets[i%len(packets)]
				p.Time = start + int64(i)*int64(10*time.Microsecond)
				table.Observe(p, &o)
				i++
			}
		})
	}
}

// BenchmarkScan observes a new flow with every packet.
func BenchmarkScan(b *testing.B) {
	table := NewTable(Default())
	var o Observation
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p := tcp(int64(i)*ms/100, 1, uint16(i>>12), uint16(i), uint16(i), packet.SYN, uint32(i), 0, 0)
		table.Observe(&p, &o)
		i++
	}
}

// TestSettle wants the earliest payload packet to count, whoever comes first.
func TestSettle(t *testing.T) {
	var m Memo
	if m.SettledBefore(1) || m.SettledBefore(8) {
		t.Error("settled by nobody")
	}
	var group sync.WaitGroup
	for n := uint32(8); n > 1; n-- {
		group.Go(func() { m.Settle(n) })
	}
	group.Wait()
	if m.SettledBefore(2) || !m.SettledBefore(3) {
		t.Error("not settled at payload packet 2")
	}
}
