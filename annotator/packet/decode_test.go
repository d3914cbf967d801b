package packet

import "testing"

func TestDecodeNothing(t *testing.T) {
	var d Decoder
	for _, link := range []uint16{0, 1, 12, 101, 113, 276, LinkTypeNone} {
		var p Packet
		d.Decode(Frame{LinkType: link}, &p)
		if p.Version != 0 || p.Name != "" || p.Payload != nil {
			t.Errorf("link type %d: empty frame decoded to %+v", link, p)
		}
	}
}
