package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sizes that estimates assume, and say so.
const (
	imageGoal    = 0.35 // of a heavy PNG or JPEG, as WebP or AVIF of the size that is shown
	textGoal     = 0.30 // of text, compressed
	maxWhere     = 6
	leastSaving  = 20_000     // bytes
	leastWaiting = 50_000_000 // nanoseconds
)

// advice returns what would help, biggest saving first. Each kind is given only
// where the capture shows the reason for it.
func (c *Collector) advice(resources []*resource) []Advice {
	all := []Advice{}
	for _, try := range []func([]*resource) (Advice, bool){
		c.imageAdvice, c.compressionAdvice, c.cacheAdvice, c.headerAdvice, c.mergeAdvice,
		c.http2Advice, c.reuseAdvice, c.resumptionAdvice, c.nameAdvice,
	} {
		if a, ok := try(resources); ok {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b Advice) int {
		return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(b.Bytes, a.Bytes))
	})
	return all
}

func (a *Advice) where(r *resource) {
	if len(a.Where) < maxWhere {
		a.Where = append(a.Where, r.url)
	}
	a.filter(r.filter())
}

// filter adds an alternative to the display filter, up to a readable length.
func (a *Advice) filter(f string) {
	switch {
	case a.Filter == "":
		a.Filter = f
	case len(a.Filter) < 300 && f != "":
		a.Filter += " or " + f
	}
}

func (c *Collector) imageAdvice(resources []*resource) (Advice, bool) {
	a := Advice{ID: "images", Title: "Make pictures smaller, and send them as WebP or AVIF"}
	var count uint64
	var size int64
	for _, r := range resources {
		if r.heavy == 0 || strings.Contains(r.contentType, "webp") || strings.Contains(r.contentType, "avif") {
			continue
		}
		count += r.heavy
		size += r.heavyBytes
		a.Millis += ms(int64(float64(r.heavyTime) * (1 - imageGoal)))
		a.where(r)
		a.Frames = append(a.Frames, r.first()...)
	}
	a.Bytes = int64(float64(size) * (1 - imageGoal))
	a.Why = fmt.Sprintf("%d answers are pictures above %s in older formats, %s in all, %s of what was sent", count, Bytes(int64(c.cfg.Image)), Bytes(size), percent(size, c.totals.bytes))
	a.Gain = fmt.Sprintf("about %s less, if each shrinks to %d %%", Bytes(a.Bytes), int(imageGoal*100))
	return a, count > 0 && a.finish()
}

func (c *Collector) compressionAdvice(resources []*resource) (Advice, bool) {
	a := Advice{ID: "compression", Title: "Compress text"}
	var count uint64
	var size int64
	for _, r := range resources {
		if r.plain == 0 {
			continue
		}
		count += r.plain
		size += r.plainBytes
		a.where(r)
		a.Frames = append(a.Frames, r.first()...)
	}
	a.Bytes = int64(float64(size) * (1 - textGoal))
	a.Why = fmt.Sprintf("%d answers with text went uncompressed (%s) to clients that accept gzip or better", count, Bytes(size))
	a.Gain = fmt.Sprintf("about %s less, if text shrinks to %d %%", Bytes(a.Bytes), int(textGoal*100))
	return a, a.Bytes >= leastSaving && a.finish()
}

func (c *Collector) cacheAdvice(resources []*resource) (Advice, bool) {
	a := Advice{ID: "caching", Title: "Let browsers keep what does not change"}
	var repeats, fresh uint64
	var waited int64
	for _, r := range resources {
		if r.repeats == 0 && (r.fresh == 0 || !isStatic(r.kind)) {
			continue
		}
		repeats += r.repeats
		a.Bytes += r.repeatSize
		waited += r.repeatTime
		if isStatic(r.kind) {
			fresh += r.fresh
			waited += r.freshTime
		}
		a.where(r)
		a.Frames = append(a.Frames, r.again.frames...)
	}
	a.Millis = ms(waited)
	var why []string
	if repeats > 0 {
		why = append(why, fmt.Sprintf("%d answers were loaded again by visitors who had them (%s)", repeats, Bytes(a.Bytes)))
	}
	if fresh > 0 {
		why = append(why, fmt.Sprintf("%d times a browser only asked whether a file had changed, and it had not", fresh))
	}
	a.Why = strings.Join(why, "; ")
	a.Gain = fmt.Sprintf("%d requests, %s and %s of waiting less, with Cache-Control: max-age and immutable for files whose name changes with their content", repeats+fresh, Bytes(a.Bytes), seconds(waited))
	return a, (a.Bytes >= leastSaving || waited >= leastWaiting) && a.finish()
}

func (c *Collector) headerAdvice(resources []*resource) (Advice, bool) {
	a := Advice{ID: "cache_headers", Title: "Say how long files may be kept"}
	var kinds, once int64
	for _, r := range resources {
		if r.bare == 0 || r.answers == 0 {
			continue
		}
		kinds++
		once += r.bytes / int64(max(r.count, 1))
		a.where(r)
		a.Frames = append(a.Frames, r.first()...)
	}
	a.Bytes = once
	a.Why = fmt.Sprintf("%d files came without Cache-Control, Expires, ETag and Last-Modified, so that a browser has to load them again for each visit", kinds)
	a.Gain = fmt.Sprintf("%s less for each visitor who comes back", Bytes(once))
	return a, once >= leastSaving && a.finish()
}

