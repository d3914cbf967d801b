package feature

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
)

// traffic returns some of everything: sessions, scans, floods, beacons, noise,
// fragments, errors and packets without addresses, in order of time.
func traffic() []packet.Packet {
	g := generator{x: 1}
	for i := range uint16(40) {
		g.session(i)
		g.add(packet.Packet{Name: "arp", ARPOp: 1})
	}
	for i := range uint16(300) { // a scan, a third of it answered
		g.tcp(7, 8, 50000, 1+i, packet.SYN, 9, 0, nil)
		if i%3 == 0 {
			g.tcp(8, 7, 1+i, 50000, packet.RST|packet.ACK, 0, 10, nil)
		}
		g.tcp(7, 8, 50001, 1+i, packet.FIN, 9, 0, nil)
	}
	for i := range uint16(200) { // a flood, a sweep, an error
		g.udp(100+i, 8, 1000+i, 53, []byte("flood"))
		g.icmp(9, 300+i%50, 8, 0)
		g.icmp(300+i%50, 9, 3, 1)
	}
	for range 20 { // a beacon
		g.now += int64(30 * time.Second)
		g.udp(11, 12, 6000, 443, []byte("\x00\x05hello"))
		g.udp(12, 11, 443, 6000, []byte("ok"))
	}
	return g.packets
}

type generator struct {
	packets []packet.Packet
	now     int64
	x       uint32
}

func (g *generator) add(p packet.Packet) {
	g.x = g.x*1664525 + 1013904223
	g.now += int64(g.x>>20) * 997
	p.Time, p.TTL, p.LinkType = 1_700_000_000_000_000_000+g.now, 64, 1
	p.Length = 60 + p.PayloadLength
	p.FragID = g.x >> 16
	g.packets = append(g.packets, p)
}

func host(n uint16) packet.Addr {
	a := packet.Addr{10: 0xff, 11: 0xff, 12: 10}
	binary.BigEndian.PutUint16(a[14:], n)
	return a
}

func (g *generator) tcp(src, dst, sport, dport uint16, flags uint16, seq, ack uint32, payload []byte) {
	g.add(packet.Packet{
		Version: 4, Proto: packet.ProtoTCP, Src: host(src), Dst: host(dst), SrcPort: sport, DstPort: dport,
		TCPFlags: flags, Seq: seq, Ack: ack, Payload: payload, PayloadLength: uint32(len(payload)),
	})
}

func (g *generator) udp(src, dst, sport, dport uint16, payload []byte) {
	g.add(packet.Packet{
		Version: 4, Proto: packet.ProtoUDP, Src: host(src), Dst: host(dst), SrcPort: sport, DstPort: dport,
		Payload: payload, PayloadLength: uint32(len(payload)),
	})
}

func (g *generator) icmp(src, dst uint16, typ, code uint8) {
	g.add(packet.Packet{Version: 4, Proto: packet.ProtoICMP, Src: host(src), Dst: host(dst), ICMPType: typ, ICMPCode: code})
}

// session adds a TCP connection with a retransmission and a copied frame.
func (g *generator) session(i uint16) {
	c, s, port := 1+i%5, 20+i%3, 40000+i
	request, answer := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\nbody")
	g.tcp(c, s, port, 80, packet.SYN, 0, 0, nil)
	g.tcp(s, c, 80, port, packet.SYN|packet.ACK, 0, 1, nil)
	g.tcp(c, s, port, 80, packet.ACK, 1, 1, nil)
	g.tcp(c, s, port, 80, packet.ACK, 1, 1, request)
	g.tcp(c, s, port, 80, packet.ACK, 1, 1, request)
	g.tcp(s, c, 80, port, packet.ACK, 1, 28, answer)
	g.packets = append(g.packets, g.packets[len(g.packets)-1])
	g.tcp(s, c, 80, port, packet.ACK|packet.FIN, 24, 28, nil)
	g.tcp(c, s, port, 80, packet.ACK|packet.FIN, 28, 25, nil)
}

