package detect

import (
	"fmt"
	"math"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/lru"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// Suspects remembers who did something anomalous. Who has just scanned a host,
// guessed its passwords or run code on it is not innocent in what follows, so
// that traffic stays suspicious for a while, though never anomalous by that
// alone. It is not safe for concurrent use and has bounded state.
type Suspects struct {
	pairs *table[pair, suspicion]
	hosts *table[suspect, suspicion]
}

type suspect struct {
	addr   packet.Addr
	domain uint32
}

func (s suspect) hash() lru.Hash {
	return lru.Seed.Addr((*[16]byte)(&s.addr)).Word(uint64(s.domain))
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
	// suspects is how many pairs of hosts and how many hosts are remembered.
	suspects = 2048
)

// NewSuspects returns a memory without suspects.
func NewSuspects() *Suspects {
	return &Suspects{newTable[pair, suspicion](suspects, pair.hash), newTable[suspect, suspicion](suspects, suspect.hash)}
}

// Observe takes the next packet and the highest finding of all detectors, and
// returns that or, if higher, what is left of an earlier one of the same hosts.
func (s *Suspects) Observe(o *flow.Observation, best Finding) Finding {
	if o.Flow == 0 || toMany(o.Packet.Dst) {
		return best
	}
	client, _ := o.Client()
	server, _ := o.Server()
	domain := o.Packet.Domain
	if best.Score > verdict.AnomalousScore {
		s.note(client, server, domain, o.Packet.Time, best)
		return best
	}
	if best.Score >= pairSuspicion {
		return best
	}
	for _, k := range [...]pair{{client, server, domain}, {server, client, domain}} {
		if p := s.pairs.get(k); p != nil {
			return worse(best, p.recall(o.Packet.Time, pairSuspicion, "the same two hosts"))
		}
	}
	if h := s.hosts.get(suspect{client, domain}); h != nil {
		return worse(best, h.recall(o.Packet.Time, hostSuspicion, "the same client"))
	}
	return best
}

// note remembers an anomaly. Sources of floods are forged more often than not.
func (s *Suspects) note(client, server packet.Addr, domain uint32, now int64, f Finding) {
	if f.Type == verdict.Flood || f.Type == verdict.ARPSpoof {
		return
	}
	if f.Type != verdict.HostScan { // most of its victims are not there
		*s.pairs.take(pair{client, server, domain}) = suspicion{at: now, finding: f}
	}
	*s.hosts.take(suspect{client, domain}) = suspicion{at: now, finding: f}
}

func worse(a, b Finding) Finding {
	if b.Score > a.Score {
		return b
	}
	return a
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
