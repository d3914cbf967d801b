package flow

import (
	"encoding/binary"
	"testing"

	"ampulla/annotator/packet"
)

// fuzzed is how many bytes of fuzz data make one packet.
const fuzzed = 16

// FuzzObserve feeds packets of few hosts and ports, at any times, into a small
// table: nothing panics, nothing outgrows its bound, and no age is negative.
func FuzzObserve(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x06\x01\x02\x02\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x11\x01\x02\x00\x05\x00\x00\x00\x00\x00\x00\x03\x7f\xff\xff\xff\x01\x02\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00"))
	config := Config{MaxFlows: 4, MaxHosts: 3, MaxPairs: 3, MaxServices: 3, MaxFragments: 2, Idle: 600e9, FragmentLife: 30e9, DuplicateGap: 20e6, MaxCopies: 2}
	f.Fuzz(func(t *testing.T, data []byte) {
		table := NewTable(config)
		var o Observation
		for ; len(data) >= fuzzed; data = data[fuzzed:] {
			p := fuzzedPacket(data)
			fl, src, dst := table.Observe(&p, &o)
			if fl == nil || src == nil || dst == nil {
				t.Fatal("a packet with addresses has no flow or no hosts")
			}
			if o.Age < 0 || src.Age(p.Time) < 0 || o.Flow == 0 || fl.Gaps.Mean < 0 {
				t.Fatalf("age %d, flow %d, gap %v", o.Age, o.Flow, fl.Gaps.Mean)
			}
			if fl.Pair().Count(Services, Minute) > 65536 || src.Packets == 0 && o.Noise == Clean {
				t.Fatalf("%d services, %d packets", fl.Pair().Count(Services, Minute), src.Packets)
			}
			if table.flows.Len() > 4 || table.hosts.Len() > 3 || table.pairs.Len() > 3 || table.services.Len() > 3 || table.fragments.Len() > 2 {
				t.Fatal("a table outgrew its bound")
			}
		}
	})
}

func fuzzedPacket(b []byte) packet.Packet {
	p := packet.Packet{
		Time: int64(binary.BigEndian.Uint64(b[:8])), Length: 60, Version: 4, Proto: b[4],
		Src: addr(uint16(b[5] % 4)), Dst: addr(uint16(b[6] % 4)), SrcPort: uint16(b[7] >> 6), DstPort: uint16(b[7] >> 4 & 3),
		TCPFlags: uint16(b[8]), Seq: binary.BigEndian.Uint32(b[8:]), Ack: uint32(b[12]),
		ICMPType: b[9], ICMPCode: b[10] & 3, FragID: uint32(b[11] & 1),
		PayloadLength: uint32(b[13]), Payload: b[12:14],
	}
	p.Fragment, p.MoreFragment, p.FragOffset = b[14]&1 != 0, b[14]&2 != 0, uint32(b[15])
	if !p.Fragment {
		p.FragOffset = 0
	}
	return p
}
