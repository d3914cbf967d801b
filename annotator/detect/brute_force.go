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
	clients services[guesses]
	flows   table[uint32, login]
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
		clients: newServices[guesses](cfg.Clients),
		flows:   newTable[uint32, login](cfg.Flows),
	}
}

func (d *bruteForce) Name() string { return "brute_force" }

func (d *bruteForce) Wants(k Kind) Want {
	switch {
	case !k.hasPorts():
		return never
	case k.is(traitLogIn):
		return always
	case k.is(traitClient):
		return ifKnown
	}
	return never
}

func (d *bruteForce) Observe(c *Case) {
	p := c.Packet
	if p.Version == 0 || c.Flow == 0 || !p.HasPorts() {
		return
	}
	if c.Noise == flow.Clean {
		d.watch(c)
	}
	if !c.FromClient {
		return
	}
	g := d.clients.get(c)
	if g == nil || !g.active(p.Time, g.hold) {
		return
	}
	if g.outdated(p.Time) {
		g.reason = fmt.Sprintf("%d failed or repeated %s log-ins at %s port %d within %.1f s, %d in the last %.0f s; people make a few at most",
			g.all, g.what, c.key.server, c.key.port, g.seconds(p.Time),
			g.failures.count(p.Time, d.cfg.Window), d.cfg.Window.Seconds())
	}
	c.found(Finding{g.score, verdict.BruteForce, g.reason, RoleService, g.since})
}

// watch looks for authentications and what became of them.
func (d *bruteForce) watch(c *Case) {
	p := c.Packet
	h := hashOfFlow(c.Flow)
	var l *login
	if c.Memo.LogIn {
		l = d.flows.get(h, &c.Flow)
	}
	if p.PayloadLength > 0 {
		if l == nil {
			proto := c.protocol()
			if proto == protoNone {
				return
			}
			l = d.flows.take(h, &c.Flow)
			l.proto, c.Memo.LogIn = proto, true
		}
		if l.proto == protoHTTP && c.FromClient && d.form(l, c) {
			d.fail(l, c, 1, true)
		}
		switch n := l.read(c.Observation); {
		case n > 0:
			d.fail(l, c, uint32(n), true)
		case n < 0:
			d.forgive(l, c)
		}
	}
	if l != nil && !l.closed && p.Proto == packet.ProtoTCP && p.TCPFlags&(packet.FIN|packet.RST) != 0 {
		l.closed = true
		if n := l.end(c.Observation); n > 0 {
			d.fail(l, c, uint32(n), false)
		}
	}
}

// form tells that a client sends another password in a web form than it did
// before. A form is not counted twice, by its address and by its content.
func (d *bruteForce) form(l *login, c *Case) bool {
	b := c.Packet.Payload
	if isHTTPRequest(b) {
		l.counted = isLoginPost(b)
	}
	password := passwordIn(b)
	if password == 0 {
		return false
	}
	g := d.clients.take(c)
	another := g.password != 0 && g.password != password && !l.counted
	g.password = password
	return another
}

// fail counts n failures. Those that are not certain, as they show by the end of
// a conversation alone, may be a monitor's, which has patience as well.
func (d *bruteForce) fail(l *login, c *Case, n uint32, certain bool) {
	now := c.Packet.Time
	l.failures += n
	g := d.clients.take(c)
	if !g.begun || !near(now, g.latest, d.cfg.SlowWindow) {
		*g = guesses{period: begin(now), since: now - c.Age, password: g.password}
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
func (d *bruteForce) forgive(l *login, c *Case) {
	g := d.clients.get(c)
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
