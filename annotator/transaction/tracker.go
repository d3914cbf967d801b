package transaction

import (
	"net/netip"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"ampulla/annotator/packet"
)

// Config bounds a [Tracker] and says who gets what it finds. Start from
// [Default]. What is found is valid for as long as one likes.
type Config struct {
	// Connections is how many TCP connections are followed at the same time;
	// beyond it the one idle for longest counts as ended.
	Connections int
	// Pending is how many requests of one connection may wait for their answer;
	// beyond it further ones are not followed.
	Pending int
	// Lookups is how many questions to name servers may wait for their answer.
	Lookups int
	// Headers is how many lines of a header are kept, HeaderBytes how much of
	// a name, a value or a path.
	Headers     int
	HeaderBytes int

	OnExchange   func(*Exchange)
	OnConnection func(*Connection)
	OnLookup     func(*Lookup)
}

// Default returns bounds that suit a site under load: some 100 MB at worst.
func Default() Config {
	return Config{
		Connections: 16384,
		Pending:     256,
		Lookups:     4096,
		Headers:     64,
		HeaderBytes: 2048,
	}
}

// Tracker follows connections through the rows that tshark prints. It is not
// safe for concurrent use.
type Tracker struct {
	cfg         Config
	connections *simplelru.LRU[uint32, *connection]
	lookups     *simplelru.LRU[question, *Lookup]
	now         int64 // of the last row
	frame       uint64
}

// newTracker returns a Tracker; cfg's bounds must be positive.
func newTracker(cfg Config) *Tracker {
	t := &Tracker{cfg: cfg}
	t.connections, _ = simplelru.NewLRU(cfg.Connections, func(_ uint32, c *connection) { t.end(c) })
	t.lookups, _ = simplelru.NewLRU(cfg.Lookups, func(_ question, l *Lookup) { t.unanswered(l) })
	return t
}

// row takes the next frame in.
func (t *Tracker) row(r *row) {
	t.now, t.frame = r.time, r.frame
	if r.has(colDNSID) {
		t.dns(r)
	}
	if r.proto == packet.ProtoTCP && r.has(colStream) {
		t.tcp(r)
	}
}

// finish ends everything that is still open.
func (t *Tracker) finish() {
	t.connections.Purge()
	t.lookups.Purge()
}

func (t *Tracker) exchange(x *Exchange) {
	if t.cfg.OnExchange != nil {
		t.cfg.OnExchange(x)
	}
}

func endpoint(a packet.Addr, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Netip(), port)
}
