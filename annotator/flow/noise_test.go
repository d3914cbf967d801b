package flow

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/packet"
)

// noiseOf runs packets through a new table and returns the noise of each.
func noiseOf(packets []packet.Packet) ([]Noise, Stats) {
	t := NewTable(Default())
	var ns []Noise
	for _, o := range observe(t, packets) {
		ns = append(ns, o.Noise)
	}
	return ns, t.Stats()
}

func TestTCPNoise(t *testing.T) {
	const ack, r, k = packet.ACK, Retransmission, KeepAlive
	tests := []struct {
		name    string
		packets []packet.Packet
		want    []Noise
	}{
		{"in order", []packet.Packet{
			c(0, packet.SYN, 99, 0, 0), s(1, synack, 499, 100, 0), c(2, ack, 100, 500, 0), c(3, ack, 100, 500, 10), c(4, ack, 110, 500, 10),
		}, []Noise{0, 0, 0, 0, 0}},
		{"SYN, data and FIN again", []packet.Packet{
			c(0, packet.SYN, 99, 0, 0), c(sec, packet.SYN, 99, 0, 0), s(2*sec, synack, 499, 100, 0), s(3*sec, synack, 499, 100, 0),
			c(4*sec, ack, 100, 500, 10), c(5*sec, ack, 100, 500, 10), c(6*sec, finack, 110, 500, 0), c(7*sec, finack, 110, 500, 0),
		}, []Noise{0, r, 0, r, 0, r, 0, r}},
		{"part of a segment again", []packet.Packet{
			c(0, ack, 100, 1, 30), c(1, ack, 110, 1, 10), c(2, ack, 120, 1, 20),
		}, []Noise{0, r, 0}},
		{"a hole filled, then again", []packet.Packet{
			c(0, ack, 100, 1, 10), c(1, ack, 120, 1, 10), c(2, ack, 110, 1, 10), c(3, ack, 110, 1, 10),
		}, []Noise{0, 0, 0, r}},
		{"a hole filled in two", []packet.Packet{
			c(0, ack, 100, 1, 10), c(1, ack, 140, 1, 10), c(2, ack, 120, 1, 10), c(3, ack, 110, 1, 10), c(4, ack, 130, 1, 10), c(5, ack, 120, 1, 10),
		}, []Noise{0, 0, 0, 0, 0, r}},
		{"sequence numbers wrap", []packet.Packet{
			c(0, ack, 0xfffffff0, 1, 32), c(1, ack, 16, 1, 10), c(2, ack, 0xfffffff8, 1, 10), c(3, ack, 26, 1, 10),
		}, []Noise{0, 0, r, 0}},
		{"directions are apart", []packet.Packet{
			c(0, ack, 100, 1, 10), s(1, ack, 100, 1, 10), c(2, ack, 100, 1, 10),
		}, []Noise{0, 0, r}},
		{"keep-alives and their answers", []packet.Packet{
			c(0, ack, 100, 500, 10), s(1, ack, 500, 110, 0),
			c(50*sec, ack, 109, 500, 0), s(50*sec+1, ack, 500, 110, 0),
			c(99*sec, ack, 109, 500, 1), s(99*sec+1, ack, 500, 110, 0),
			s(99*sec+2, ack, 500, 110, 0),
		}, []Noise{0, 0, k, k, k, k, 0}},
		{"keep-alives of a flow met half way", []packet.Packet{
			s(0, ack, 500, 100, 0), c(1, ack, 100, 501, 0), s(5*sec, ack, 500, 100, 0), c(5*sec+1, ack, 100, 501, 0),
		}, []Noise{0, 0, k, k}},
		{"acknowledgements repeat", []packet.Packet{
			c(0, ack, 100, 500, 10), s(1, ack, 500, 110, 0), s(2, ack, 500, 110, 0), s(3, ack, 500, 110, 0),
		}, []Noise{0, 0, 0, 0}},
		{"RST repeats", []packet.Packet{
			c(0, packet.SYN, 99, 0, 0), s(1, packet.RST|ack, 0, 100, 0), s(2, packet.RST|ack, 0, 100, 0),
		}, []Noise{0, 0, 0}},
		{"a scan without ACK", []packet.Packet{
			c(0, 0, 100, 0, 0), c(1, packet.FIN, 100, 0, 0), c(2, packet.FIN|packet.PSH|packet.URG, 100, 0, 0),
		}, []Noise{0, 0, r}},
		{"more holes than are remembered", []packet.Packet{
			c(0, ack, 100, 1, 10), c(1, ack, 120, 1, 10), c(2, ack, 140, 1, 10), c(3, ack, 160, 1, 10), c(4, ack, 180, 1, 10), c(5, ack, 200, 1, 10),
			c(6, ack, 130, 1, 10), c(7, ack, 110, 1, 10),
		}, []Noise{0, 0, 0, 0, 0, 0, 0, r}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := noiseOf(tt.packets)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("noise (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDuplicates(t *testing.T) {
	with := func(p packet.Packet, change func(*packet.Packet)) packet.Packet {
		change(&p)
		return p
	}
	id := func(at int64, id uint32) packet.Packet {
		return with(udp(at, 1, 2, 5000, 53, "x"), func(p *packet.Packet) { p.FragID = id })
	}
	routed := func(p *packet.Packet) { p.TTL--; p.SrcMAC, p.DstMAC = packet.MAC{1}, packet.MAC{2} }
	const d = Duplicate
	tests := []struct {
		name    string
		packets []packet.Packet
		want    []Noise
	}{
		{"mirrored twice", []packet.Packet{id(0, 7), id(1000, 7)}, []Noise{0, d}},
		{"timestamps out of order", []packet.Packet{id(1000, 7), id(0, 7)}, []Noise{0, d}},
		{"another identification", []packet.Packet{id(0, 7), id(1000, 8)}, []Noise{0, 0}},
		{"too late", []packet.Packet{id(0, 7), id(21*ms, 7)}, []Noise{0, 0}},
		{"another payload", []packet.Packet{id(0, 7), with(id(1, 7), func(p *packet.Packet) { p.Payload = []byte("y") })}, []Noise{0, 0}},
		{"before and behind a router", []packet.Packet{id(0, 7), with(id(1000, 7), routed)}, []Noise{0, d}},
		{"on two VLANs", []packet.Packet{id(0, 7), with(id(1000, 7), func(p *packet.Packet) { p.VLAN = 9 })}, []Noise{0, d}},
		{"traceroute with one identification", []packet.Packet{id(0, 7), with(id(1, 7), func(p *packet.Packet) { p.TTL++ })}, []Noise{0, 0}},
		{"no identification, same path", []packet.Packet{id(0, 0), id(1, 0)}, []Noise{0, 0}},
		{"no identification, another path", []packet.Packet{id(0, 0), with(id(1, 0), routed)}, []Noise{0, d}},
		{"IPv6, same path", []packet.Packet{
			with(id(0, 0), func(p *packet.Packet) { p.Version = 6 }), with(id(1, 0), func(p *packet.Packet) { p.Version = 6 }),
		}, []Noise{0, 0}},
		{"a flood of equal packets", []packet.Packet{id(0, 1), id(1, 1), id(2, 1), id(3, 1), id(4, 1), id(5, 1)}, []Noise{0, d, d, d, 0, 0}},
		{"a copied segment is no retransmission", []packet.Packet{
			with(c(0, packet.ACK, 1, 1, 9), func(p *packet.Packet) { p.FragID = 3 }), with(c(1, packet.ACK, 1, 1, 9), func(p *packet.Packet) { p.FragID = 3 }),
			with(c(sec, packet.ACK, 1, 1, 9), func(p *packet.Packet) { p.FragID = 4 }),
		}, []Noise{0, d, Retransmission}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := noiseOf(tt.packets)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("noise (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoiseIsCounted checks that noise is counted as such and nowhere else.
func TestNoiseIsCounted(t *testing.T) {
	copied := c(0, packet.ACK, 100, 1, 10)
	copied.FragID = 3
	packets := []packet.Packet{
		copied, copied, c(sec, packet.ACK, 100, 1, 10), c(2*sec, packet.ACK, 109, 1, 1), c(3*sec, packet.ACK, 110, 1, 5),
	}
	table := NewTable(Default())
	os := observe(table, packets)
	st := table.Stats()
	if st.Duplicates != 1 || st.Retransmissions != 1 || st.KeepAlives != 1 {
		t.Errorf("stats %+v, want one of each kind of noise", st)
	}
	last := os[len(os)-1]
	if last.ClientPackets != 2 || last.ClientPayloads != 2 || last.ClientBytes != 15 || last.HostPackets != 2 {
		t.Errorf("last observation %+v, want 2 packets, 15 bytes", last)
	}
	f, src, dst := table.Observe(&packets[1], new(Observation))
	if f.Fresh {
		t.Error("noise is fresh")
	}
	if got := src.Count(BytesOut, TenSeconds); got != 15 {
		t.Errorf("source sent %d bytes, want 15", got)
	}
	if got := dst.Count(PacketsIn, TenSeconds); got != 2 {
		t.Errorf("destination received %d packets, want 2", got)
	}
}
