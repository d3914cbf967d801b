package eval

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"ampulla/annotator/packet"
)

// place is a host on an Ethernet: its address and its network card.
type place struct {
	addr packet.Addr // IPv4
	mac  packet.MAC
}

// places are where an attack takes place.
type places struct {
	actor, target place
}

// edge is a frame between two places.
type edge struct {
	from, to place
}

// edgeOf returns the places of an Ethernet frame that carries IPv4.
func edgeOf(f *packet.Frame) (e edge, ok bool) {
	const ethernet, ipv4 = 1, 0x0800
	d := f.Data
	if f.LinkType != ethernet || len(d) < 34 || binary.BigEndian.Uint16(d[12:]) != ipv4 {
		return e, false
	}
	e.to.mac, e.from.mac = packet.MAC(d[:6]), packet.MAC(d[6:12])
	e.from.addr, e.to.addr = mapped(d[26:30]), mapped(d[30:34])
	return e, d[0]&1 == 0 && e.to.addr[12] < 224
}

// mapped returns an IPv4 address.
func mapped(b []byte) (a packet.Addr) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b)
	return a
}

// busiest returns the two places between which most frames went; nil if there
// are none.
func busiest(edges map[edge]int) *places {
	if len(edges) == 0 {
		return nil
	}
	most := slices.MaxFunc(slices.SortedFunc(maps.Keys(edges), compareEdges), func(a, b edge) int { return edges[a] - edges[b] })
	return &places{most.from, most.to}
}

func compareEdges(a, b edge) int {
	return bytes.Compare(slices.Concat(a.from.addr[:], a.to.addr[:], a.from.mac[:], a.to.mac[:]),
		slices.Concat(b.from.addr[:], b.to.addr[:], b.from.mac[:], b.to.mac[:]))
}

// placesOf returns who talks most to whom.
func placesOf(frames []packet.Frame) *places {
	edges := map[edge]int{}
	for i := range frames {
		if e, ok := edgeOf(&frames[i]); ok {
			edges[e]++
		}
	}
	return busiest(edges)
}

// attack is what an attacker sent, and the answers.
type attack struct {
	kinds  []string
	sent   []packet.Frame
	labels []Label
	frames int     // that are labelled as the attack
	places *places // nil if they are not known
}

// attackOf takes the attack out of a capture: the first frames of it and of the
// answers to it, so many of the former at most.
func attackOf(frames []packet.Frame, l *Labels, most int) *attack {
	a := &attack{}
	edges := map[edge]int{}
	kinds := map[string]bool{}
	for i := range frames {
		label := l.Of(uint64(i) + 1)
		if label.Truth != Attack && label.Truth != Response || a.frames == most {
			continue
		}
		a.sent, a.labels = append(a.sent, frames[i]), append(a.labels, label)
		if label.Truth == Attack {
			a.frames++
			kinds[label.Attack] = true
			if e, ok := edgeOf(&frames[i]); ok {
				edges[e]++
			}
		}
	}
	a.kinds = slices.Sorted(maps.Keys(kinds))
	a.places = busiest(edges)
	return a
}

// into returns the second half of a network with the attack mixed into it, from
// a quarter of it on, and the labels of all frames. Who attacks is the host that
// sent most in the first half, who suffers it the one that it sent that to.
func (a *attack) into(n *network) ([]packet.Frame, []Label) {
	begin := n.judged[len(n.judged)/4].Time
	shift := begin - a.sent[0].Time
	mixed, labels := slices.Clone(n.judged), make([]Label, len(n.judged), len(n.judged)+len(a.sent))
	for i := range labels {
		labels[i].Truth = Benign
	}
	for i := range a.sent {
		f := a.sent[i]
		f.Time += shift
		if a.places != nil {
			f.Data = a.places.replace(f.Data, n.places)
		}
		mixed, labels = append(mixed, f), append(labels, a.labels[i])
	}
	order := make([]int, len(mixed))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, k int) int { return int(min(max(mixed[i].Time-mixed[k].Time, -1), 1)) })
	outFrames, outLabels := make([]packet.Frame, len(mixed)), make([]Label, len(mixed))
	for to, from := range order {
		outFrames[to], outLabels[to] = mixed[from], labels[from]
	}
	return outFrames, outLabels
}

// replace returns a frame in which others are in these places: where an Ethernet
// frame, or the ARP or IPv4 packet in it, names the one, it names the other.
// Checksums are left as they are, nobody looks at them.
func (p *places) replace(data []byte, by *places) []byte {
	d := slices.Clone(data)
	swap := func(at, n int, with func(p *place) []byte) {
		if at+n > len(d) {
			return
		}
		for _, pair := range [...][2]*place{{&p.actor, &by.actor}, {&p.target, &by.target}} {
			if bytes.Equal(data[at:at+n], with(pair[0])) {
				copy(d[at:], with(pair[1]))
				return
			}
		}
	}
	card := func(p *place) []byte { return p.mac[:] }
	addr := func(p *place) []byte { return p.addr[12:] }
	if len(d) < 14 {
		return d
	}
	swap(0, 6, card)
	swap(6, 6, card)
	switch binary.BigEndian.Uint16(d[12:]) {
	case 0x0800:
		swap(26, 4, addr)
		swap(30, 4, addr)
	case 0x0806:
		swap(22, 6, card)
		swap(28, 4, addr)
		swap(32, 6, card)
		swap(38, 4, addr)
	}
	return d
}