// vectors returns both vectors of every packet, one after the other, and how
// many classifications were due.
func vectors(packets []packet.Packet) (rows []float32, due int) {
	table := flow.NewTable(flow.Default())
	var o flow.Observation
	var classes Classes
	row := make([]float32, AnomalyWidth+ClassWidth)
	for i := range packets {
		f, src, dst := table.Observe(&packets[i], &o)
		clear(row)
		Anomaly(&o, f, src, dst, row)
		if f != nil {
			opening := OpeningOf(f)
			classes.Vector(&opening, row[AnomalyWidth:])
			if ClassDue(f) {
				due++
			}
		}
		rows = append(rows, row...)
	}
	return rows, due
}

func TestTables(t *testing.T) {
	for _, tt := range []struct {
		name     string
		features []Feature
		width    int
	}{{"class", ClassFeatures(), ClassWidth}, {"anomaly", AnomalyFeatures(), AnomalyWidth}} {
		if len(tt.features) != tt.width {
			t.Errorf("%s: %d features, want %d", tt.name, len(tt.features), tt.width)
		}
		seen := map[string]bool{}
		for _, f := range tt.features {
			if f.Name == "" || f.Doc == "" || seen[f.Name] || f.Name != strings.ToLower(f.Name) {
				t.Errorf("%s: feature %q with doc %q is empty or not the only one", tt.name, f.Name, f.Doc)
			}
			if strings.Count(f.Phrase, "%") != strings.Count(f.Phrase, "%s") || strings.Count(f.Phrase, "%s") > 1 || strings.Contains(f.Doc, "%!") {
				t.Errorf("%s: feature %q has a malformed text: %q, %q", tt.name, f.Name, f.Phrase, f.Doc)
			}
			seen[f.Name] = true
		}
	}
}

// TestInvariance checks that vectors do not change with what must not matter.
func TestInvariance(t *testing.T) {
	want, due := vectors(traffic())
	if due < 100 {
		t.Fatalf("only %d classifications due", due)
	}
	for _, v := range want {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			t.Fatal("a value is not finite")
		}
	}
	renumber := func(a *packet.Addr) {
		for i := 12; i < 16; i++ {
			a[i] = ^a[i] * 37
		}
	}
	tests := []struct {
		name   string
		change func(p *packet.Packet)
	}{
		{"nothing", func(*packet.Packet) {}},
		{"time", func(p *packet.Packet) { p.Time += 123_456_789_123_456_789 }},
		{"addresses", func(p *packet.Packet) { renumber(&p.Src); renumber(&p.Dst) }},
		{"ports", func(p *packet.Packet) { p.SrcPort = p.SrcPort*17 + 5; p.DstPort = p.DstPort*17 + 5 }},
		{"TTL", func(p *packet.Packet) { p.TTL += 29 }},
		{"hardware addresses, VLAN and link type", func(p *packet.Packet) {
			p.SrcMAC, p.DstMAC, p.VLAN, p.LinkType = packet.MAC{5}, packet.MAC{6}, 12, 101
		}},
		{"sequence numbers", func(p *packet.Packet) { p.Seq += 0xfffffff0; p.Ack += 0xfffffff0 }},
		{"virtual network", func(p *packet.Packet) { p.Domain = 8 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packets := traffic()
			for i := range packets {
				tt.change(&packets[i])
			}
			got, _ := vectors(packets)
			if i := firstDifference(got, want); i >= 0 {
				const width = AnomalyWidth + ClassWidth
				name := append(AnomalyNames(), ClassNames()...)[i%width]
				t.Errorf("packet %d: %s is %v, want %v", i/width+1, name, got[i], want[i])
			}
		})
	}
}

func firstDifference(a, b []float32) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// value returns a feature of the last packet by name, log undone.
func value(t *testing.T, rows []float32, name string) float64 {
	t.Helper()
	const width = AnomalyWidth + ClassWidth
	all := append(AnomalyFeatures(), ClassFeatures()...)
	i := slices.IndexFunc(all, func(f Feature) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("no feature %q", name)
	}
	v := float64(rows[len(rows)-width+i])
	if all[i].Log {
		v = math.Expm1(v)
	}
	return v
}

