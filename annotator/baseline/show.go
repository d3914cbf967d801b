package baseline

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// WriteText describes b for people: how much was learned, when, of whom, what is
// usual from now on, and what is still too thin.
func (b *Baseline) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	b.showTotals(t)
	b.showHours(t)
	b.showNetworks(t)
	b.showTraffic(t)
	b.showFindings(t)
	b.showThin(t)
	b.showBudget(t)
	return t.Flush()
}

func (b *Baseline) showTotals(w io.Writer) {
	t := &b.totals
	fmt.Fprintf(w, "learned from %d captures, %d packets, %.1f hours watched, with models %s\n", t.Captures, t.Frames, t.Hours(), b.identity)
	if t.Omitted > 0 {
		fmt.Fprintf(w, "%d packets of attacks were left out\n", t.Omitted)
	}
	if t.First != 0 {
		const layout = "2006-01-02 15:04"
		fmt.Fprintf(w, "from %s to %s UTC\n", time.Unix(0, t.First).UTC().Format(layout), time.Unix(0, t.Last).UTC().Format(layout))
	}
}

// Hourly returns what the hosts sent in each hour of the day in UTC.
func (b *Baseline) Hourly() [24]Rate {
	return b.hourly(func(packet.Addr) bool { return true })
}

// hourly returns what some hosts sent, by the hour of the day in UTC.
func (b *Baseline) hourly(some func(packet.Addr) bool) (out [24]Rate) {
	for k, r := range b.hosts.rows {
		if some(packet.Addr(k)) {
			for _, h := range r.value.Sent {
				out[h.Hour].add(&h.Rate)
			}
		}
	}
	return out
}

// barLength is that of the longest bar.
const barLength = 30

func (b *Baseline) showHours(w io.Writer) {
	rates, longest := b.Hourly(), uint64(0)
	for i := range rates {
		longest = max(longest, rates[i].Packets)
	}
	fmt.Fprintln(w, "\nhour, UTC\tminutes\tpackets\ta host's second\tat most\t")
	for hour := range rates {
		r := &rates[hour]
		if b.totals.Observed[hour] == 0 && r.Packets == 0 {
			continue
		}
		mean, deviation := r.Mean()
		fmt.Fprintf(w, "%02d\t%.0f\t%d\t%.1f ± %.1f\t%d\t%s\n", hour, float64(b.totals.Observed[hour])/6e4, r.Packets,
			mean, deviation, r.Most, bar(r.Packets, longest))
	}
}

// bar draws a count, in eighths of a letter.
func bar(n, longest uint64) string {
	if longest == 0 {
		return ""
	}
	eighths := int(float64(n) / float64(longest) * 8 * barLength)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string(rune(0x2590 - rest)) // ▏ to ▉, U+258F to U+2589
	}
	return text
}

// networks returns the networks, those of one's own first.
func (n *norms) sorted() []*network {
	return slices.SortedFunc(maps.Values(n.networks), func(a, b *network) int {
		if x, y := a.prefix.IsValid(), b.prefix.IsValid(); x != y {
			return cmp.Compare(b.rank(), a.rank())
		}
		return comparePrefixes(a.prefix, b.prefix)
	})
}

func (w *network) rank() int {
	if w.prefix.IsValid() {
		return 1
	}
	return 0
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func (b *Baseline) showNetworks(w io.Writer) {
	norms := b.norms()
	hosts := map[*network]int{}
	for _, at := range norms.hosts {
		hosts[at.network]++
	}
	fmt.Fprintln(w, "\n\thosts\tpackets as client\tas server\tone in a thousand scores, of the models alone 0.8")
	for _, n := range norms.sorted() {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.2f as client, %.2f as server\n", n, hosts[n], n.packets[client], n.packets[server],
			n.tails[client].scoreAt(1e-3), n.tails[server].scoreAt(1e-3))
	}
	if b.hosts.bound != 0 {
		fmt.Fprintf(w, "more hosts than the %d that are kept; which ones are does not depend on what they did\n", maxHosts)
	}
}

// scoreAt returns the shipped score that is as rare as that.
func (t *tail) scoreAt(p float64) float64 {
	for i := range t {
		if t[i] <= p {
			return float64(i) / scoreStep
		}
	}
	return 1
}

// Curve says what scores of the model become.
type Curve struct {
	Network string    // whose hosts, in words
	Server  bool      // as servers, or as clients
	Packets uint64    // that it was learned from
	Scores  []float64 // for those of the model from 0 to 1, in even steps
}

