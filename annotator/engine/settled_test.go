package engine_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/score/scoretest"
)

// byPayloads is a scorer that answers by how many payloads a flow has so far, and
// notes what it is asked.
type byPayloads struct {
	scoretest.Hash
	answers map[int]score.Class
	asked   *[]int
}

func (s byPayloads) Classify(rows []float32, out []score.Class) error {
	for i := range out {
		row := rows[i*len(rows)/len(out):]
		n := int(row[4] + row[5]) // client_payloads, server_payloads
		*s.asked = append(*s.asked, n)
		out[i] = s.answers[n]
	}
	return nil
}

// talk returns the datagrams of a conversation, one a millisecond.
func talk(packets int) []packet.Frame {
	list := make([]packet.Frame, packets)
	for i := range list {
		b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 38, 0, byte(i + 1), 0x40, 0, 64, packet.ProtoUDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
		for _, v := range []uint16{4000, 5000, 18, 0} {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		b = append(b, 0, 1, 2, 3, 4, 5, 6, 7, 8, byte(i))
		list[i] = packet.Frame{Time: 1e18 + int64(i)*1e6, LinkType: 1, Length: uint32(len(b)), Data: b}
	}
	return list
}

// TestSettled wants a class that the model is sure of to stay, and no more
// questions to be asked, as far as they are not on their way: those about a chunk
// go together, but for its first payloads.
func TestSettled(t *testing.T) {
	const dns, tls, unknown = "dns", "tls", "unknown"
	sure := func(name string) score.Class { return score.Class{Name: name, Confidence: 0.9} }
	unsure := func(name string) score.Class { return score.Class{Name: name, Confidence: 0.3} }
	for _, tt := range []struct {
		name         string
		answers      map[int]score.Class
		want         []string // classes of packets 1 to 8
		alone, batch []int    // questions if frames come one by one, and together
	}{
		{"sure at once", map[int]score.Class{1: sure(dns), 2: sure(tls)},
			[]string{dns, dns, dns, dns, dns, dns, dns, dns}, []int{1}, []int{1}},
		{"sure later", map[int]score.Class{1: unsure(tls), 2: unsure(dns), 3: sure(dns), 4: sure(tls), 6: sure(tls), 8: sure(tls)},
			[]string{tls, dns, dns, dns, dns, dns, dns, dns}, []int{1, 2, 3}, []int{1, 2, 3, 4, 6, 8}},
		{"never sure", map[int]score.Class{1: unsure(dns), 2: unsure(tls), 3: unsure(tls), 4: unsure(tls), 6: unsure(dns), 8: unsure(tls)},
			[]string{dns, tls, tls, tls, tls, dns, dns, tls}, []int{1, 2, 3, 4, 6, 8}, []int{1, 2, 3, 4, 6, 8}},
		{"surely unknown", map[int]score.Class{1: sure(unknown), 2: unsure(dns), 3: unsure(dns), 4: unsure(tls), 6: unsure(dns), 8: sure(dns)},
			[]string{unknown, dns, dns, tls, tls, dns, dns, dns}, []int{1, 2, 3, 4, 6, 8}, []int{1, 2, 3, 4, 6, 8}},
	} {
		for size, questions := range map[int][]int{1: tt.alone, 8: tt.batch} {
			var asked []int
			got := run(t, engine.Default(), byPayloads{answers: tt.answers, asked: &asked}, talk(8), func(int) int { return size })
			for i, v := range got {
				if v.Class != tt.want[i] {
					t.Errorf("%s, %d at a time: packet %d is %s, want %s", tt.name, size, i+1, v.Class, tt.want[i])
				}
			}
			if !slices.Equal(asked, questions) {
				t.Errorf("%s, %d at a time: asked at payloads %v, want %v", tt.name, size, asked, questions)
			}
		}
	}
}