func TestAnomalyShapes(t *testing.T) {
	scan := generator{x: 1}
	for i := range uint16(100) {
		scan.tcp(7, 8, 50000, 1+i, packet.SYN, 9, 0, nil)
	}
	flood := generator{x: 1}
	for i := range uint16(200) {
		flood.udp(100+i, 8, 1000+i, 53, []byte("flood"))
	}
	beacon := generator{x: 1}
	for range 10 {
		beacon.udp(11, 12, 6000, 443, []byte("hello"))
		beacon.now += int64(60 * time.Second)
	}
	leak := generator{x: 1}
	for i := range uint32(50) {
		leak.tcp(1, 2, 4000, 80, packet.ACK, i*1000, 0, make([]byte, 1000))
	}
	session := generator{x: 1}
	session.session(0)
	frame := generator{x: 1}
	frame.session(0)
	frame.add(packet.Packet{Name: "arp"})
	tests := []struct {
		name    string
		packets []packet.Packet
		feature string
		want    float64
	}{
		{"scan", scan.packets, "src_services_10s", 100},
		{"scan", scan.packets, "pair_ports_600s", 100},
		{"scan", scan.packets, "src_peers_10s", 1},
		{"scan", scan.packets, "src_syn_1s", 100},
		{"scan", scan.packets, "src_syn_unanswered", 1},
		{"scan", scan.packets, "syn", 1},
		{"flood", flood.packets, "dst_packets_10s", 200},
		{"flood", flood.packets, "dst_clients_60s", 200},
		{"flood", flood.packets, "pair_packets_10s", 1},
		{"beacon", beacon.packets, "pair_bursts", 9},
		{"beacon", beacon.packets, "pair_burst_size_cv", 0},
		{"leak", leak.packets, "src_bytes_60s", 50000},
		{"leak", leak.packets, "flow_client_share", 1},
		{"leak", leak.packets, "flow_client_bytes", 50000},
		{"leak", leak.packets, "flow_client_size_mean", 1000},
		{"session", session.packets, "flow_server_bytes", 23},
		{"session", session.packets, "flow_client_packets", 4},
		{"session", session.packets, "flow_established", 1},
		{"session", session.packets, "src_brief_60s", 1},
		{"frame", frame.packets, "size", 60},
		{"frame", frame.packets, "src_packets_10s", 0},
	}
	for _, tt := range tests {
		rows, _ := vectors(tt.packets)
		if got := value(t, rows, tt.feature); math.Abs(got-tt.want) > 1e-5*max(tt.want, 1) {
			t.Errorf("%s: %s is %v, want %v", tt.name, tt.feature, got, tt.want)
		}
	}
	rows, _ := vectors(beacon.packets)
	if gap, cv := value(t, rows, "pair_burst_gap"), value(t, rows, "pair_burst_cv"); math.Abs(gap-60) > 1 || cv > 0.01 {
		t.Errorf("beacon every %v s with variation %v, want 60 s and near 0", gap, cv)
	}
}

