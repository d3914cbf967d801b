package packet_test

import (
	"bytes"
	"testing"

	"ampulla/annotator/packet"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode decodes whatever bytes as a frame of whatever link type. A frame
// on which it finds the decoder wrong becomes a named row of the tables.
func FuzzDecode(f *testing.F) {
	for _, r := range rows() {
		data := unhex(f, r.frame)
		f.Add(r.link, uint32(len(data)), data)
	}
	f.Add(uint16(1), uint32(1514), unhex(f, ethernetMACs+"0800"+ipv4(17, udp(1, 2, zeros(1472)))))
	var d packet.Decoder
	f.Fuzz(func(t *testing.T, link uint16, length uint32, data []byte) {
		before := bytes.Clone(data)
		frame := packet.Frame{LinkType: link, Length: length, Data: data}
		var p, again packet.Packet
		d.Decode(frame, &p)
		sane(t, frame, &p)
		if d.Panics() != 0 {
			t.Fatal("a layer panicked")
		}
		if !bytes.Equal(before, data) {
			t.Error("the frame was changed")
		}
		new(packet.Decoder).Decode(frame, &again)
		if diff := cmp.Diff(again, p); diff != "" {
			t.Errorf("a used decoder differs from a new one:\n%s", diff)
		}
		frame.Data = before[:min(len(before), packet.SnapLen)]
		d.Decode(frame, &again)
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("whole and cut differ:\n%s", diff)
		}
	})
}

// sane checks what holds for every packet.
func sane(t *testing.T, f packet.Frame, p *packet.Packet) {
	t.Helper()
	if !within(f.Data, p.Payload) {
		t.Error("the payload is not part of the frame's first bytes")
	}
	if uint64(p.PayloadLength) > uint64(max(f.Length, packet.SnapLen)) {
		t.Errorf("payload of %d bytes in a frame of %d", p.PayloadLength, f.Length)
	}
	if uint64(len(p.Payload)) > uint64(p.PayloadLength) {
		t.Errorf("%d bytes captured of a payload of %d", len(p.Payload), p.PayloadLength)
	}
	if p.Version != 0 && p.Version != 4 && p.Version != 6 {
		t.Errorf("IP version %d", p.Version)
	}
	if p.Version == 0 && (p.Proto != 0 || !p.Src.IsZero() || p.SrcPort != 0 || p.Fragment) {
		t.Errorf("no IP, but its fields are set: %s", say(p))
	}
	if (p.FragOffset != 0 || p.MoreFragment) && !p.Fragment {
		t.Error("a fragment that says it is none")
	}
	if p.Tunnel == packet.TunnelNone && (p.OuterProto != 0 || p.Domain != 0) {
		t.Error("no tunnel, but an outer packet")
	}
	if p.HasPorts() && p.Name != "" {
		t.Errorf("ports of a packet called %s", p.Name)
	}
}

// within tells whether part is a piece of the first SnapLen bytes of data.
func within(data, part []byte) bool {
	if len(part) == 0 {
		return true
	}
	data = data[:min(len(data), packet.SnapLen)]
	at := cap(data) - cap(part)
	return at >= 0 && at+len(part) <= len(data) && &data[at] == &part[0]
}
