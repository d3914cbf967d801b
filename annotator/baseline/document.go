package baseline

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ampulla/annotator/detect"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// document is a Baseline in JSON. Lists are in order of what their rows are
// about.
type document struct {
	Models   string `json:"models"`
	Anomaly  string `json:"anomaly"`
	Features string `json:"features"`

	Captures uint64     `json:"captures"`
	Frames   uint64     `json:"frames"`
	Omitted  uint64     `json:"omitted"`
	First    int64      `json:"first"`
	Last     int64      `json:"last"`
	Observed [24]uint64 `json:"observed_ms"`

	Hosts     table[hostRow]     `json:"hosts"`
	Classes   table[classRow]    `json:"classes"`
	Services  table[serviceRow]  `json:"services"`
	Relations table[relationRow] `json:"relations"`
}

// table is a sketch.
type table[R any] struct {
	Bound uint64 `json:"bound"` // what ranks from there on was dropped; 0 if nothing was
	Rows  []R    `json:"rows"`
}

type hostRow struct {
	Address string `json:"address"`
	// Client and Server are pairs of a step of the score and a count.
	Client [][2]uint64 `json:"client,omitempty"`
	Server [][2]uint64 `json:"server,omitempty"`
	// Sent and Received are, for an hour of the day: hour, seconds, packets,
	// squares, most.
	Sent     [][5]uint64 `json:"sent,omitempty"`
	Received [][5]uint64 `json:"received,omitempty"`
}

type classRow struct {
	Class   string `json:"class"`
	Packets uint64 `json:"packets"`
}

type serviceRow struct {
	Address       string `json:"address"`
	Service       string `json:"service"`
	Conversations uint64 `json:"conversations"`
}

type relationRow struct {
	Detector string `json:"detector"`
	Type     string `json:"type"`
	Actor    string `json:"actor,omitempty"`
	Target   string `json:"target,omitempty"`
	Service  string `json:"service,omitempty"`
	Packets  uint64 `json:"packets"`
	Episodes uint64 `json:"episodes"`
	Most     uint64 `json:"most"`
}

// document returns b in the form in which it is saved.
func (b *Baseline) document() *document {
	t := &b.totals
	return &document{
		Models: b.identity.Models, Anomaly: b.identity.Anomaly, Features: b.identity.Features,
		Captures: t.Captures, Frames: t.Frames, Omitted: t.Omitted, First: t.First, Last: t.Last, Observed: t.Observed,
		Hosts: rowsOf(&b.hosts, func(k host, v *Host) hostRow {
			return hostRow{k.id(), v.Scores[client].pairs(), v.Scores[server].pairs(), v.Sent.rows(), v.Received.rows()}
		}),
		Classes: rowsOf(&b.classes, func(k class, n *uint64) classRow { return classRow{string(k), *n} }),
		Services: rowsOf(&b.services, func(k Endpoint, n *uint64) serviceRow {
			return serviceRow{k.Addr.String(), k.Service.String(), *n}
		}),
		Relations: rowsOf(&b.relations, func(k Relation, e *Evidence) relationRow {
			return relationRow{k.Detector, string(k.Type), k.Actor.String(), k.Target.String(), k.Service.String(),
				e.Packets, e.Episodes, e.Most}
		}),
	}
}

func rowsOf[K key, V, R any](s *sketch[K, V], rowOf func(K, *V) R) table[R] {
	t := table[R]{Bound: uint64(s.bound), Rows: []R{}}
	names := map[string]K{}
	for k := range s.rows {
		names[k.id()] = k
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		t.Rows = append(t.Rows, rowOf(names[name], s.get(names[name])))
	}
	return t
}

func (h *Histogram) pairs() (out [][2]uint64) {
	for i, n := range h {
		if n > 0 {
			out = append(out, [2]uint64{uint64(i), n})
		}
	}
	return out
}

