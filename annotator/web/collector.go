// Package web makes sense of what people did on the web: which addresses are
// slow or fail, how far visitors of a shop come, where they leave and what went
// wrong for them there, and what would help. It takes in what package
// transaction finds in a capture; memory is bounded by [Config].
package web

import (
	"net/netip"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"ampulla/annotator/transaction"
)

// Bounds that nobody needs to configure.
const (
	maxServers = 4096 // addresses that answer requests
	maxHosts   = 1024
	maxListed  = 100 // rows of each table of the result
)

// Collector takes in exchanges, connections and look-ups of one capture, in the
// order in which they end. It is not safe for concurrent use.
type Collector struct {
	cfg      Config
	patterns *patterns

	resources *simplelru.LRU[key, *resource]
	hosts     *simplelru.LRU[string, *host]
	visitors  *simplelru.LRU[string, *visitor]
	clients   *simplelru.LRU[clientKey, *visitor] // the last visitor there
	owners    *simplelru.LRU[uint32, *visitor]    // of connections
	names     *simplelru.LRU[nameKey, *name]
	servers   map[netip.Addr]bool
	called    *simplelru.LRU[netip.Addr, string] // how clients call an address
	agents    agents
	failures  *failures

	funnel    funnel
	totals    totals
	forgotten uint64
	end       int64 // time of the last thing seen
}

// totals are sums over everything.
type totals struct {
	requests, failed uint64
	bytes            int64
	took             delays
	versions         map[string]uint64
	lookups          lookups
}

// New returns a Collector, or an error if cfg is wrong.
func New(cfg Config) (*Collector, error) {
	p, bad := cfg.compile()
	if bad != nil {
		return nil, bad
	}
	c := &Collector{cfg: cfg, patterns: p, servers: map[netip.Addr]bool{}}
	c.called, _ = simplelru.NewLRU[netip.Addr, string](maxServers, nil)
	c.failures = newFailures(cfg.Failures)
	c.agents.clients = map[netip.Addr]*agent{}
	c.totals.versions = map[string]uint64{}
	c.funnel.init()
	c.resources, _ = simplelru.NewLRU(cfg.Resources, func(key, *resource) { c.forgotten++ })
	c.hosts, _ = simplelru.NewLRU(maxHosts, func(string, *host) { c.forgotten++ })
	c.visitors, _ = simplelru.NewLRU(cfg.Visitors, func(_ string, v *visitor) { c.forgotten++; c.fold(v) })
	c.clients, _ = simplelru.NewLRU[clientKey, *visitor](cfg.Visitors, nil)
	c.owners, _ = simplelru.NewLRU[uint32, *visitor](cfg.Visitors, nil)
	c.names, _ = simplelru.NewLRU[nameKey, *name](cfg.Visitors, nil)
	return c, nil
}

// Exchange takes a request and its answer in.
func (c *Collector) Exchange(x *transaction.Exchange) {
	c.end = max(c.end, x.End, x.Start)
	c.count(x)
	if len(c.servers) < maxServers {
		c.servers[x.Server.Addr()] = true
	}
	k := keyOf(x)
	r, ok := c.resources.Get(k)
	if !ok {
		r = &resource{key: k, kind: kindOfPath(x.Path)}
		c.resources.Add(k, r)
	}
	c.agents.add(x)
	r.add(x, &c.cfg)
	f := c.failureOf(x)
	if f != nil {
		c.failures.add(f)
	}
	c.visit(x, r, f)
}

// internal tells whether a client is a server itself, and no visitor. Where all
// servers have one address, visitors may be at the same machine.
func (c *Collector) internal(client netip.Addr) bool {
	return c.servers[client] && len(c.servers) > 1 || c.agents.at(client)
}

func (c *Collector) count(x *transaction.Exchange) {
	t := &c.totals
	t.requests++
	t.versions[x.Version]++
	t.bytes += x.ResponseBytes
	if !x.Known() {
		return
	}
	t.took.add(x.Took())
	if x.Status == 0 && missed(x, &c.cfg) || x.Status >= 400 {
		t.failed++
	}
}

// Connection takes a connection in.
func (c *Collector) Connection(n *transaction.Connection) {
	c.end = max(c.end, n.End)
	f := failureOfConnection(n)
	if f != nil {
		c.failures.add(f)
		c.failures.ofClient(f)
	}
	if !n.TLS && n.Exchanges == 0 && !(f != nil && webPort(n.Server.Port())) {
		return // nothing of the web's
	}
	name := n.Host
	if name == "" {
		name = n.Server.String()
	}
	if _, err := netip.ParseAddrPort(name); err != nil && n.Host != "" {
		c.called.Add(n.Server.Addr(), n.Host)
	}
	h, ok := c.hosts.Get(name)
	if !ok {
		h = newHost(name)
		c.hosts.Add(name, h)
	}
	h.add(n, &c.cfg)
	if v, ok := c.owners.Peek(n.Number); ok {
		v.connection(n)
	}
}

func webPort(port uint16) bool {
	switch port {
	case 80, 443, 8000, 8080, 8443:
		return true
	}
	return false
}

// Lookup takes a question to a name server in.
func (c *Collector) Lookup(l *transaction.Lookup) {
	c.end = max(c.end, l.Start+l.Took)
	c.totals.lookups.add(l)
	c.look(l)
	for _, a := range l.Addresses {
		if !c.called.Contains(a) {
			c.called.Add(a, l.Name)
		}
	}
}

// Name returns how clients call an address; empty if that is not known.
func (c *Collector) Name(a netip.Addr) string {
	name, _ := c.called.Peek(a)
	return name
}
