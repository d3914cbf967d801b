package web

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Result ends the capture, whose last frame was at the time end (nanoseconds
// since 1970-01-01 UTC), and returns what it told. The Collector cannot be used
// any further.
func (c *Collector) Result(end int64) *Result {
	c.end = max(c.end, end)
	forgotten := c.forgotten
	c.visitors.Purge() // counts those who are left, by fold
	out := &Result{
		Requests: c.totals.requests, Failed: c.totals.failed, Bytes: c.totals.bytes,
		Versions: c.totals.versions, Took: c.totals.took.delay(), Forgotten: forgotten,
		Funnel: c.funnel.result(c.cfg.Lost), Lookups: c.totals.lookups.result(),
		Resources: []Resource{}, Slow: []Resource{}, Errors: []Resource{}, Hosts: []Host{},
	}
	if out.Funnel != nil {
		out.Abandonment = c.abandonment()
	}
	out.Abandonment.Frames = sorted(out.Abandonment.Frames)
	resources := c.resources.Values()
	slices.SortStableFunc(resources, func(a, b *resource) int {
		return cmp.Or(cmp.Compare(b.took.sum, a.took.sum), strings.Compare(a.url, b.url), strings.Compare(a.method, b.method))
	})
	for _, r := range resources {
		row := r.result()
		row.Internal = !slices.ContainsFunc(r.clients, func(a netip.Addr) bool { return !c.internal(a) })
		if len(out.Resources) < maxListed {
			out.Resources = append(out.Resources, row)
		}
		if isSlow(r.slow, r.took.n, row.Took, &c.cfg) && len(out.Slow) < maxListed {
			out.Slow = append(out.Slow, row)
		}
		if r.failures() > 0 && len(out.Errors) < maxListed {
			row.Frames = sorted(r.failed.frames)
			out.Errors = append(out.Errors, row)
		}
	}
	slices.SortStableFunc(out.Errors, func(a, b Resource) int { return cmp.Compare(b.failures(), a.failures()) })
	c.hostResults(out)
	out.Advice = c.advice(resources)
	return out
}

// hostResults adds the servers, and those that are slow without saying at what.
func (c *Collector) hostResults(out *Result) {
	hosts := c.hosts.Values()
	slices.SortStableFunc(hosts, func(a, b *host) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), strings.Compare(a.Name, b.Name))
	})
	for _, h := range hosts {
		if len(out.Hosts) < maxListed {
			out.Hosts = append(out.Hosts, h.result())
		}
		wait := h.wait.delay()
		if h.Turns < 5 || !isSlow(h.slow, h.wait.n, wait, &c.cfg) || len(out.Slow) >= maxListed {
			continue
		}
		out.Slow = append(out.Slow, Resource{
			URL: "https://" + h.Name, Kind: "encrypted", Count: h.Turns, Slow: h.slow, Took: wait, Wait: wait,
			Bytes: h.Bytes, MeanBytes: h.Bytes / int64(h.Turns), Frames: sorted(h.slowest.frames), Filter: h.filter(),
		})
	}
}

// isSlow tells whether an address is slow: half of its answers are, or one in
// twenty and not just a single one.
func isSlow(slow, count uint64, took Delay, cfg *Config) bool {
	limit := ms(cfg.Slow.Nanoseconds())
	return took.Median >= limit || slow >= 2 && slow*20 >= count
}

func (r *resource) failures() uint64 { return r.clientErrors + r.serverErrors + r.unanswered }
func (r Resource) failures() uint64  { return r.ClientErrors + r.ServerErrors + r.Unanswered }

// result returns what is known of an address.
func (r *resource) result() Resource {
	out := Resource{
		Method: r.method, URL: r.url, Kind: r.kind, Count: r.count, Slow: r.slow,
		Took: r.took.delay(), Wait: r.wait.delay(), Bytes: r.bytes, MeanBytes: r.bytes / int64(max(r.count, 1)),
		Type: r.contentType, Cache: cmp.Or(r.cache, "none"), Encoding: cmp.Or(r.encoding, "none"),
		ClientErrors: r.clientErrors, ServerErrors: r.serverErrors, Unanswered: r.unanswered,
		Frames: sorted(r.slowest.frames), Filter: r.filter(),
	}
	return out
}

// filter returns a display filter for requests of an address, over HTTP/1 and
// HTTP/2: by its path, up to what differs.
func (r *resource) filter() string {
	_, target, ok := strings.Cut(r.url, "://")
	if !ok {
		target = r.url
	}
	if i := strings.IndexByte(target, '/'); i >= 0 {
		target = target[i:]
	}
	target, _, _ = strings.Cut(target, "{")
	text := quoted(target)
	return fmt.Sprintf("http.request.uri contains %[1]s or http2.headers.path contains %[1]s", text)
}

// quoted writes a string as display filters want it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func (s *lookups) result() Lookups {
	return Lookups{Count: s.count, Failed: s.failed, Unanswered: s.unanswered, Took: s.took.delay(), Frames: sorted(s.evidence.frames)}
}
