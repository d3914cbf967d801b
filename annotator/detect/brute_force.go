package detect

import (
	"fmt"
	"time"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// bruteForce finds clients that guess passwords: failed or endlessly repeated
// authentications at one service.
type bruteForce struct {
	cfg     BruteForce
	clients *table[service, guesses]
	flows   *table[uint32, login]
}

// guesses is what one client tried at one service.
type guesses struct {
	alarm
	failures rate
	patient  rate // the same over SlowWindow
	period
	since    int64         // when the conversation with the first failure began
	hold     time.Duration // how long after a failure what follows is part of it
	latest   int64         // time of the latest failure
	all      uint32        // failures in the period
	what     string
	password uint64 // hash of the latest one posted in a web form
}

// login is an authentication under way in one conversation.
type login struct {
	proto    protocol
	asked    bool   // the client has sent credentials that were not answered yet
	closed   bool   // the end of the conversation was seen
	failures uint32 // counted in this conversation
	counted  bool   // the latest request of HTTP was counted by its address
	ssh      sshLogin
}

func newBruteForce(cfg BruteForce) *bruteForce {
	return &bruteForce{
		cfg:     cfg,
		clients: newTable[service, guesses](cfg.Clients, service.hash),
		flows:   newTable[uint32, login](cfg.Flows, hashOfFlow),
	}
}

func (d *bruteForce) Name() string { return "brute_force" }

func (d *bruteForce) Observe(o *flow.Observation) Finding {
	p := o.Packet
	if p.Version == 0 || o.Flow == 0 || !p.HasPorts() {
		return Finding{}
	}
	if o.Noise == flow.Clean {
		d.watch(o)
	}
	if !o.FromClient {
		return Finding{}
	}
	key := serviceOf(o)
	g := d.clients.get(key)
	if g == nil || !g.active(p.Time, g.hold) {
		return Finding{}
	}
	if g.outdated(p.Time) {
		g.reason = fmt.Sprintf("%d failed or repeated %s log-ins at %s port %d within %.1f s, %d in the last %.0f s; people make a few at most",
			g.all, g.what, key.server, key.port, g.seconds(p.Time),
			g.failures.count(p.Time, d.cfg.Window), d.cfg.Window.Seconds())
	}
	return Finding{g.score, verdict.BruteForce, g.reason, RoleService, g.since}
}

// watch looks for authentications and what became of them.
func (d *bruteForce) watch(o *flow.Observation) {
	p := o.Packet
	l := d.flows.get(o.Flow)
	if p.PayloadLength > 0 {
		if l == nil {
			proto := protocolOf(o)
			if proto == protoNone {
				return
			}
			l = d.flows.take(o.Flow)
			l.proto = proto
		}
		if l.proto == protoHTTP && o.FromClient && d.form(l, o) {
			d.fail(l, o, 1, true)
		}
		switch n := l.read(o); {
		case n > 0:
			d.fail(l, o, uint32(n), true)
		case n < 0:
			d.forgive(l, o)
		}
	}
	if l != nil && !l.closed && p.Proto == packet.ProtoTCP && p.TCPFlags&(packet.FIN|packet.RST) != 0 {
		l.closed = true
		if n := l.end(o); n > 0 {
			d.fail(l, o, uint32(n), false)
		}
	}
}

// form tells that a client sends another password in a web form than it did
// before. A form is not counted twice, by its address and by its content.
func (d *bruteForce) form(l *login, o *flow.Observation) bool {
	b := o.Packet.Payload
	if isHTTPRequest(b) {
		l.counted = isLoginPost(b)
	}
	password := passwordIn(b)
	if password == 0 {
		return false
	}
	g := d.clients.take(serviceOf(o))
	another := g.password != 0 && g.password != password && !l.counted
	g.password = password
	return another
}

// fail counts n failures. Those that are not certain, as they show by the end of
// a conversation alone, may be a monitor's, which has patience as well.
func (d *bruteForce) fail(l *login, o *flow.Observation, n uint32, certain bool) {
	now := o.Packet.Time
	l.failures += n
	g := d.clients.take(serviceOf(o))
	if !g.begun || !near(now, g.latest, d.cfg.SlowWindow) {
		*g = guesses{period: begin(now), since: now - o.Age, password: g.password}
	}
	if again := near(now, g.latest, time.Second) && g.all > 0; again && l.proto == protoSMB {
		return // Windows tries a wrong password several times by itself
	}
	g.all += n
	g.latest = now
	g.what = l.proto.String()
	fast := Grade(float64(g.failures.add(now, d.cfg.Window, n)), float64(d.cfg.Failures))
	slow := 0.0
	if certain {
		slow = Grade(float64(g.patient.add(now, d.cfg.SlowWindow, n)), float64(d.cfg.SlowFailures))
	}
	g.hold = d.cfg.Window
	if slow > fast {
		g.hold = d.cfg.SlowWindow / 4 // patience has pauses
	}
	g.raise(max(fast, slow), now, g.hold)
}

// forgive takes back the failures of a conversation that was let in after all:
// clients try one key after the other.
func (d *bruteForce) forgive(l *login, o *flow.Observation) {
	g := d.clients.get(serviceOf(o))
	if g == nil || l.failures == 0 {
		return
	}
	g.all -= min(l.failures, g.all)
	g.failures.forget(l.failures)
	g.patient.forget(l.failures)
	l.failures = 0
	if g.score <= verdict.AnomalousScore {
		g.score = Grade(float64(g.failures.total), float64(d.cfg.Failures))
	}
}