func (r Rates) rows() (out [][5]uint64) {
	for _, h := range r {
		out = append(out, [5]uint64{uint64(h.Hour), h.Seconds, h.Packets, h.Squares, h.Most})
	}
	return out
}

// baseline checks a document and returns what it says.
func (d *document) baseline() (*Baseline, error) {
	switch {
	case d.Models == "" || len(d.Models) > 100 || len(d.Features) > 100:
		return nil, errors.New("no models, or names of more than 100 bytes")
	case !isHash(d.Anomaly):
		return nil, fmt.Errorf("anomaly: %.80q is not a hash", d.Anomaly)
	case d.First > d.Last:
		return nil, fmt.Errorf("first packet at %d, last at %d", d.First, d.Last)
	case d.Omitted > d.Frames:
		return nil, fmt.Errorf("%d frames, of which %d were left out", d.Frames, d.Omitted)
	}
	b := New(Identity{d.Models, d.Anomaly, d.Features})
	b.totals = Totals{Captures: d.Captures, Frames: d.Frames, Omitted: d.Omitted, First: d.First, Last: d.Last, Observed: d.Observed}
	err := cmp.Or(
		fill("hosts", &b.hosts, &d.Hosts, func(r *hostRow) (host, Host, error) { return r.parse() }),
		fill("classes", &b.classes, &d.Classes, func(r *classRow) (class, uint64, error) { return r.parse() }),
		fill("services", &b.services, &d.Services, func(r *serviceRow) (Endpoint, uint64, error) { return r.parse() }),
		fill("relations", &b.relations, &d.Relations, func(r *relationRow) (Relation, Evidence, error) { return r.parse() }),
	)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// isHash tells lower-case hexadecimal bytes.
func isHash(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) <= 64 && hex.EncodeToString(raw) == s
}

// fill puts the rows of a table into a sketch.
func fill[K key, V, R any](name string, s *sketch[K, V], t *table[R], parse func(*R) (K, V, error)) error {
	if len(t.Rows) > s.limit {
		return fmt.Errorf("%s: %d rows, more than %d", name, len(t.Rows), s.limit)
	}
	last := ""
	for i := range t.Rows {
		k, v, err := parse(&t.Rows[i])
		if err != nil {
			return fmt.Errorf("%s, row %d: %w", name, i+1, err)
		}
		rank, id := rankOf(k), k.id()
		switch {
		case i > 0 && id <= last:
			return fmt.Errorf("%s, row %d: %q is not behind %q", name, i+1, id, last)
		case t.Bound != 0 && uint64(rank) >= t.Bound:
			return fmt.Errorf("%s, row %d: %q should have been dropped", name, i+1, id)
		}
		last = id
		s.rows[k] = &row[V]{rank, v}
	}
	s.bound = rank(t.Bound)
	return nil
}

func (r *hostRow) parse() (k host, h Host, err error) {
	addr, err := parseAddr(r.Address)
	if err != nil {
		return k, h, err
	}
	err = cmp.Or(
		within("client", h.Scores[client].parse(r.Client)), within("server", h.Scores[server].parse(r.Server)),
		within("sent", h.Sent.parse(r.Sent)), within("received", h.Received.parse(r.Received)))
	return host(addr), h, err
}

