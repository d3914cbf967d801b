package baseline

import (
	"net/netip"
	"time"

	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
)

var (
	broadcast = packet.Addr(netip.AddrFrom4([4]byte{255, 255, 255, 255}).As16())
	shared    = netip.MustParsePrefix("100.64.0.0/10")
)

// maxMeters is how many hosts are counted at a time.
const maxMeters = 8192

// meters count the packets of each host in the second at hand.
type meters struct {
	hosts *lru.Map[host, meter]
	learn *Baseline // to learn rates into; nil for none
}

// meter is the second at hand of one host.
type meter struct {
	host     host
	second   int64
	sent     uint64
	received uint64
}

func newMeters(learn *Baseline) *meters {
	return &meters{hosts: lru.New[host, meter](maxMeters), learn: learn}
}

// count counts a packet for both its ends, and returns how many they have sent
// and received within its second; 0 if it has no time.
func (m *meters) count(p *packet.Packet) (sent, received uint64) {
	if p.Time == 0 { // captured without a clock
		return 0, 0
	}
	if toOne(p.Src) {
		n := m.of(host(p.Src), p.Time)
		n.sent++
		sent = n.sent
	}
	if toOne(p.Dst) {
		n := m.of(host(p.Dst), p.Time)
		n.received++
		received = n.received
	}
	return sent, received
}

// of returns the meter of a host, in the second of now.
func (m *meters) of(h host, now int64) *meter {
	second := now / int64(time.Second)
	hash := lru.Seed.Addr((*[16]byte)(&h))
	n := m.hosts.Get(hash, &h)
	if n == nil {
		n, _ = m.hosts.Add(hash, &h)
		n.Val = meter{host: h, second: second}
	}
	m.hosts.Touch(n)
	if n.Val.second != second {
		m.learned(&n.Val)
		n.Val = meter{host: h, second: second}
	}
	return &n.Val
}

// learned takes a second that is over.
func (m *meters) learned(n *meter) {
	if m.learn == nil {
		return
	}
	h := m.learn.hosts.take(n.host)
	if h == nil {
		return
	}
	hour := hourOf(n.second * int64(time.Second))
	if n.sent > 0 {
		h.Sent.at(hour).count(n.sent)
	}
	if n.received > 0 {
		h.Received.at(hour).count(n.received)
	}
}

// close ends the seconds at hand.
func (m *meters) close() {
	for e := m.hosts.Oldest(); e != nil; e = m.hosts.Oldest() {
		m.learned(&e.Val)
		m.hosts.Remove(e)
	}
}
