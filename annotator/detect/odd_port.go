package detect

import (
	"bytes"
	"fmt"

	"ampulla/annotator/flow"
	"ampulla/annotator/verdict"
)

// oddPort finds encrypted sessions on ports that are not made for them, as
// malware prefers and its operators' tools offer by default. Many a program
// has its own port as well, so that alone is suspicious and no more.
type oddPort struct {
	cfg      OddPort
	sessions *table[service, session]
}

// session is what is known of the encrypted sessions with a service.
type session struct {
	selfSigned bool
	reason     string
}

func newOddPort(cfg OddPort) *oddPort {
	return &oddPort{cfg: cfg, sessions: newTable[service, session](cfg.Services)}
}

func (d *oddPort) Name() string { return "odd_port" }

func (d *oddPort) Observe(o *flow.Observation) Finding {
	if !d.cfg.odd(o) {
		return Finding{}
	}
	s := d.sessions.take(serviceOf(o))
	if !o.FromClient && !s.selfSigned && isSelfSigned(o.Packet.Payload) {
		*s = session{selfSigned: true}
	}
	server, port := o.Server()
	score := d.cfg.Score
	if s.selfSigned && !internal(server) {
		score = d.cfg.SelfSigned
	}
	if s.reason == "" {
		s.reason = fmt.Sprintf("an encrypted session (%s) with %s on port %d, which is not made for it", classOf(o), server, port)
		if s.selfSigned {
			s.reason += ", and nobody but the server itself vouches for its certificate"
		}
	}
	return Finding{score, verdict.Outlier, s.reason}
}

// odd tells that a packet belongs to an encrypted session on a port that is not
// made for it.
func (c *OddPort) odd(o *flow.Observation) bool {
	if !o.Packet.HasPorts() || o.Memo == nil || float64(o.Memo.Confidence) < c.Confidence {
		return false
	}
	// The direction of what was captured half way is a guess.
	_, from := o.Client()
	_, to := o.Server()
	switch classOf(o) {
	case "tls":
		return !isTLSPort(to) && !isTLSPort(from)
	case "ssh":
		return !isSSHPort(to) && !isSSHPort(from)
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

// isSelfSigned tells that a payload holds the beginning of a TLS server's
// certificate (RFC 5246 section 7.4.2) whose issuer is its subject (RFC 5280
// section 4.1.2).
func isSelfSigned(b []byte) bool {
	const handshake, certificate = 22, 11
	for len(b) > 9 && b[0] == handshake && b[1] == 3 {
		record := b[5:]
		for len(record) > 10 {
			length := int(record[1])<<16 | int(record[2])<<8 | int(record[3])
			if record[0] == certificate {
				return sameNames(record[10:]) // two lengths first
			}
			if length+4 > len(record) {
				return false
			}
			record = record[4+length:]
			if len(record) > 1 && record[0] == handshake && record[1] == 3 {
				break // the next record
			}
		}
		b = record
	}
	return false
}

// sameNames tells that issuer and subject of a certificate are the same.
func sameNames(der []byte) bool {
	body, _ := element(der) // Certificate
	body, _ = element(body) // TBSCertificate
	if len(body) > 0 && body[0] == 0xa0 {
		_, body = element(body) // version
	}
	_, body = element(body) // serial number
	_, body = element(body) // signature algorithm
	issuer, body := element(body)
	_, body = element(body) // validity
	subject, _ := element(body)
	return len(issuer) > 0 && bytes.Equal(issuer, subject)
}

// element splits DER (X.690 section 8.1) into the content of its first element,
// as far as it is there, and what follows.
func element(der []byte) (content, rest []byte) {
	if len(der) < 2 {
		return nil, nil
	}
	length, header := int(der[1]), 2
	if length >= 0x80 {
		n := length & 0x7f
		if n > 3 || len(der) < 2+n {
			return nil, nil
		}
		length, header = 0, 2+n
		for _, c := range der[2 : 2+n] {
			length = length<<8 | int(c)
		}
	}
	end := min(header+length, len(der))
	return der[header:end], der[end:]
}
