package baseline

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The population stability index compares two distributions: below Stable
// nothing has changed to speak of, from Shifted on much has. (Siddiqi, "Credit
// Risk Scorecards", 2006, chapter 9, has both.)
const (
	Stable  = 0.1
	Shifted = 0.25
)

// Change is one way in which today differs from what was learned.
type Change struct {
	What string // one of Kinds
	// Value is how many hosts or services are new, the population stability index
	// of protocols and scores, and by which factor the rate differs.
	Value float64
	Text  string // for people
}

// Kinds are what may change.
var Kinds = []string{"hosts", "services", "protocols", "scores", "rate"}

// leastCompared is how many packets, and leastRated how many seconds, today must
// have for its shares to say anything.
const (
	leastCompared = 1000
	leastRated    = 60
)

// Compare returns how what was seen today differs from what was learned, nothing
// if it does not. It returns an error if the two cannot be compared.
func (b *Baseline) Compare(today *Baseline) ([]Change, error) {
	if b.identity != today.identity {
		return nil, fmt.Errorf("baseline: learned with models %s, the other one with %s: they cannot be compared", b.identity, today.identity)
	}
	var out []Change
	if c, ok := news("hosts", "host", &b.hosts, &today.hosts, host.id, func(*Host) bool { return true }); ok {
		out = append(out, c)
	}
	if c, ok := news("services", "service", &b.services, &today.services, Endpoint.String, lasts); ok {
		out = append(out, c)
	}
	if c, ok := b.compareClasses(today); ok {
		out = append(out, c)
	}
	if c, ok := b.compareScores(today); ok {
		out = append(out, c)
	}
	if c, ok := b.compareRates(today); ok {
		out = append(out, c)
	}
	return out, nil
}

// lasts tells a service from a port for one conversation, such as those of FTP.
func lasts(conversations *uint64) bool { return *conversations > 1 }

// news lists what is new of this network. What was dropped may have been there.
func news[K key, V any](what, one string, before, today *sketch[K, V], name func(K) string, counts func(*V) bool) (Change, bool) {
	var list []string
	for _, k := range today.keys() {
		if k.ours() && counts(today.get(k)) && before.get(k) == nil && (before.bound == 0 || rankOf(k) < before.bound) {
			list = append(list, name(k))
		}
	}
	if len(list) == 0 {
		return Change{}, false
	}
	slices.Sort(list)
	if len(list) > 1 {
		one += "s"
	}
	return Change{what, float64(len(list)), fmt.Sprintf("%d new %s: %s", len(list), one, some(list))}, true
}

// some names the first few.
func some(list []string) string {
	const few = 5
	if len(list) > few {
		return strings.Join(list[:few], ", ") + ", ..."
	}
	return strings.Join(list, ", ")
}

// index returns the population stability index of two lists of counts. Shares
// below one in ten thousand count as that.
func index(before, today []uint64) float64 {
	shares := func(counts []uint64) []float64 {
		out, total := make([]float64, len(counts)), 0.0
		for _, n := range counts {
			total += float64(n)
		}
		for i, n := range counts {
			out[i] = max(float64(n)/max(total, 1), 1e-4)
		}
		return out
	}
	a, b, sum := shares(before), shares(today), 0.0
	for i := range a {
		sum += (b[i] - a[i]) * math.Log(b[i]/a[i])
	}
	return sum
}

func (b *Baseline) compareClasses(today *Baseline) (Change, bool) {
	names := map[class]bool{}
	for _, s := range []*sketch[class, uint64]{&b.classes, &today.classes} {
		for k := range s.rows {
			names[k] = true
		}
	}
	count := func(s *sketch[class, uint64], k class) uint64 {
		if n := s.get(k); n != nil {
			return *n
		}
		return 0
	}
	type shift struct {
		name   class
		before float64
		today  float64
	}
	var (
		was, is []uint64
		shifts  []shift
	)
	for k := range names {
		was, is = append(was, count(&b.classes, k)), append(is, count(&today.classes, k))
		shifts = append(shifts, shift{name: k})
	}
	before, now := totalOf(was), totalOf(is)
	if before < leastCompared || now < leastCompared {
		return Change{}, false
	}
	psi := index(was, is)
	if psi < Stable {
		return Change{}, false
	}
	for i := range shifts {
		shifts[i].before, shifts[i].today = float64(was[i])/before, float64(is[i])/now
	}
	slices.SortFunc(shifts, func(x, y shift) int {
		return cmp.Or(cmp.Compare(math.Abs(y.today-y.before), math.Abs(x.today-x.before)), cmp.Compare(x.name, y.name))
	})
	var words []string
	for _, s := range shifts[:min(3, len(shifts))] {
		words = append(words, fmt.Sprintf("%s %.0f %% of the packets, %.0f %% before", s.name, 100*s.today, 100*s.before))
	}
	return Change{"protocols", psi, fmt.Sprintf("other protocols (%s): %s", degree(psi), strings.Join(words, "; "))}, true
}

func totalOf(counts []uint64) (total float64) {
	for _, n := range counts {
		total += float64(n)
	}
	return total
}

// degree puts an index into words.
func degree(psi float64) string {
	if psi >= Shifted {
		return fmt.Sprintf("stability index %.2f, much", psi)
	}
	return fmt.Sprintf("stability index %.2f, some", psi)
}

// compareScores compares how unusual the model finds the packets, in tenths.
func (b *Baseline) compareScores(today *Baseline) (Change, bool) {
	tenths := func(b *Baseline) []uint64 {
		out := make([]uint64, 10)
		for _, r := range b.hosts.rows {
			for side := range r.value.Scores {
				for i, n := range r.value.Scores[side] {
					out[min(i*10/scoreStep, 9)] += n
				}
			}
		}
		return out
	}
	was, is := tenths(b), tenths(today)
	if totalOf(was) < leastCompared || totalOf(is) < leastCompared {
		return Change{}, false
	}
	psi := index(was, is)
	if psi < Stable {
		return Change{}, false
	}
	half := func(counts []uint64) float64 { return 100 * totalOf(counts[5:]) / totalOf(counts) }
	return Change{"scores", psi, fmt.Sprintf("other scores of the model (%s): %.1f %% of the packets from 0.5 on, %.1f %% before",
		degree(psi), half(is), half(was))}, true
}

// compareRates compares what the hosts of this network send, in seconds in which
// they do, in those hours of the day that there are of today.
func (b *Baseline) compareRates(today *Baseline) (Change, bool) {
	var hours [24]bool
	for hour, rate := range today.hourly(isOurs) {
		hours[hour] = rate.Seconds > 0
	}
	of := func(b *Baseline) (all Rate) {
		for hour, rate := range b.hourly(isOurs) {
			if hours[hour] {
				all.add(&rate)
			}
		}
		return all
	}
	was, is := of(b), of(today)
	if was.Seconds < leastRated || is.Seconds < leastRated {
		return Change{}, false
	}
	before, _ := was.Mean()
	now, _ := is.Mean()
	const most = 2
	factor := max(now/before, before/now)
	if factor < most {
		return Change{}, false
	}
	return Change{"rate", factor, fmt.Sprintf("hosts send %.1f packets a second when they do, %.1f before at this time of day", now, before)}, true
}
