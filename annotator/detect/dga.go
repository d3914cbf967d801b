package detect

import (
	"bytes"
	"fmt"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// dga finds programs that try one generated domain after the other until one
// exists (domain generation algorithms): a client that is told of many
// different registered domains that there are no such.
type dga struct {
	cfg     DGA
	clients table[packet.Addr, misses]
}

// misses is what a client asked for that does not exist.
type misses struct {
	alarm
	period
	domains distinct
	latest  string // domain
}

func newDGA(cfg DGA) *dga {
	return &dga{cfg: cfg, clients: newTable[packet.Addr, misses](cfg.Clients)}
}

func (d *dga) Name() string { return "dga" }

func (d *dga) Wants(k Kind) Want { return when(k.is(traitDNS)) }

func (d *dga) Observe(c *Case) {
	p := c.Packet
	q := c.question()
	if q == nil {
		return
	}
	client := p.Src
	if q.response {
		client = p.Dst
	}
	missing := q.response && q.code == nameError
	if missing && c.Noise == flow.Clean {
		d.miss(client, q.name, p.Time)
	}
	s := d.clients.get(hashOfAddr(&client), &client)
	if s == nil || q.response && !missing || !s.active(p.Time, dgaHold) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%s asked for %s domains that do not exist within %.1f s, the latest %s; people mistype a few at most",
			client, s.domains.size(), s.seconds(p.Time), s.latest)
	}
	c.found(Finding{s.score, verdict.Outlier, s.reason, RoleAsker, 0})
}

// dgaHold is how long after the last miss the client's questions count as the
// next tries.
const dgaHold = time.Minute

// miss notes that there is no such name.
func (d *dga) miss(client packet.Addr, name []byte, now int64) {
	_, domain := splitDomain(name)
	if len(domain) == 0 || bytes.IndexByte(domain, '.') < 0 || reserved(name) {
		return // a host name without a domain, as browsers and printers try
	}
	s := d.clients.take(hashOfAddr(&client), &client)
	if s.over(now, d.cfg.Window) {
		domains := s.domains
		domains.clear()
		*s = misses{alarm: s.alarm, period: begin(now), domains: domains}
	}
	if s.domains.add(hashBytes(domain)) {
		s.latest = printable(domain)
		s.raise(Grade(float64(s.domains.n), float64(d.cfg.Domains)), now, d.cfg.Window)
	}
	if s.score >= verdict.SuspiciousScore {
		s.last = now
	}
}

// reserved tells that a name is one of a local network or of addresses, which
// the servers of the Internet rightly do not know.
func reserved(name []byte) bool {
	for _, top := range [...]string{".arpa", ".local", ".lan", ".home", ".localdomain", ".internal", ".corp", ".intranet", ".invalid", ".test"} {
		if bytes.HasSuffix(name, []byte(top)) {
			return true
		}
	}
	return false
}