func TestClassVector(t *testing.T) {
	g := generator{x: 1}
	g.tcp(1, 2, 5000, 80, packet.SYN, 0, 0, nil)
	g.tcp(2, 1, 80, 5000, packet.ACK, 1, 1, []byte("\x00\x00\x00\x06hello\n"))
	g.tcp(1, 2, 5000, 80, packet.ACK, 1, 11, []byte("abc1"))
	g.tcp(1, 2, 5000, 80, packet.ACK, 5, 11, []byte("zz"))
	rows, due := vectors(g.packets)
	if due != 3 {
		t.Errorf("%d classifications due, want 3", due)
	}
	for _, tt := range []struct {
		name string
		want float64
	}{
		{"tcp", 1}, {"udp", 0}, {"client_first", 0}, {"client_payloads", 2}, {"server_payloads", 1}, {"turns", 1},
		{"length_1", -10}, {"length_2", 4}, {"length_3", 2}, {"length_4", 0},
		{"client_byte_0", 'a'}, {"client_byte_3", '1'}, {"client_byte_4", -1},
		{"client_next_0", 'z'}, {"client_next_2", -1}, {"server_next_0", -1},
		{"client_length", 4}, {"server_length", 10}, {"client_printable", 1}, {"client_letters", 0.75}, {"client_digits", 0.25},
		{"client_entropy", 2}, {"client_line", -1}, {"server_line", 9}, {"server_zeros", 0.3}, {"server_printable", 0.6},
		{"server_be32_0", 4}, {"server_be16_2", 4}, {"server_le16_0", -1}, {"client_be16_0", -1},
	} {
		if got := value(t, rows, tt.name); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%s is %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestClassDue(t *testing.T) {
	g := generator{x: 1}
	for range 10 {
		g.udp(1, 2, 5000, 53, []byte("x"))
	}
	table := flow.NewTable(flow.Default())
	var due []int
	for i := range g.packets {
		if f, _, _ := table.Observe(&g.packets[i], new(flow.Observation)); ClassDue(f) {
			due = append(due, i+1)
		}
	}
	if want := []int{1, 2, 3, 4, 6, 8}; !slices.Equal(due, want) {
		t.Errorf("due at payloads %v, want %v", due, want)
	}
}

func TestWords(t *testing.T) {
	normal := make([]Quantiles, AnomalyWidth)
	for i := range normal {
		normal[i] = Quantiles{P50: math.Log1p(1), P99: math.Log1p(5), P999: math.Log1p(14)}
	}
	row := func(set map[string]float64) []float32 {
		r := make([]float32, AnomalyWidth)
		for name, v := range set {
			r[slices.Index(AnomalyNames(), name)] = float32(math.Log1p(v))
		}
		return r
	}
	tests := []struct {
		name   string
		row    []float32
		normal []Quantiles
		want   string
	}{
		{"strongest", row(map[string]float64{"src_services_10s": 412, "src_packets_10s": 100}), normal,
			"412 distinct destination ports of this host within 10 s (99.9 % of benign packets: at most 14)"},
		{"between the quantiles", row(map[string]float64{"pair_burst_gap": 7.5}), normal,
			"bursts every 7.5 s (99 % of benign packets: at most 5)"},
		{"a flag", row(map[string]float64{"odd_flags": 1e6}), normal, "TCP flags that no connection has"},
		{"a combination", row(map[string]float64{"src_services_10s": 3, "pair_burst_gap": 4.5, "src_packets_10s": 2}), normal,
			"rare together: bursts every 4.5 s (99 % of benign packets: at most 5), and " +
				"3 distinct destination ports of this host within 10 s (99 % of benign packets: at most 5)"},
		{"with what has no words", row(map[string]float64{"src_services_10s": 3}), normal,
			"rare together with the rest: 3 distinct destination ports of this host within 10 s (99 % of benign packets: at most 5)"},
		{"all ordinary", row(map[string]float64{"src_services_10s": 0.5}), normal, ""},
		{"no words for it", row(map[string]float64{"tcp": 1e6}), normal, ""},
		{"another model's quantiles", row(map[string]float64{"src_services_10s": 412}), normal[1:], ""},
	}
	for _, tt := range tests {
		if got := NewWords(tt.normal).Of(Standouts(tt.row, tt.normal)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestVectorsAllocateNothing(t *testing.T) {
	table := flow.NewTable(flow.Default())
	packets := traffic()
	var o flow.Observation
	out := make([]float32, AnomalyWidth+ClassWidth)
	f, src, dst := table.Observe(&packets[3], &o)
	var opening Opening
	var classes Classes
	if n := testing.AllocsPerRun(100, func() {
		Anomaly(&o, f, src, dst, out)
		opening = OpeningOf(f)
		classes.Vector(&opening, out[AnomalyWidth:])
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAnomaly(b *testing.B) { benchmark(b, Anomaly) }

func BenchmarkClass(b *testing.B) {
	var opening Opening
	var classes Classes
	benchmark(b, func(_ *flow.Observation, f *flow.Flow, _, _ *flow.Host, out []float32) {
		opening = OpeningOf(f)
		classes.Vector(&opening, out)
	})
}

func benchmark(b *testing.B, vector func(*flow.Observation, *flow.Flow, *flow.Host, *flow.Host, []float32)) {
	table := flow.NewTable(flow.Default())
	packets := traffic()
	var o flow.Observation
	for i := range 8 {
		table.Observe(&packets[i], &o)
	}
	f, src, dst := table.Observe(&packets[0], &o)
	out := make([]float32, max(AnomalyWidth, ClassWidth))
	b.ReportAllocs()
	for b.Loop() {
		vector(&o, f, src, dst, out)
	}
}
