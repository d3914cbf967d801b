package detect

import (
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// arpSpoof finds machines that answer for addresses of others. An address that
// moves once (DHCP, a new network card, failover) is none: it takes repeated
// claims while the former holder is still there.
type arpSpoof struct {
	cfg       ARPSpoof
	addresses table[arpAddress, holder]
	claims    table[arpClaim, claim]
	questions table[arpQuestion, int64]
}

type arpAddress struct {
	addr packet.Addr
	vlan uint16
}

func (a *arpAddress) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&a.addr)).Word(uint64(a.vlan))
}

// holder is who held an address first.
type holder struct {
	mac  packet.MAC
	seen int64 // last time that it said so
}

type arpClaim struct {
	arpAddress
	mac packet.MAC
}

func (c *arpClaim) hash() lru.Hash { return c.arpAddress.hash().Word(c.mac.Number()) }

// claim is what one MAC says of an address.
type claim struct {
	alarm
	period
	against int // times another MAC held it
	unasked int // replies nobody asked for
	rival   packet.MAC
}

// arpQuestion is somebody's wish to know an address.
type arpQuestion struct {
	arpAddress
	asker packet.MAC
}

func (q *arpQuestion) hash() lru.Hash { return q.arpAddress.hash().Word(q.asker.Number()) }

func newARPSpoof(cfg ARPSpoof) *arpSpoof {
	return &arpSpoof{
		cfg:       cfg,
		addresses: newTable[arpAddress, holder](cfg.Hosts),
		claims:    newTable[arpClaim, claim](cfg.Hosts),
		questions: newTable[arpQuestion, int64](cfg.Hosts),
	}
}

func (d *arpSpoof) Name() string { return "arp_spoof" }

func (d *arpSpoof) Wants(k Kind) Want { return when(k.over() == overARP) }

func (d *arpSpoof) Observe(c *Case) {
	p := c.Packet
	if p.ARPOp == 0 {
		return
	}
	if p.ARPOp == 1 && c.Noise == flow.Clean {
		q := arpQuestion{arpAddress{p.ARPTarget, p.VLAN}, p.ARPSenderMAC}
		*d.questions.take(q.hash(), &q) = p.Time
	}
	if p.ARPSender.IsZero() || p.ARPSender.Netip().IsUnspecified() || isShared(p.ARPSenderMAC) {
		return
	}
	key := arpClaim{arpAddress{p.ARPSender, p.VLAN}, p.ARPSenderMAC}
	s := d.claims.take(key.hash(), &key)
	if c.Noise == flow.Clean {
		d.weigh(s, &key, p)
	}
	if !s.active(p.Time, d.cfg.Window) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = s.words(&key, p)
	}
	c.found(Finding{s.score, verdict.ARPSpoof, s.reason, RoleMachine, s.start})
}

// isShared tells that a MAC belongs to several machines by design: VRRP and
// CARP (RFC 5798), HSRP, GLBP.
func isShared(m packet.MAC) bool {
	switch [4]byte(m[:4]) {
	case [4]byte{0x00, 0x00, 0x5e, 0x00}, [4]byte{0x00, 0x00, 0x0c, 0x07},
		[4]byte{0x00, 0x07, 0xb4, 0x00}, [4]byte{0x00, 0x00, 0x0c, 0x9f}:
		return true
	}
	return false
}

func (d *arpSpoof) weigh(c *claim, key *arpClaim, p *packet.Packet) {
	if c.over(p.Time, d.cfg.Window) {
		*c = claim{alarm: c.alarm, period: begin(p.Time)}
	}
	h := d.addresses.take(key.arpAddress.hash(), &key.arpAddress)
	if h.seen == 0 || !near(p.Time, h.seen, 5*d.cfg.Window) {
		h.mac = key.mac // nobody holds it, or not any more
	}
	if h.mac == key.mac {
		h.seen = p.Time
	} else {
		c.against++
		c.rival = h.mac
	}
	const reply = 2
	if p.ARPOp == reply && p.ARPTarget != p.ARPSender && !p.ARPTarget.IsZero() {
		q := arpQuestion{key.arpAddress, p.ARPTargetMAC}
		asked := d.questions.get(q.hash(), &q)
		if asked == nil || !near(p.Time, *asked, d.cfg.Window/10) {
			c.unasked++
		}
	}
	c.raise(max(Grade(float64(c.against), float64(d.cfg.Claims)),
		Grade(float64(c.unasked), float64(d.cfg.Unasked))), p.Time, d.cfg.Window)
}

func (c *claim) words(key *arpClaim, p *packet.Packet) string {
	where := fmt.Sprintf("within %.1f s", c.seconds(p.Time))
	if c.against == 0 {
		return fmt.Sprintf("%s sent %d replies %s that it holds %s, and nobody had asked",
			mac(key.mac), c.unasked, where, key.addr)
	}
	return fmt.Sprintf("%s claimed %s %d times %s, which %s holds; %d replies had not been asked for",
		mac(key.mac), key.addr, c.against, where, mac(c.rival), c.unasked)
}

func mac(m packet.MAC) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
