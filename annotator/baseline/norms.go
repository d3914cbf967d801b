package baseline

import (
	"fmt"
	"net/netip"

	"ampulla/annotator/packet"
	"ampulla/annotator/score"
)

// The choices behind what is measured. They were made on the halves of benign
// captures, with attacks mixed in: `ampulla eval --baseline-halves`.
const (
	// Enough is how many packets tell a host apart from what is known anyway:
	// with fewer that counts for more than what was learned of the host.
	Enough = 1000
	// supported is how many packets as unusual as that say how heavy a tail is.
	supported = 5
	// enoughSeconds is how many seconds with packets make a rate known.
	enoughSeconds = 300
)

// norms are a Baseline in the form in which packets are measured against it.
type norms struct {
	hosts    map[packet.Addr]*norm
	networks map[netip.Prefix]*network
	nobody   network // of addresses in no network that is known
}

// norm is what is normal for one host.
type norm struct {
	host    *Host
	tails   [2]tail
	network *network
}

// network is what is normal for a host in an address range, as far as the
// others there tell.
type network struct {
	prefix         netip.Prefix
	packets        [2]uint64
	tails          [2]tail   // the mean of those of its hosts
	hosts          [2]int    // that these are of
	sent, received Rate      // of all its hosts
	thin           [2]string // what is said where this is too little
}

// tail says, for each step of the shipped score, which share of packets scores at
// least that.
type tail [scoreBins]float64

// shipped is the tail that the models come with.
func shipped() (t tail) {
	for i := range t {
		t[i] = score.Unscale(float64(i) / scoreStep)
	}
	return t
}

// tailOf returns the tail of a histogram, where prior stands for Enough packets
// more. Beyond what is supported it goes on as steeply as the prior.
func tailOf(h *Histogram, prior *tail) (t tail) {
	n, k := float64(h.Total()), 0.0
	heavier := 0.0 // than the prior, where that is last supported
	for i := scoreBins - 1; i >= 0; i-- {
		k += float64(h[i])
		t[i] = (k + Enough*prior[i]) / (n + Enough)
		if heavier == 0 && k >= supported {
			heavier = max(t[i]/prior[i], 1)
			for j := i + 1; j < scoreBins; j++ {
				if p := prior[j] * heavier; n*p < supported { // or else they would have been seen
					t[j] = max(t[j], p)
				}
			}
		}
	}
	return t
}

// marginSteps are the steps of a score within which it stands for a packet less
// than margin times as rare.
const marginSteps = 4 // 0.8 log10(2) / 3

// heavier returns by which factor scores like that, or those of packets up to
// margin times as frequent, are more frequent than with the models alone.
func (t *tail) heavier(s float64) float64 {
	bin, most := binOf(s), 0.0
	for i := max(bin-marginSteps, 0); i <= bin; i++ {
		most = max(most, t[i]/score.Unscale(float64(i)/scoreStep))
	}
	return most
}

// norms returns the norms of b.
func (b *Baseline) norms() *norms {
	b.compiling.Do(func() { b.compiled = b.compile() })
	return b.compiled
}

func (b *Baseline) compile() *norms {
	known := shipped()
	n := &norms{hosts: map[packet.Addr]*norm{}, networks: map[netip.Prefix]*network{}}
	n.nobody = network{tails: [2]tail{known, known}, thin: [2]string{unknown, unknown}}
	for _, h := range b.hosts.keys() { // in order: sums of floats depend on it
		stats := b.hosts.get(h)
		at := &norm{host: stats, network: n.join(packet.Addr(h))}
		for side := range at.tails {
			scores := &stats.Scores[side]
			if total := scores.Total(); total > 0 {
				at.network.learn(side, total, tailOf(scores, &known))
			}
		}
		for i := range stats.Sent {
			at.network.sent.add(&stats.Sent[i].Rate)
		}
		for i := range stats.Received {
			at.network.received.add(&stats.Received[i].Rate)
		}
		n.hosts[packet.Addr(h)] = at
	}
	for _, w := range n.networks {
		w.finish(&known)
	}
	for _, at := range n.hosts {
		for side := range at.tails {
			at.tails[side] = tailOf(&at.host.Scores[side], &at.network.tails[side])
		}
	}
	return n
}

// join returns the network of an address, a new one if need be.
func (n *norms) join(a packet.Addr) *network {
	p := Network(a)
	w := n.networks[p]
	if w == nil {
		w = &network{prefix: p}
		n.networks[p] = w
	}
	return w
}

// learn takes in a host.
func (w *network) learn(side int, packets uint64, t tail) {
	w.packets[side] = sum(w.packets[side], packets)
	w.hosts[side]++
	for i := range t {
		w.tails[side][i] += t[i]
	}
}

// unknown is what is said of hosts in no network that was learned.
const unknown = "no host of its network was seen while the baseline was learned"

// finish makes means of sums, in which what is known anyway counts as one host.
func (w *network) finish(known *tail) {
	for side, role := range [...]string{"clients", "servers"} {
		w.thin[side] = fmt.Sprintf("too little was learned of %s among %s: %d packets of the %d that it takes", role, w, w.packets[side], Enough)
		for i := range w.tails[side] {
			w.tails[side][i] = (w.tails[side][i] + known[i]) / float64(w.hosts[side]+1)
		}
	}
}

// Network returns the address range whose hosts are taken to be alike: the /24
// or /64 of an address of one's own (see RFC 1918, RFC 4193), and all the others
// together.
func Network(a packet.Addr) netip.Prefix {
	if !isOurs(a) {
		return netip.Prefix{}
	}
	addr, bits := a.Netip(), 64
	if addr.Is4() {
		bits = 24
	}
	p, _ := addr.Prefix(bits)
	return p
}
