package detect

import (
	"fmt"
	"math"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// beacon finds programs that report to a server: connection after connection
// to the same service, at regular intervals, with much the same to say.
// Regular messages within one long connection are no beacon, or every PLC
// would be one.
type beacon struct {
	cfg      Beacon
	services services[calls]
}

// calls is the series of connections of a client to a service.
type calls struct {
	alarm
	period
	previous  int64 // when the latest visit began
	flow      uint32
	sent      uint64 // payload of the latest connection so far
	answered  bool
	regular   int   // intervals in a row that were alike
	since     int64 // about when the beat began that is kept up
	intervals series
	sizes     series
}

// series holds the last values of a quantity.
type series struct {
	values [16]float64
	n      int // how many there were in all
}

func (s *series) add(v float64) {
	s.values[s.n%len(s.values)] = v
	s.n++
}

// spread returns the mean and the coefficient of variation of the last values,
// the highest and the lowest left out when there are many.
func (s *series) spread() (mean, cv float64) {
	n := min(s.n, len(s.values))
	if n == 0 {
		return 0, 0
	}
	var sum, squares, low, high float64
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range s.values[:n] {
		sum += v
		squares += v * v
		low, high = min(low, v), max(high, v)
	}
	count := float64(n)
	if n >= 8 {
		sum -= low + high
		squares -= low*low + high*high
		count -= 2
	}
	mean = sum / count
	if mean <= 0 {
		return 0, 0
	}
	return mean, math.Sqrt(max(squares/count-mean*mean, 0)) / mean
}

func newBeacon(cfg Beacon) *beacon {
	return &beacon{cfg: cfg, services: newServices[calls](cfg.Services)}
}

func (d *beacon) Name() string { return "beacon" }

func (d *beacon) Wants(k Kind) Want {
	switch {
	case !k.hasPorts():
		return never
	case k.is(traitStep | traitClient):
		return always
	}
	return ifKnown
}

func (d *beacon) await(c *Case) { d.services.await(c) }

func (d *beacon) Observe(c *Case) {
	p := c.Packet
	if !p.HasPorts() || c.Flow == 0 {
		return
	}
	key := &c.key
	if isPolled(key) {
		return
	}
	opens := c.New && c.FromClient && c.Noise == flow.Clean
	s := d.services.get(c)
	if s == nil {
		if !opens || toMany(&key.server) {
			return
		}
		s = d.services.add(c)
	}
	if opens {
		d.call(s, c)
	} else if s.flow == c.Flow {
		s.sent = c.ClientBytes
		s.answered = s.answered || c.ServerBytes > 0
	}
	if !s.active(p.Time, beaconHold) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = s.words(key)
	}
	c.found(Finding{s.score, verdict.Beacon, s.reason, RoleService, s.since})
}

// beaconHold is how long a beacon may pause and still be the same.
const beaconHold = time.Hour

// isPolled tells that a service is called at regular intervals by design.
func isPolled(k *service) bool {
	if k.proto != packet.ProtoUDP {
		return k.port == 53
	}
	switch k.port {
	case 53, 67, 68, 123, 137, 138, 161, 500, 514, 547, 1900, 3478, 4500, 5351, 5353, 5355:
		return true
	}
	return false
}

// call takes the beginning of a connection.
func (d *beacon) call(s *calls, c *Case) {
	now := c.Packet.Time
	gap := now - s.previous
	switch {
	case !s.begun || gap < 0 || gap > int64(24*time.Hour):
		*s = calls{period: begin(now)}
	case gap < int64(d.cfg.MinInterval):
		return // part of the same visit
	default:
		s.intervals.add(float64(gap) / 1e9)
		if s.answered {
			s.sizes.add(float64(s.sent))
		}
		d.judge(s, &c.key, now)
	}
	s.previous, s.flow, s.sent, s.answered = now, c.Flow, c.ClientBytes, false
	mean, _ := s.intervals.spread()
	s.since = max(s.start, s.previous-int64(float64(s.regular+1)*mean*1e9))
}

func (d *beacon) judge(s *calls, key *service, now int64) {
	s.score = 0
	regular := s.regular
	s.regular = 0
	mean, jitter := s.intervals.spread()
	_, size := s.sizes.spread()
	if mean < d.cfg.MinInterval.Seconds() || jitter > d.cfg.Jitter || size > d.cfg.SizeSpread ||
		s.sizes.n*2 < s.intervals.n {
		return
	}
	s.regular = max(regular+1, min(s.intervals.n, len(s.intervals.values)))
	repeats := float64(d.cfg.Repeats)
	if internal(&key.server) {
		repeats *= d.cfg.Internal
	}
	score := Grade(float64(s.regular), repeats)
	if lasted := float64(s.regular) * mean / d.cfg.MinDuration.Seconds(); lasted < 1 {
		score = min(score, Grade(lasted, 1))
	}
	s.raise(score, now, beaconHold)
}

func (s *calls) words(key *service) string {
	mean, jitter := s.intervals.spread()
	size, _ := s.sizes.spread()
	return fmt.Sprintf("%d connections to %s port %d, one every %.1f s (jitter %.0f%%), each sending about %.0f bytes; people are not that regular",
		s.regular+1, key.server, key.port, mean, 100*jitter, size)
}
