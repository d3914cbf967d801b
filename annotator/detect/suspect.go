package detect

import (
	"fmt"
	"math"
	"time"

	"ampulla/annotator/verdict"
)

// suspects remembers who did something anomalous. Who has just scanned a host,
// guessed its passwords or run code on it is not innocent in what follows, so
// that traffic stays suspicious for a while, though never anomalous by that
// alone.
type suspects struct {
	pairs table[pair, suspicion]
	hosts table[host, suspicion]
	seen  filter // of both: most networks have few suspects, or none
}

// suspicion is the latest anomaly of a suspect.
type suspicion struct {
	at      int64
	finding Finding
	said    string // the reason for what follows, and
	saidAt  int64  // when it was put into words
}

const (
	// pairSuspicion and hostSuspicion are the scores right after an anomaly of
	// packets between the same two hosts and of others of the same client.
	// Both halve every suspicionLife; after suspicionEnd it is forgotten.
	pairSuspicion = 0.79
	hostSuspicion = 0.4
	suspicionLife = 10 * time.Minute
	suspicionEnd  = time.Hour
	// maxSuspects is how many pairs of hosts and how many hosts are remembered.
	maxSuspects = 2048
)

func newSuspects() suspects {
	return suspects{pairs: newTable[pair, suspicion](maxSuspects), hosts: newTable[host, suspicion](maxSuspects)}
}

// observe takes the next packet and the highest finding about it, and puts in its
// place what is left of an earlier one of the same hosts, if that is higher.
func (s *suspects) observe(c *Case, best *Finding) {
	if c.Flow == 0 || c.many {
		return
	}
	if best.Score >= pairSuspicion {
		if best.Score > verdict.AnomalousScore {
			s.note(c, best)
		}
		return
	}
	now := c.Packet.Time
	if s.seen.has(c.eitherHash()) {
		p := s.pairs.get(c.forth())
		if p == nil {
			p = s.pairs.get(c.back())
		}
		if p != nil {
			best.Raise(p.recall(now, pairSuspicion, "the same two hosts"))
			return
		}
	}
	if s.seen.has(c.caller) {
		if h := s.hosts.get(c.client()); h != nil {
			best.Raise(h.recall(now, hostSuspicion, "the same client"))
		}
	}
}

// note remembers an anomaly. Sources of floods are forged more often than not.
func (s *suspects) note(c *Case, f *Finding) {
	if f.Type == verdict.Flood || f.Type == verdict.ARPSpoof {
		return
	}
	now := c.Packet.Time
	if f.Type != verdict.HostScan { // most of its victims are not there
		*s.pairs.take(c.forth()) = suspicion{at: now, finding: *f}
		s.seen.add(c.eitherHash())
	}
	*s.hosts.take(c.client()) = suspicion{at: now, finding: *f}
	s.seen.add(c.caller)
}

// Raise puts a higher finding in the place of f.
func (f *Finding) Raise(higher Finding) {
	if higher.Score > f.Score {
		*f = higher
	}
}

// recall returns what is left of a suspicion that began with score.
func (s *suspicion) recall(now int64, score float64, who string) Finding {
	if !near(now, s.at, suspicionEnd) {
		return Finding{}
	}
	gone := math.Abs(float64(now-s.at)) / float64(suspicionLife)
	score *= math.Exp2(-gone)
	if score < verdict.SuspiciousScore {
		return Finding{Score: score}
	}
	if s.said == "" || !near(now, s.saidAt, time.Second) {
		s.said = fmt.Sprintf("%s as %.0f s ago: %s", who, float64(now-s.at)/1e9, s.finding.Reason)
		s.saidAt = now
	}
	return Finding{score, s.finding.Type, s.said, RoleHosts, 0}
}
