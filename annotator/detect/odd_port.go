package detect

import (
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/verdict"
)

// oddPort finds encrypted sessions on ports that are not made for them, as
// malware prefers and its operators' tools offer by default. Many a program
// has its own port as well, so that alone is suspicious and no more.
type oddPort struct {
	cfg      OddPort
	sessions services[session]
}

// session is what is known of the encrypted sessions with a service.
type session struct {
	unvouched bool
	reason    string
}

func newOddPort(cfg OddPort) *oddPort {
	return &oddPort{cfg: cfg, sessions: newServices[session](cfg.Services)}
}

func (d *oddPort) Name() string { return "odd_port" }

func (d *oddPort) Wants(k Kind) Want { return when(k.is(traitOdd)) }

func (d *oddPort) Observe(c *Case) {
	if !d.cfg.odd(c.Observation) {
		return
	}
	s := d.sessions.take(c)
	if !c.FromClient && !s.unvouched && isUnvouched(c.Packet.Payload) {
		*s = session{unvouched: true}
	}
	score := d.cfg.Score
	if s.unvouched && !internal(&c.key.server) {
		score = d.cfg.Unvouched
	}
	if s.reason == "" {
		s.reason = fmt.Sprintf("an encrypted session (%s) with %s on port %d, which is not made for it", classOf(c.Observation), c.key.server, c.key.port)
		if s.unvouched {
			s.reason += ", and no authority vouches for its certificate"
		}
	}
	c.found(Finding{score, verdict.Outlier, s.reason, RoleService, 0})
}

// odd tells that a packet belongs to an encrypted session on a port that is not
// made for it.
func (c *OddPort) odd(o *flow.Observation) bool {
	return o.Packet.HasPorts() && o.Memo != nil && float64(o.Memo.Confidence) >= c.Confidence && onOddPort(o)
}

// onOddPort tells that a packet, if it is of an encrypted session, goes over a
// port that is not made for it.
func onOddPort(o *flow.Observation) bool {
	// The direction of what was captured half way is a guess.
	p := o.Packet
	switch classOf(o) {
	case "tls":
		return !isTLSPort(p.DstPort) && !isTLSPort(p.SrcPort)
	case "ssh":
		return !isSSHPort(p.DstPort) && !isSSHPort(p.SrcPort)
	}
	return false
}

// isTLSPort tells that a port is registered with IANA for a protocol over TLS
// or one that turns to it, or in common use for one.
func isTLSPort(port uint16) bool {
	switch port {
	case 21, 25, 110, 143, 389, 443, 465, 563, 587, 636, 853, 989, 990, 992, 993, 994, 995, 1433, 2083, 2376, 3268, 3269,
		3306, 3389, 4433, 4843, 5061, 5222, 5223, 5228, 5269, 5349, 5432, 5671, 5986, 6379, 6443, 6514, 6697, 8080, 8443, 8883,
		9001, 9093, 9443, 27017:
		return true
	}
	return false
}

func isSSHPort(port uint16) bool { return port == 22 || port == 830 || port == 2222 }

// isUnvouched tells that a payload holds a TLS server's certificate (RFC 5246
// section 7.4.2) that comes alone: it signed itself, or somebody did whom the
// server does not show. Authorities that the public trusts sign through others,
// whose certificates come along.
func isUnvouched(b []byte) bool {
	const handshake, certificate = 22, 11
	for len(b) > 5 && b[0] == handshake && b[1] == 3 {
		b = b[5:] // record
		for len(b) > 10 && !(b[0] == handshake && b[1] == 3) {
			if b[0] == certificate {
				return uint24(b[4:]) == uint24(b[7:])+3 // all of them, the first of them
			}
			length := uint24(b[1:])
			if length+4 > len(b) {
				return false
			}
			b = b[4+length:]
		}
	}
	return false
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }
