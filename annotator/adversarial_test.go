package main

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// BenchmarkAdversarial measures what a packet costs in traffic made to be
// costly, beside that of an ordinary capture and the cheapest there is, with the
// shipped models and one goroutine.
func BenchmarkAdversarial(b *testing.B) {
	scorer := testScorer(b)
	capture := framesOf(b, "../testdata/captures/demo.pcapng")
	for _, tt := range []struct {
		name  string
		frame func(n uint32, buffer []byte) []byte
	}{
		{"ordinary", func(n uint32, b []byte) []byte { return append(b, capture[n%uint32(len(capture))].Data...) }},
		{"conversations", func(n uint32, b []byte) []byte {
			from, to := uint32(0x0a000001), 0x0a000002+n/64%250 // 250 conversations, 64 packets at a time
			if n%2 == 1 {
				from, to = to, from
			}
			return udp(b, from, to, 4000, 4000, 100, nil)
		}},
		{"SYN, random sources", func(n uint32, b []byte) []byte { return syn(b, scatter(n), 0x0a000002, uint16(n), 80) }},
		{"one-packet flows", func(n uint32, b []byte) []byte {
			return udp(b, 0x0a000001, scatter(n), uint16(n), uint16(scatter(n)), 10, nil)
		}},
		{"maximal DNS names", func(n uint32, b []byte) []byte { return udp(b, 0x0a000001, 0x08080808, 4000, 53, 0, question(n)) }},
		{"fragments", func(n uint32, b []byte) []byte { // of datagrams of 64 kB, 44 each
			b = udp(b, 0x0a000001, 0x0a000002, 4000, 5000, 1472, nil)
			binary.BigEndian.PutUint16(b[14+4:], uint16(n/44))
			binary.BigEndian.PutUint16(b[14+6:], 0x2000|uint16(n%44*185))
			return b
		}},
		{"tiny", func(n uint32, b []byte) []byte { return append(b, byte(n), byte(n>>8)) }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			const batch = 1024
			frames := make([]packet.Frame, batch)
			buffers := make([][]byte, batch)
			var out []verdict.Verdict
			e, err := engine.New(engine.Default(), scorer)
			if err != nil {
				b.Fatal(err)
			}
			n, total := uint32(0), 0
			for b.Loop() {
				for i := range frames {
					buffers[i] = tt.frame(n, buffers[i][:0])
					frames[i] = packet.Frame{
						Time: 1e18 + int64(n)*1e4, LinkType: 1, Length: uint32(len(buffers[i])), Data: buffers[i]}
					n++
				}
				if out, err = e.Process(frames, out[:0]); err != nil {
					b.Fatal(err)
				}
				total += batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(total), "ns/packet")
		})
	}
}

// framesOf returns the frames of a capture, with as much of each as is looked at.
func framesOf(b *testing.B, path string) (list []packet.Frame) {
	b.Helper()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	for r := pcapng.NewReader(file); ; {
		block, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			b.Fatal(err)
		}
		if block.IsFrame() {
			f := block.Frame()
			f.Data = slices.Clone(f.Data[:min(len(f.Data), packet.SnapLen)])
			list = append(list, f)
		}
	}
}

// scatter turns numbers in order into numbers without one; no two are equal.
func scatter(n uint32) uint32 { return n*2654435761 ^ 0x5bd1e995 }

// ip appends an Ethernet frame with an IPv4 header in front of length bytes.
func ip(b []byte, proto byte, from, to uint32, length int) []byte {
	b = append(b, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(20+length))
	b = append(b, 0, 0, 0x40, 0, 64, proto, 0, 0)
	b = binary.BigEndian.AppendUint32(b, from)
	return binary.BigEndian.AppendUint32(b, to)
}

// udp appends a datagram with the payload and as many zeros.
func udp(b []byte, from, to uint32, src, dst uint16, zeros int, payload []byte) []byte {
	length := 8 + len(payload) + zeros
	b = ip(b, packet.ProtoUDP, from, to, length)
	b = binary.BigEndian.AppendUint16(b, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(append(b, 0, 0), payload...)
	return append(b, make([]byte, zeros)...)
}

func syn(b []byte, from, to uint32, src, dst uint16) []byte {
	b = ip(b, packet.ProtoTCP, from, to, 20)
	b = binary.BigEndian.AppendUint16(b, src)
	b = binary.BigEndian.AppendUint16(b, dst)
	b = binary.BigEndian.AppendUint32(b, scatter(uint32(src)))
	return append(b, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0)
}

// question is a DNS query for a name of 253 characters, another one each time.
func question(n uint32) []byte {
	m := []byte{byte(n >> 8), byte(n), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label, size := range []int{63, 63, 63, 61} {
		m = append(m, byte(size))
		for i := range size {
			m = append(m, 'a'+byte(scatter(n*256+uint32(label*64+i))>>27%26))
		}
	}
	return append(m, 0, 0, 1, 0, 1)
}
