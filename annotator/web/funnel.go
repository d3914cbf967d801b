package web

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ampulla/annotator/transaction"
)

// funnel counts visitors by how far they came.
type funnel struct {
	stages    [numStages]stageCount
	visitors  uint64
	converted uint64
	open      uint64
	reach     map[string]*reachSum // by host
}

// stageCount counts the visitors of one stage.
type stageCount struct {
	entered, wentOn, left uint64
	troubled              uint64 // left after a failure
	stay                  delays
	causes                map[string]*loss
}

// loss is what one cause did at one stage.
type loss struct {
	left, wentOn uint64 // visitors who met it and left, or went on
	culprits     map[string]int
	what         map[string]string // the first case of a culprit, in words
	filters      map[string]string
	took         delays
	evidence     evidence
}

// reachSum sums up how visitors reached a host.
type reachSum struct {
	visitors, connections, requests uint64
	repeatedFull                    uint64 // full handshakes beyond the first of a visitor
	asked                           uint64 // of connections whose client asked to continue a session
	many                            uint64 // visitors with more than two connections and few requests in each
	manyConnections                 uint64
}

// maxCulprits bounds the culprits that are told apart.
const maxCulprits = 64

func (f *funnel) init() {
	for i := range f.stages {
		f.stages[i].causes = map[string]*loss{}
	}
	f.reach = map[string]*reachSum{}
}

// fold counts a visitor who has gone.
func (c *Collector) fold(v *visitor) {
	if c.internal(v.client) {
		return
	}
	c.foldReach(v)
	if v.furthest < 0 {
		return
	}
	f := &c.funnel
	f.visitors++
	last := len(f.stages) - 1
	for i := range f.stages {
		if v.stages[i].at == 0 {
			continue
		}
		s := &f.stages[i]
		s.entered++
		if i == v.furthest {
			continue
		}
		s.wentOn++
		for _, next := range v.stages[i+1:] {
			if next.at != 0 {
				s.stay.add(next.at - v.stages[i].at)
				break
			}
		}
		for _, cause := range c.troublesAt(v, i) {
			s.loss(cause.cause).wentOn++
		}
	}
	switch {
	case v.furthest == last:
		f.converted++
	case v.last > c.end-c.cfg.Idle.Nanoseconds():
		f.open++
	default:
		c.leave(v)
	}
}

// leave counts a visitor who left at the furthest stage.
func (c *Collector) leave(v *visitor) {
	s := &c.funnel.stages[v.furthest]
	s.left++
	causes := c.troublesAt(v, v.furthest)
	if len(causes) == 0 {
		return
	}
	s.troubled++
	worst := c.failures.root(slices.MaxFunc(causes, func(a, b *failure) int { return cmp.Compare(weight(a.cause), weight(b.cause)) }))
	l := s.loss(worst.cause)
	l.left++
	if l.culprits[worst.culprit] > 0 || len(l.culprits) < maxCulprits {
		if l.culprits[worst.culprit]++; l.what[worst.culprit] == "" {
			l.what[worst.culprit], l.filters[worst.culprit] = worst.what, worst.filter
		}
	}
	l.took.add(worst.end - worst.start)
	for _, frame := range worst.frames {
		l.evidence.add(0, frame)
	}
}

func (s *stageCount) loss(cause string) *loss {
	l, ok := s.causes[cause]
	if !ok {
		l = &loss{culprits: map[string]int{}, what: map[string]string{}, filters: map[string]string{}}
		s.causes[cause] = l
	}
	return l
}

// troublesAt returns what went wrong for a visitor between coming to a stage and
// coming to the next, one of a cause.
func (c *Collector) troublesAt(v *visitor, stage int) []*failure {
	from, to := v.stages[stage].at, int64(1<<63-1)
	for _, next := range v.stages[stage+1:] {
		if next.at != 0 {
			to = next.at
			break
		}
	}
	var found []*failure
	add := func(list []*failure, to int64) {
		for _, f := range list {
			if f.start >= from && f.start < to && !slices.ContainsFunc(found, func(g *failure) bool { return g.cause == f.cause }) {
				found = append(found, f)
			}
		}
	}
	add(v.troubles, to)
	add(c.failures.of(v.client), min(to, v.last+c.cfg.Idle.Nanoseconds()))
	return found
}

// result returns the funnel; nil if nobody came to a second stage or beyond, or if
// fewer than least visitors did and none from one stage to another: a server that
// calls another looks like that where the visitors cannot be read.
func (f *funnel) result(least int) *Funnel {
	out := &Funnel{Visitors: f.visitors, Converted: f.converted, Open: f.open}
	far, moved := false, f.visitors >= uint64(least)
	for i := range f.stages {
		s := &f.stages[i]
		far = far || i > 0 && s.entered > 0
		moved = moved || s.wentOn > 0
		out.Stages = append(out.Stages, FunnelStage{
			Name: stageNames[i], Entered: s.entered, WentOn: s.wentOn, Left: s.left, Troubled: s.troubled, Stay: s.stay.delay(),
		})
	}
	if !far || !moved {
		return nil
	}
	return out
}

