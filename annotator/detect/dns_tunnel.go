package detect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// dnsTunnel finds data carried in DNS names: a client that keeps asking for
// long names below one domain, every one of them new and looking like noise.
type dnsTunnel struct {
	cfg     DNSTunnel
	domains table[dnsDomain, dnsNames]
}

type dnsDomain struct {
	client packet.Addr
	domain uint64 // hash of the registered domain
}

func (d *dnsDomain) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&d.client)).Word(d.domain)
}

// dnsNames is what a client asked below one domain.
type dnsNames struct {
	alarm
	period
	queries uint32
	names   distinct // data-like ones
	length  uint64   // of all data-like names together
	entropy float64  // likewise
	answers uint64   // bytes
	qtype   uint16
}

func newDNSTunnel(cfg DNSTunnel) *dnsTunnel {
	return &dnsTunnel{cfg: cfg, domains: newTable[dnsDomain, dnsNames](cfg.Domains)}
}

func (d *dnsTunnel) Name() string { return "dns_tunnel" }

func (d *dnsTunnel) Wants(k Kind) Want { return when(k.is(traitDNS)) }

func (d *dnsTunnel) Observe(c *Case) {
	p := c.Packet
	q := c.question()
	if q == nil {
		return
	}
	sub, domain := splitDomain(q.name)
	if len(sub) == 0 {
		return
	}
	client := p.Src
	if q.response {
		client = p.Dst
	}
	key := dnsDomain{client, hashBytes(domain)}
	if q.response {
		d.answer(c, &key, domain)
		return
	}
	s := d.domains.take(key.hash(), &key)
	if c.Noise == flow.Clean {
		d.count(s, q, sub, p)
	}
	d.tell(c, s, domain)
}

func (d *dnsTunnel) count(s *dnsNames, q *question, sub []byte, p *packet.Packet) {
	if s.over(p.Time, d.cfg.Window) {
		names := s.names
		names.clear()
		*s = dnsNames{alarm: s.alarm, period: begin(p.Time), names: names}
	}
	s.queries++
	length := d.cfg.MinLength
	if carriesData(q.qtype) {
		length /= 2
	}
	if len(sub) < length || longestLabel(sub) < dataLabel {
		return
	}
	h := entropy(sub)
	if h < d.cfg.MinEntropy {
		return
	}
	if s.names.add(hashBytes(sub)) {
		s.length += uint64(len(sub))
		s.entropy += h
		s.qtype = q.qtype
		s.raise(Grade(float64(s.names.n), float64(d.cfg.Names)), p.Time, d.cfg.Window)
	}
}

// answer judges an answer as the question it belongs to.
func (d *dnsTunnel) answer(c *Case, key *dnsDomain, domain []byte) {
	s := d.domains.get(key.hash(), key)
	if s == nil {
		return
	}
	if c.Noise == flow.Clean {
		s.answers += uint64(c.Packet.PayloadLength)
	}
	d.tell(c, s, domain)
}

func (d *dnsTunnel) tell(c *Case, s *dnsNames, domain []byte) {
	p := c.Packet
	if !s.active(p.Time, d.cfg.Window) {
		return
	}
	if s.outdated(p.Time) {
		n := float64(max(s.names.n, 1))
		below := "no domain"
		if len(domain) > 0 {
			below = "domain " + printable(domain)
		}
		s.reason = fmt.Sprintf("%s different names below %s asked for within %.1f s, on average %.0f characters at %.1f bits each, mostly type %d; %d bytes came back; domains have a few short names",
			s.names.size(), below, s.seconds(p.Time), float64(s.length)/n, s.entropy/n, s.qtype, s.answers)
	}
	c.found(Finding{s.score, verdict.DNSTunnel, s.reason, RoleAsker, s.start})
}

// carriesData tells that a type of record is made for, or only used for,
// arbitrary data: NULL, TXT and private ones.
func carriesData(qtype uint16) bool { return qtype == 10 || qtype == 16 || qtype >= 65280 }