func (c *Collector) mergeAdvice(resources []*resource) (Advice, bool) {
	a := Advice{ID: "merge", Title: "Ask once instead of many times"}
	var runs, calls uint64
	var waited int64
	for _, r := range resources {
		if r.runs == 0 {
			continue
		}
		runs += r.runs
		calls += r.runCalls
		waited += r.runTime
		a.where(r)
		a.Frames = append(a.Frames, r.runFrames.frames...)
	}
	if runs == 0 {
		return a, false
	}
	a.Millis = ms(waited)
	a.Why = fmt.Sprintf("%d times, pages made %.1f calls of the same kind one after the other", runs, float64(calls)/float64(runs))
	a.Gain = fmt.Sprintf("%d requests and %s of waiting less, with one call that takes a list", calls-runs, seconds(waited))
	return a, calls-runs >= uint64(c.cfg.Calls) && a.finish()
}

func (c *Collector) http2Advice([]*resource) (Advice, bool) {
	a := Advice{ID: "http2", Title: "Turn HTTP/2 on"}
	var count, extra uint64
	var waited int64
	for _, h := range c.hosts.Values() {
		s := c.funnel.reach[h.Name]
		if h.offeredH2 == 0 || h.ALPN["h2"] > 0 || s == nil || s.connections <= s.visitors {
			continue
		}
		count += h.offeredH2
		more := s.connections - s.visitors
		extra += more
		waited += int64(more) * (h.connect.quantile(0.5) + h.handshake.quantile(0.5))
		a.Where = append(a.Where, "https://"+h.Name)
		a.Frames = append(a.Frames, h.offered.frames...)
		a.filter(h.filter())
	}
	a.Millis = ms(waited)
	a.Why = fmt.Sprintf("browsers offered HTTP/2 on %d connections and were given HTTP/1.1, and opened %d connections more than one each", count, extra)
	a.Gain = fmt.Sprintf("%d connections and %s of handshakes less", extra, seconds(waited))
	return a, waited >= leastWaiting && a.finish()
}

func (c *Collector) reuseAdvice([]*resource) (Advice, bool) {
	a := Advice{ID: "reuse", Title: "Keep connections open"}
	var many, connections uint64
	var waited int64
	for _, h := range c.hosts.Values() {
		s := c.funnel.reach[h.Name]
		if s == nil || s.many == 0 {
			continue
		}
		many += s.many
		connections += s.manyConnections
		waited += int64(s.manyConnections) * (h.connect.quantile(0.5) + h.handshake.quantile(0.5))
		a.Where = append(a.Where, h.Name)
		a.Frames = append(a.Frames, h.short.frames...)
		a.filter(h.filter())
	}
	a.Millis = ms(waited)
	a.Why = fmt.Sprintf("%d visitors opened %d further connections for hardly more than a request each", many, connections)
	a.Gain = fmt.Sprintf("%d handshakes and %s of waiting less, with keep-alive", connections, seconds(waited))
	return a, waited >= leastWaiting && a.finish()
}

func (c *Collector) resumptionAdvice([]*resource) (Advice, bool) {
	a := Advice{ID: "resumption", Title: "Let TLS sessions be continued"}
	var full uint64
	var waited int64
	for _, h := range c.hosts.Values() {
		s := c.funnel.reach[h.Name]
		if s == nil || s.repeatedFull == 0 || h.Resumed*4 > s.repeatedFull {
			continue
		}
		full += s.repeatedFull
		waited += int64(s.repeatedFull) * h.handshake.quantile(0.5) / 2
		a.Where = append(a.Where, "https://"+h.Name)
		a.Frames = append(a.Frames, h.fullFrames.frames...)
		a.filter(h.filter())
	}
	a.Millis = ms(waited)
	a.Why = fmt.Sprintf("%d full handshakes were made by visitors who had made one before", full)
	a.Gain = fmt.Sprintf("about %s of waiting less, since a continued session takes half as long, and less work for the server", seconds(waited))
	return a, waited >= leastWaiting && a.finish()
}

func (c *Collector) nameAdvice([]*resource) (Advice, bool) {
	a := Advice{ID: "names", Title: "Make name look-ups faster"}
	s := &c.totals.lookups
	median := s.took.quantile(0.5)
	var slow uint64
	for range s.slow.frames {
		slow++
	}
	a.Millis = ms(s.took.sum)
	a.Frames = s.slow.frames
	a.Why = fmt.Sprintf("%d look-ups took %s in the middle and %s at the slow end", s.took.n, seconds(median), seconds(s.took.quantile(0.95)))
	a.Gain = fmt.Sprintf("up to %s less, with a resolver nearby, longer time to live, or dns-prefetch", seconds(s.took.sum))
	a.Filter = fmt.Sprintf("dns.time > %.1f", slowLookup.Seconds())
	return a, slow >= 3 && median >= slowLookup.Nanoseconds() && a.finish()
}

// finish puts the evidence in order; advice without any is none.
func (a *Advice) finish() bool {
	a.Frames = sorted(a.Frames)
	if len(a.Frames) > maxFrames {
		a.Frames = a.Frames[:maxFrames]
	}
	if a.Where == nil {
		a.Where = []string{}
	}
	return len(a.Frames) > 0
}

// first returns frames that show an address.
func (r *resource) first() []uint64 { return r.seen }

// Bytes returns a size for people.
func Bytes(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 10_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n >= 1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

func percent(part, whole int64) string {
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(max(whole, 1)))
}