// abandonment finds the stage at which most visitors were lost to one cause. It
// is called that only if those who met the cause left more often than others.
func (c *Collector) abandonment() Abandonment {
	var out Abandonment
	for i := range c.funnel.stages {
		s := &c.funnel.stages[i]
		for _, cause := range sortedKeys(s.causes) {
			l := s.causes[cause]
			met := l.left + l.wentOn
			others := s.left + s.wentOn - met
			rate := float64(l.left) / float64(max(met, 1))
			otherRate := float64(s.left-l.left) / float64(max(others, 1))
			if l.left < uint64(c.cfg.Lost) || float64(l.left) < c.cfg.LostShare*float64(s.entered) || rate < 1.5*otherRate {
				continue
			}
			if l.left > out.Lost {
				out = l.abandonment(stageNames[i], cause, s.entered)
			}
		}
	}
	return out
}

func (l *loss) abandonment(stage, cause string, entered uint64) Abandonment {
	culprits := sortedKeys(l.culprits)
	culprit := slices.MaxFunc(culprits, func(a, b string) int { return cmp.Compare(l.culprits[a], l.culprits[b]) })
	return Abandonment{
		Detected: true, Stage: stage, Cause: cause, Culprit: culprit, Lost: l.left, Entered: entered,
		Explanation: fmt.Sprintf("%d of %d visitors who came to %s left there after a failure: %s", l.left, entered, stage, l.what[culprit]),
		Delay:       l.took.delay(), Frames: sorted(l.evidence.frames), Filter: l.filters[culprit],
	}
}

// foldReach sums up how a visitor reached each host.
func (c *Collector) foldReach(v *visitor) {
	for host, r := range v.hosts {
		s, ok := c.funnel.reach[host]
		if !ok {
			if len(c.funnel.reach) >= maxHosts {
				continue
			}
			s = &reachSum{}
			c.funnel.reach[host] = s
		}
		s.visitors++
		s.connections += uint64(r.connections)
		s.requests += uint64(r.requests)
		s.asked += uint64(r.asked)
		if r.full > 1 {
			s.repeatedFull += uint64(r.full - 1)
		}
		if r.connections > 2 && r.requests < 2*r.connections {
			s.many++
			s.manyConnections += uint64(r.connections - 1)
		}
	}
}

// nameKey finds what a client asked a name server for.
type nameKey struct {
	client netip.Addr
	name   string
}

// name is what is known of a name that a client asked for.
type name struct {
	found bool // some type of address
	last  int64
	asked int
}

// look finds names that cannot be resolved: a question about one type of address
// that has none is ordinary.
func (c *Collector) look(l *transaction.Lookup) {
	k := nameKey{l.Client.Addr(), l.Name}
	n, ok := c.names.Get(k)
	if !ok {
		n = &name{}
		c.names.Add(k, n)
	}
	n.asked++
	n.last = l.Start
	n.found = n.found || len(l.Addresses) > 0
	if n.found || l.Type != 1 && l.Type != 28 {
		return
	}
	f := &failure{
		cause: CauseDNS, client: l.Client.Addr(), server: l.Server.Addr(), culprit: l.Name, start: l.Start, end: l.Start + l.Took,
		frames: []uint64{l.Frame}, filter: "dns.qry.name == " + quoted(l.Name),
	}
	switch {
	case !l.Answered:
		f.what = fmt.Sprintf("nobody answered the question for the address of %s", l.Name)
	case l.Code == 3:
		f.what = fmt.Sprintf("the name %s does not exist", l.Name)
	case l.Code != 0:
		f.what = fmt.Sprintf("the name server failed to look %s up (code %d)", l.Name, l.Code)
	default:
		return
	}
	if l.AnswerFrame != 0 {
		f.frames = append(f.frames, l.AnswerFrame)
	}
	c.failures.add(f)
	c.failures.ofClient(f)
}

// lookups sums look-ups up.
type lookups struct {
	count, failed, unanswered uint64
	took                      delays
	evidence                  evidence
	slow                      evidence
}

// slowLookup is the time from which a look-up is felt.
const slowLookup = 100 * time.Millisecond

func (s *lookups) add(l *transaction.Lookup) {
	s.count++
	switch {
	case !l.Answered:
		s.unanswered++
		s.evidence.add(l.Took, l.Frame)
		return
	case l.Code != 0 && l.Code != 3:
		s.failed++
		s.evidence.add(l.Took, l.Frame)
	}
	s.took.add(l.Took)
	if l.Took >= slowLookup.Nanoseconds() {
		s.slow.add(l.Took, l.Frame)
	}
}

func sorted(frames []uint64) []uint64 {
	out := append([]uint64{}, frames...)
	slices.Sort(out)
	return slices.Compact(out)
}