// question is the first question of a DNS message.
type question struct {
	name     []byte // lower case, labels joined with dots
	qtype    uint16
	response bool
	code     uint8 // of the response
}

// nameError is the code of a response that there is no such name (RFC 1035
// section 4.1.1).
const nameError = 3

// parse reads the first question of the message in p (RFC 1035 section
// 4.1), its name into buf.
func (q *question) parse(p *packet.Packet, buf []byte) bool {
	m := p.Payload
	if p.Proto == packet.ProtoTCP { // RFC 1035 section 4.2.2: two bytes of length first
		m = m[2:]
	}
	const header = 12
	if len(m) < header+5 || binary.BigEndian.Uint16(m[4:]) != 1 {
		return false
	}
	if opcode := m[2] >> 3 & 15; opcode != 0 {
		return false
	}
	q.response, q.code = m[2]&0x80 != 0, m[3]&15
	i := header
	for {
		if i >= len(m) {
			return false
		}
		n := int(m[i])
		i++
		if n == 0 {
			break
		}
		if n > 63 || i+n > len(m) || len(buf)+n+1 > 255 {
			return false
		}
		if len(buf) > 0 {
			buf = append(buf, '.')
		}
		for _, c := range m[i : i+n] {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			buf = append(buf, c)
		}
		i += n
	}
	if i+4 > len(m) {
		return false
	}
	q.name, q.qtype = buf, binary.BigEndian.Uint16(m[i:])
	return len(buf) > 0
}

// splitDomain splits a name into the registered domain and what is below it.
// A domain is two labels, or three where the last two are short, as in
// example.co.uk. Reverse look-ups, whose names are long and new by design, and
// names of services have nothing below.
func splitDomain(name []byte) (sub, domain []byte) {
	if bytes.HasSuffix(name, []byte(".arpa")) || bytes.HasSuffix(name, []byte(".local")) {
		return nil, name
	}
	last := bytes.LastIndexByte(name, '.')
	if top := name[last+1:]; bytes.ContainsAny(top, "0123456789") && !bytes.HasPrefix(top, []byte("xn--")) {
		return name, nil // no domain at all: sent straight to the server
	}
	if last < 0 {
		return nil, name
	}
	second := bytes.LastIndexByte(name[:last], '.')
	if second < 0 {
		return nil, name
	}
	if len(name)-last-1 == 2 && last-second-1 <= 3 {
		third := bytes.LastIndexByte(name[:second], '.')
		if third < 0 {
			return nil, name
		}
		second = third
	}
	return name[:second], name[second+1:]
}

// dataLabel is the least length of the longest label of a name that carries
// data. Names made of addresses, as block lists are asked for (RFC 5782), have
// many short ones.
const dataLabel = 8

func longestLabel(name []byte) int {
	longest, n := 0, 0
	for _, c := range name {
		n++
		if c == '.' {
			n = 0
		}
		longest = max(longest, n)
	}
	return longest
}

// entropy returns the Shannon entropy of the characters of s, bits each.
func entropy(s []byte) float64 {
	var counts [256]uint16
	for _, c := range s {
		counts[c]++
	}
	h := 0.0
	var parts [64]float64 // by how often a character occurs: logarithms are dear
	for _, c := range s {
		n := counts[c]
		counts[c] = 0 // the sum is formed where each occurs first
		switch {
		case n == 0:
		case int(n) >= len(parts):
			h -= part(n, len(s))
		default:
			if parts[n] == 0 {
				parts[n] = part(n, len(s))
			}
			h -= parts[n]
		}
	}
	return h
}

// part returns p log2(p) for p = n/all.
func part(n uint16, all int) float64 {
	p := float64(n) / float64(all)
	return p * math.Log2(p)
}

// printable returns a name with everything but ASCII letters, digits, dots,
// hyphens and underscores replaced.
func printable(name []byte) string {
	out := make([]byte, len(name))
	for i, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
			out[i] = c
		default:
			out[i] = '?'
		}
	}
	return string(out)
}
