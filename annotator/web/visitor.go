package web

import (
	"hash/maphash"
	"net/netip"
	"strings"

	"ampulla/annotator/transaction"
)

// Bounds of what is remembered of one visitor.
const (
	maxTroubles = 8
	maxLoaded   = 64
)

// pause is the time between two calls from which they are no longer made in a
// row, in nanoseconds.
const pause = 2_000_000_000

// clientKey tells visitors apart as long as they have no cookie: by address,
// browser, and what a proxy says of whom it asks for.
type clientKey struct {
	client netip.Addr
	agent  string
}

// visitor is one person at a shop, or one browser anywhere.
type visitor struct {
	client   netip.Addr
	first    int64
	last     int64
	furthest int // stage; -1 for none
	host     string
	stages   [numStages]stop
	troubles []*failure // the last ones

	loaded map[uint64]bool // what was loaded already, by hash of the URL
	run    run
	hosts  map[string]*reach
}

// stop is when a visitor came to a stage, and the frame that shows it.
type stop struct {
	at    int64
	frame uint64
}

// run is a number of calls of the same kind without a page between them.
type run struct {
	resource *resource
	calls    int
	time     int64
	last     int64
	frame    uint64
	counted  bool
}

// reach is how a visitor reached a host.
type reach struct{ connections, requests, full, resumed, asked int }

var seed = maphash.MakeSeed()

// visit counts an exchange to its visitor; f is how it failed, if it did.
func (c *Collector) visit(x *transaction.Exchange, r *resource, f *failure) {
	v := c.visitorOf(x)
	v.last = max(v.last, x.End, x.Start)
	v.first = min(v.first, x.Start)
	c.owners.Add(x.Connection, v)
	v.load(x, r)
	v.call(x, r, c.cfg.Calls)
	if h := v.reach(x.Host); h != nil {
		h.requests++
	}
	stage := c.stageOf(x, r)
	if stage >= 0 {
		if s := &v.stages[stage]; s.at == 0 || x.Start < s.at {
			s.at, s.frame = x.Start, x.RequestFrame
		}
		v.furthest = max(v.furthest, stage)
		v.host = x.Host
	}
	if f == nil {
		return
	}
	if v.host != "" && x.Host != v.host && (f.cause == CauseSlow || f.cause == CauseTimeout && x.Status == 0) {
		f.cause = CauseThirdParty
	}
	v.trouble(f)
}

// visitorOf finds the visitor by a cookie, or else by address and browser.
func (c *Collector) visitorOf(x *transaction.Exchange) *visitor {
	client := clientKey{x.Client.Addr(), x.Request.Get("user-agent") + " " + x.Request.Get("x-forwarded-for")}
	id := c.cookieOf(x.Request, "cookie")
	if id == "" {
		id = c.cookieOf(x.Response, "set-cookie")
	}
	if id == "" {
		if v, ok := c.clients.Get(client); ok {
			return v
		}
		id = client.client.String() + " " + client.agent
	}
	v, ok := c.visitors.Get(id)
	if !ok {
		v = &visitor{client: client.client, first: x.Start, furthest: -1}
		c.visitors.Add(strings.Clone(id), v)
	}
	c.clients.Add(client, v)
	return v
}

// cookieOf returns the first cookie that tells visitors apart, as name=value.
func (c *Collector) cookieOf(h transaction.Headers, header string) string {
	for _, line := range h {
		if line.Name != header {
			continue
		}
		for pair := range strings.SplitSeq(line.Value, ";") {
			pair = strings.TrimSpace(pair)
			name, value, _ := strings.Cut(pair, "=")
			if value == "" {
				continue
			}
			for _, re := range c.patterns.cookies {
				if re.MatchString(name) {
					return pair
				}
			}
			if header == "set-cookie" {
				break // the rest are attributes
			}
		}
	}
	return ""
}

// stageOf returns the stage that a request belongs to, -1 for none. The last
// one that matches counts, since addresses are often within each other.
func (c *Collector) stageOf(x *transaction.Exchange, r *resource) int {
	if isStatic(r.kind) {
		return -1
	}
	target := strings.ToLower(x.Path)
	for i := len(c.patterns.stages) - 1; i >= 0; i-- {
		for _, re := range c.patterns.stages[i] {
			if re.MatchString(target) {
				return i
			}
		}
	}
	return -1
}

func (v *visitor) trouble(f *failure) {
	if len(v.troubles) == maxTroubles {
		v.troubles = append(v.troubles[:0], v.troubles[1:]...)
	}
	v.troubles = append(v.troubles, f)
}

// load notes what the visitor loads again.
func (v *visitor) load(x *transaction.Exchange, r *resource) {
	if x.Method != "GET" || x.Status != 200 || !isStatic(r.kind) {
		return
	}
	id := maphash.String(seed, x.URL())
	switch {
	case v.loaded[id]:
		r.repeats++
		r.repeatTime += x.Took()
		r.repeatSize += x.ResponseBytes
		r.again.add(x.ResponseBytes, x.RequestFrame)
	case len(v.loaded) < maxLoaded:
		if v.loaded == nil {
			v.loaded = map[uint64]bool{}
		}
		v.loaded[id] = true
	}
}

// call notes calls that follow each other and could be one.
func (v *visitor) call(x *transaction.Exchange, r *resource, least int) {
	switch {
	case r.kind == "document":
		v.run = run{}
		return
	case r.kind != "api" || x.Method != "GET":
		return
	}
	n := &v.run
	if n.resource != r || x.Start-n.last > pause {
		*n = run{resource: r, frame: x.RequestFrame}
	}
	n.calls++
	n.time += x.Took()
	n.last = x.End
	if n.calls < least {
		return
	}
	if !n.counted {
		n.counted = true
		r.runs++
		r.runCalls += uint64(n.calls)
		r.runTime += n.time - n.time/int64(n.calls)
		r.runFrames.add(n.time, n.frame)
		return
	}
	r.runCalls++
	r.runTime += x.Took()
}

// connection counts a connection that a request of the visitor came by.
func (v *visitor) connection(n *transaction.Connection) {
	h := v.reach(n.Host)
	if h == nil {
		return
	}
	h.connections++
	if n.Full {
		h.full++
	}
	if n.Resumed {
		h.resumed++
	}
	if n.Asked {
		h.asked++
	}
}

// reach returns how the visitor reached a host; nil beyond the bound.
func (v *visitor) reach(host string) *reach {
	if h, ok := v.hosts[host]; ok {
		return h
	}
	if len(v.hosts) == maxTroubles {
		return nil
	}
	if v.hosts == nil {
		v.hosts = map[string]*reach{}
	}
	h := &reach{}
	v.hosts[host] = h
	return h
}
