package packet_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"ampulla/annotator/packet"

	"github.com/google/go-cmp/cmp"
)

// rows are all frames of the tables.
func rows() []row { return slices.Concat(linkRows(), ipRows(), tunnelRows()) }

// TestReuse decodes all frames with one Decoder, forth and back, so that each
// follows others: nothing of them may stay.
func TestReuse(t *testing.T) {
	var d packet.Decoder
	all := rows()
	for range 2 {
		for _, r := range all {
			data := unhex(t, r.frame)
			f := packet.Frame{Time: 42, LinkType: r.link, Length: uint32(len(data)), Data: data}
			got, want := packet.Packet{Name: "left over", Payload: []byte{1}}, packet.Packet{}
			d.Decode(f, &got)
			new(packet.Decoder).Decode(f, &want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: a used decoder differs from a new one:\n%s", r.name, diff)
			}
		}
		slices.Reverse(all)
	}
}

// TestConcurrentDecoders lets the race detector see that decoders share
// nothing.
func TestConcurrentDecoders(t *testing.T) {
	var frames []packet.Frame
	for _, r := range rows() {
		data := unhex(t, r.frame)
		frames = append(frames, packet.Frame{LinkType: r.link, Length: uint32(len(data)), Data: data})
	}
	results := make([][]packet.Packet, 4)
	var wg sync.WaitGroup
	for i := range results {
		results[i] = make([]packet.Packet, len(frames))
		wg.Go(func() {
			var d packet.Decoder
			for j, f := range frames {
				d.Decode(f, &results[i][j])
			}
		})
	}
	wg.Wait()
	for _, r := range results[1:] {
		if diff := cmp.Diff(results[0], r); diff != "" {
			t.Errorf("decoders disagree:\n%s", diff)
		}
	}
}

// TestNoAllocation holds for whatever comes.
func TestNoAllocation(t *testing.T) {
	var d packet.Decoder
	var p packet.Packet
	for _, r := range rows() {
		data := unhex(t, r.frame)
		f := packet.Frame{LinkType: r.link, Length: uint32(len(data)), Data: data}
		if n := testing.AllocsPerRun(10, func() { d.Decode(f, &p) }); n != 0 {
			t.Errorf("%s: %v allocations", r.name, n)
		}
	}
}

// TestPanic lets a layer panic inside a tunnel: what was understood stays.
func TestPanic(t *testing.T) {
	var d packet.Decoder
	whole := decode(t, 101, ipv4(47, "0000 1234"))
	for understood, want := range map[bool]uint8{false: 4, true: 6} {
		p := whole
		d.PanicInside(&p, understood)
		if p.Version != want || !p.Malformed {
			t.Errorf("inner packet understood %v: %s", understood, say(&p))
		}
	}
	if d.Panics() != 2 {
		t.Errorf("counted %d panics", d.Panics())
	}
	var p packet.Packet
	data := unhex(t, ipv4(17, dns))
	d.Decode(packet.Frame{LinkType: 101, Length: uint32(len(data)), Data: data}, &p)
	if got := say(&p); got != "10.0.0.1:5000 > 10.0.0.2:53 udp payload 2/2 abcd" {
		t.Errorf("afterwards: %s", got)
	}
}

// TestSnapLen decodes captured frames whole and cut to SnapLen.
func TestSnapLen(t *testing.T) {
	var d packet.Decoder
	long := 0
	for _, path := range captures(t) {
		for i, f := range frames(t, path, 2000) {
			if len(f.Data) <= packet.SnapLen {
				continue
			}
			long++
			var whole, cut packet.Packet
			d.Decode(f, &whole)
			f.Data = bytes.Clone(f.Data[:packet.SnapLen])
			d.Decode(f, &cut)
			if diff := cmp.Diff(whole, cut); diff != "" {
				t.Errorf("%s frame %d: whole and cut differ:\n%s", short(path), i+1, diff)
			}
		}
	}
	if long == 0 {
		t.Error("no frame was longer than SnapLen")
	}
}

// TestStrings covers the names that reasons and messages use.
func TestStrings(t *testing.T) {
	for tunnel := packet.TunnelGRE; tunnel <= packet.TunnelEtherIP; tunnel++ {
		if s := tunnel.String(); s == "" || s == (tunnel+100).String() {
			t.Errorf("tunnel %d has no name", tunnel)
		}
	}
	if s := packet.TunnelNone.String(); s != "" {
		t.Errorf("no tunnel is called %q", s)
	}
	if s := (packet.MAC{0, 1, 2, 0xa, 0xbc, 0xff}).String(); s != "00:01:02:0a:bc:ff" {
		t.Errorf("MAC address: %s", s)
	}
}

func BenchmarkDecode(b *testing.B) {
	body := strings.Repeat("61", 1000)
	inner := innerMACs + "0800" + inner4(6, tcp(1000, 80, body))
	for _, bb := range []struct {
		name  string
		link  uint16
		frame string
	}{
		{"tcp", 1, ethernetMACs + "0800" + ipv4(6, tcp(1000, 80, body))},
		{"tcp with options", 1, ethernetMACs + "0800" + ipv4(6, "03e8 0050 00000064 000000c8 8018 2000 0000 0000 0101080a0000000100000002"+body)},
		{"udp", 1, ethernetMACs + "0800" + ipv4(17, dns)},
		{"ipv6 tcp", 1, ethernetMACs + "86dd" + ipv6(6, tcp(1000, 80, body))},
		{"vlan", 1, ethernetMACs + "8100 0064 0800" + ipv4(17, dns)},
		{"arp", 1, ethernetMACs + "0806 0001 0800 06 04 0002 02000000000a 0a000001 02000000000b 0a000002"},
		{"icmp", 1, ethernetMACs + "0800" + ipv4(1, "0800 0000 0007 0009 6162")},
		{"cooked", 113, "0000 0001 0006 02000000000a 0000 0800" + ipv4(17, dns)},
		{"802.11", 105, "8801 0000 06000000000b 06000000000a 06000000000c 1000 0000 aaaa03 000000 0800" + ipv4(17, dns)},
		{"vxlan", 1, ethernetMACs + "0800" + ipv4(17, udp(49152, 4789, "08000000 00002a00"+inner))},
		{"gre", 1, ethernetMACs + "0800" + ipv4(47, "0000 0800"+ipv4(17, dns))},
		{"malformed", 1, ethernetMACs + "0800 44"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			data := unhex(b, bb.frame)
			f := packet.Frame{LinkType: bb.link, Length: uint32(len(data)), Data: data}
			var d packet.Decoder
			var p packet.Packet
			b.ReportAllocs()
			for b.Loop() {
				d.Decode(f, &p)
			}
		})
	}
}