func within(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (h *Histogram) parse(pairs [][2]uint64) error {
	for i, p := range pairs {
		if p[0] >= scoreBins || p[1] == 0 || i > 0 && p[0] <= pairs[i-1][0] {
			return fmt.Errorf("step %d, %d packets", p[0], p[1])
		}
		h[p[0]] = p[1]
	}
	return nil
}

func (r *Rates) parse(rows [][5]uint64) error {
	for i, v := range rows {
		hour, rate := v[0], Rate{Seconds: v[1], Packets: v[2], Squares: v[3], Most: v[4]}
		if hour > 23 || i > 0 && hour <= rows[i-1][0] {
			return fmt.Errorf("hour %d", hour)
		}
		// Every second had a packet.
		if rate.Seconds == 0 || rate.Packets < rate.Seconds || rate.Squares < rate.Packets || rate.Most == 0 || rate.Most > rate.Packets {
			return fmt.Errorf("hour %d: %d packets in %d seconds, sum of squares %d, at most %d", hour, rate.Packets, rate.Seconds, rate.Squares, rate.Most)
		}
		*r = append(*r, HourRate{uint8(hour), rate})
	}
	return nil
}

func (r *classRow) parse() (class, uint64, error) {
	if r.Class == "" || len(r.Class) > 100 || r.Packets == 0 {
		return "", 0, fmt.Errorf("class %.100q with %d packets", r.Class, r.Packets)
	}
	return class(r.Class), r.Packets, nil
}

func (r *serviceRow) parse() (k Endpoint, n uint64, err error) {
	if k.Addr, err = parseAddr(r.Address); err != nil {
		return k, 0, err
	}
	if k.Service, err = parseService(r.Service); err != nil {
		return k, 0, err
	}
	if r.Conversations == 0 {
		return k, 0, errors.New("no conversations")
	}
	return k, r.Conversations, nil
}

func (r *relationRow) parse() (k Relation, e Evidence, err error) {
	k.Detector, k.Type = r.Detector, verdict.Type(r.Type)
	switch {
	case r.Detector == "" || len(r.Detector) > 40 || strings.ContainsAny(r.Detector, " \n"):
		return k, e, fmt.Errorf("detector %.40q", r.Detector)
	case !slices.Contains(verdict.Types, k.Type):
		return k, e, fmt.Errorf("type %.40q", r.Type)
	}
	if k.Actor, err = parseParty(r.Actor); err != nil {
		return k, e, fmt.Errorf("actor: %w", err)
	}
	if k.Target, err = parseParty(r.Target); err != nil {
		return k, e, fmt.Errorf("target: %w", err)
	}
	if r.Service != "" {
		if k.Service, err = parseService(r.Service); err != nil {
			return k, e, err
		}
	}
	e = Evidence{r.Packets, r.Episodes, r.Most}
	if e.Episodes == 0 || e.Packets < e.Episodes || e.Most == 0 || e.Most > mostEvidence {
		return k, e, fmt.Errorf("%d packets, %d episodes, at most %d thousandths", e.Packets, e.Episodes, e.Most)
	}
	return k, e, nil
}

// parseAddr reads an address in the only form in which it is written.
func parseAddr(text string) (packet.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || packet.Addr(addr.As16()).String() != text {
		return packet.Addr{}, fmt.Errorf("%.60q is not an address", text)
	}
	return addr.As16(), nil
}

// parseParty reads the address of a host or of a network card; nobody if empty.
func parseParty(text string) (p detect.Party, err error) {
	if text == "" {
		return p, nil
	}
	if mac, err := hex.DecodeString(strings.ReplaceAll(text, ":", "")); err == nil && len(mac) == len(p.MAC) {
		if p.MAC = packet.MAC(mac); p.String() == text {
			return p, nil
		}
		p.MAC = packet.MAC{} // an IPv6 address of as many digits, or nobody's
	}
	if p.Addr, err = parseAddr(text); err != nil {
		return p, err
	}
	if p.String() != text {
		return p, fmt.Errorf("%.60q is nobody's address", text)
	}
	return p, nil
}

// parseService reads a service as in "tcp/22".
func parseService(text string) (detect.Service, error) {
	_, number, _ := strings.Cut(text, "/")
	for _, proto := range [...]uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoSCTP} {
		port, err := strconv.ParseUint(number, 10, 16)
		s := detect.Service{Proto: proto, Port: uint16(port)}
		if err == nil && s.String() == text {
			return s, nil
		}
	}
	return detect.Service{}, fmt.Errorf("%.40q is not a service such as tcp/22", text)
}
