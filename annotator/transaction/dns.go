package transaction

import (
	"net/netip"
	"strings"
)

// maxAddresses is how many addresses are kept of an answer.
const maxAddresses = 16

// question finds the answer to a question to a name server.
type question struct {
	client, server netip.AddrPort
	id             uint16
	name           string
}

// dns takes in a message of DNS (RFC 1035).
func (t *Tracker) dns(r *row) {
	src, dst := endpoint(r.src, r.srcPort), endpoint(r.dst, r.dstPort)
	name := strings.ToLower(clip(r.first(colDNSName), 255))
	id := uint16(number(r.first(colDNSID)))
	if flag := r.first(colDNSResponse); flag == "0" || flag == "False" {
		q := question{src, dst, id, strings.Clone(name)}
		if _, again := t.lookups.Get(q); again || id == 0 {
			return // repeated; or multicast, where nobody is asked
		}
		t.lookups.Add(q, &Lookup{
			Client: src, Server: dst, Name: q.name, Type: uint16(number(r.first(colDNSType))),
			Start: r.time, Frame: r.frame,
		})
		return
	}
	q := question{dst, src, id, name}
	l, ok := t.lookups.Peek(q)
	if !ok {
		return
	}
	l.Answered, l.Took, l.AnswerFrame = true, max(1, r.time-l.Start), r.frame
	l.Code = uint16(number(r.first(colDNSCode)))
	for _, column := range []int{colDNSA, colDNSAAAA} {
		for _, text := range r.values(column) {
			if a, err := netip.ParseAddr(text); err == nil && len(l.Addresses) < maxAddresses {
				l.Addresses = append(l.Addresses, a)
			}
		}
	}
	t.lookups.Remove(q) // calls unanswered, which passes it on
}

// unanswered passes a look-up on that has left the table.
func (t *Tracker) unanswered(l *Lookup) {
	if !l.Answered {
		l.Took = max(1, t.now-l.Start)
	}
	if t.cfg.OnLookup != nil {
		t.cfg.OnLookup(l)
	}
}