// Curves returns a Curve for each network and side of which enough was learned.
func (b *Baseline) Curves() (out []Curve) {
	for _, w := range b.norms().sorted() {
		for side := range w.tails {
			if w.packets[side] < Enough {
				continue
			}
			c := Curve{Network: w.String(), Server: side == server, Packets: w.packets[side]}
			for i := range w.tails[side] {
				s := float64(i) / scoreStep
				c.Scores = append(c.Scores, score.Scale(min(max(w.tails[side].heavier(s), 1)*score.Unscale(s), 1)))
			}
			out = append(out, c)
		}
	}
	return out
}

// Protocols returns the most frequent protocols, at most so many, and the share of
// the packets that each has.
func (b *Baseline) Protocols(n int) (names []string, shares []float64) {
	total := uint64(0)
	for _, r := range b.classes.rows {
		total = sum(total, r.value)
	}
	for _, k := range most(&b.classes, n) {
		names = append(names, string(k))
		shares = append(shares, float64(*b.classes.get(k))/float64(max(total, 1)))
	}
	return names, shares
}

// most lists the rows of a sketch with the highest counts.
func most[K key](s *sketch[K, uint64], n int) []K {
	keys := s.keys()
	slices.SortStableFunc(keys, func(a, b K) int { return cmp.Compare(*s.get(b), *s.get(a)) })
	return keys[:min(n, len(keys))]
}

func (b *Baseline) showTraffic(w io.Writer) {
	var words []string
	names, shares := b.Protocols(8)
	for i, name := range names {
		words = append(words, fmt.Sprintf("%s %.1f %%", name, 100*shares[i]))
	}
	fmt.Fprintf(w, "\n%d protocols: %s\n", len(b.classes.rows), strings.Join(words, ", "))
	words = nil
	for _, k := range most(&b.services, 8) {
		words = append(words, fmt.Sprintf("%s (%d)", k, *b.services.get(k)))
	}
	fmt.Fprintf(w, "%d services, with their conversations: %s\n", len(b.services.rows), strings.Join(words, ", "))
}

// found returns what would have been an alarm, the most often found first.
func (b *Baseline) found() []Relation {
	keys := slices.DeleteFunc(b.relations.keys(), func(k Relation) bool { return b.relations.get(k).Most <= 1000 })
	slices.SortStableFunc(keys, func(x, y Relation) int {
		return cmp.Or(cmp.Compare(b.relations.get(y).Packets, b.relations.get(x).Packets), cmp.Compare(x.id(), y.id()))
	})
	return keys
}

func (b *Baseline) showFindings(w io.Writer) {
	keys := b.found()
	if len(keys) == 0 {
		fmt.Fprintln(w, "\nnothing was learned that would have been an alarm")
		return
	}
	fmt.Fprintln(w, "\nlearned as usual, an alarm otherwise\tepisodes\tpackets\tup to, in thresholds")
	const few = 20
	for _, k := range keys[:min(few, len(keys))] {
		e := b.relations.get(k)
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\n", k, e.Episodes, e.Packets, float64(e.Most)/1000)
	}
	if len(keys) > few {
		fmt.Fprintf(w, "and %d more\n", len(keys)-few)
	}
}

// Thin says, in a sentence each, what too little was learned of.
func (b *Baseline) Thin() []string {
	var out []string
	for _, n := range b.norms().sorted() {
		for side := range n.thin {
			if n.packets[side] < Enough {
				out = append(out, n.thin[side])
			}
		}
	}
	known := 0
	for _, r := range b.hosts.rows {
		var all Rate
		for i := range r.value.Sent {
			all.add(&r.value.Sent[i].Rate)
		}
		if all.Seconds >= enoughSeconds {
			known++
		}
	}
	out = append(out, fmt.Sprintf("rates are known of %d of %d hosts, from %d seconds with packets on", known, len(b.hosts.rows), enoughSeconds))
	var hours []string
	for hour, ms := range b.totals.Observed {
		if ms < uint64(enoughSeconds*1000) {
			hours = append(hours, fmt.Sprintf("%02d", hour))
		}
	}
	if len(hours) > 0 {
		out = append(out, fmt.Sprintf("hours of the day with less than %d minutes: %s", enoughSeconds/60, strings.Join(hours, " ")))
	}
	return out
}

func (b *Baseline) showThin(w io.Writer) {
	fmt.Fprintln(w, "\nstill thin:")
	for _, text := range b.Thin() {
		fmt.Fprintln(w, text)
	}
}

func (b *Baseline) showBudget(w io.Writer) {
	if b.totals.Hours() == 0 {
		return
	}
	fmt.Fprintln(w, "\nthreshold\tnew events an hour to expect")
	for _, threshold := range []float64{verdict.SuspiciousScore, verdict.AnomalousScore, 0.9, 0.95} {
		fmt.Fprintf(w, "%.2f\t%.2f\n", threshold, b.AlarmsPerHour(threshold))
	}
}
