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
	sessions *table[service, string] // the reason, once it was needed
}

func newOddPort(cfg OddPort) *oddPort {
	return &oddPort{cfg: cfg, sessions: newTable[service, string](cfg.Services)}
}

func (d *oddPort) Name() string { return "odd_port" }

func (d *oddPort) Observe(o *flow.Observation) Finding {
	if !o.Packet.HasPorts() || o.Memo == nil || float64(o.Memo.Confidence) < d.cfg.Confidence {
		return Finding{}
	}
	// The direction of what was captured half way is a guess.
	_, from := o.Client()
	_, to := o.Server()
	switch class := classOf(o); {
	case class == "tls" && !isTLSPort(to) && !isTLSPort(from), class == "ssh" && !isSSHPort(to) && !isSSHPort(from):
		return Finding{d.cfg.Score, verdict.Outlier, d.reason(class, serviceOf(o))}
	}
	return Finding{}
}

func (d *oddPort) reason(class string, key service) string {
	r := d.sessions.take(key)
	if *r == "" {
		*r = fmt.Sprintf("an encrypted session (%s) with %s on port %d, which is not made for it", class, key.server, key.port)
	}
	return *r
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
