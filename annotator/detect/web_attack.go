package detect

import (
	"bytes"
	"fmt"
	"slices"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// webAttack finds HTTP requests that carry code for the server to run (SQL,
// PHP, shell commands, JNDI look-ups, paths that climb out of the web root)
// where people send names and numbers.
type webAttack struct {
	cfg     WebAttack
	clients services[hostile]
}

// pairs tells of most pairs of bytes that they do not follow each other in a text.
type pairs [1 << 12]bool

func pairOf(a, b byte) int { return (int(a)<<5 ^ int(b)) % len(pairs{}) }

// add adds those of a text.
func (p *pairs) add(text []byte) {
	for i := 1; i < len(text); i++ {
		p[pairOf(text[i-1], text[i])] = true
	}
}

// mayHave tells that there are all of another text.
func (p *pairs) mayHave(text string) bool {
	for i := 1; i < len(text); i++ {
		if !p[pairOf(text[i-1], text[i])] {
			return false
		}
	}
	return true
}

// hostile is what one client asked of one service.
type hostile struct {
	alarm
	period
	requests uint32 // with code
	evidence float64
	what     string // the kind of code seen last
}

func newWebAttack(cfg WebAttack) *webAttack {
	return &webAttack{cfg: cfg, clients: newServices[hostile](cfg.Clients)}
}

func (d *webAttack) Name() string { return "web_attack" }

func (d *webAttack) Wants(k Kind) Want {
	switch {
	case !k.maybeTCP() || !k.is(traitClient):
		return never
	case k.is(traitWeb) || k.over() == overFragment:
		return always
	}
	return ifKnown
}

func (d *webAttack) Observe(c *Case) {
	p := c.Packet
	if p.Proto != packet.ProtoTCP || p.Version == 0 || !c.FromClient {
		return
	}
	if c.Noise == flow.Clean && p.PayloadLength > 0 && isWeb(c.Observation) {
		if what, weight := codeIn(p.Payload); weight > 0 {
			d.count(c, what, weight)
		}
	}
	s := d.clients.get(c)
	if s == nil || !s.active(p.Time, d.cfg.Window) {
		return
	}
	if s.outdated(p.Time) {
		s.reason = fmt.Sprintf("%d requests to %s port %d within %.1f s carry code (%s), where names and numbers are expected",
			s.requests, c.key.server, c.key.port, s.seconds(p.Time), s.what)
	}
	c.found(Finding{s.score, verdict.Outlier, s.reason, RoleService, 0})
}

func (d *webAttack) count(c *Case, what string, weight float64) {
	now := c.Packet.Time
	s := d.clients.take(c)
	if s.over(now, d.cfg.Window) {
		*s = hostile{alarm: s.alarm, period: begin(now)}
	}
	s.requests++
	s.evidence += weight
	s.what = what
	s.raise(Grade(s.evidence, d.cfg.Evidence), now, d.cfg.Window)
}

// isWeb tells that a payload is an HTTP request or the rest of one.
func isWeb(o *flow.Observation) bool {
	return isHTTPRequest(o.Packet.Payload) || classOf(o) == "http" && o.ClientPayloads > 1
}

// code is a piece of code, in lower case, and how sure a sign it is: 1 for what
// hardly anybody sends without a purpose, less for what several of are needed.
type code struct {
	text   string
	what   string
	weight float64
}

// codes lists what injections are made of. The classes follow the OWASP Core
// Rule Set, the weights its severities.
var codes = [...]code{
	{"${jndi:", "a JNDI look-up", 1},
	{"${${", "a JNDI look-up in disguise", 1},
	{"() {", "a shell function", 1},
	{"union select", "SQL", 1},
	{"union all select", "SQL", 1},
	{"information_schema", "SQL", 1},
	{"and 1=1", "SQL", 1},
	{"or 1=1", "SQL", 1},
	{"or '1'='1", "SQL", 1},
	{"waitfor delay", "SQL", 1},
	{"xp_cmdshell", "SQL", 1},
	{"select sleep(", "SQL", 1},
	{"' or ", "SQL", .5},
	{"' and ", "SQL", .5},
	{"order by 1", "SQL", .5},
	{"../../", "a path out of the web root", .5},
	{"..\\..\\", "a path out of the web root", 1},
	{"/etc/passwd", "a system file", 1},
	{"/etc/shadow", "a system file", 1},
	{"/proc/self/", "a system file", 1},
	{"windows/win.ini", "a system file", 1},
	{"/boot.ini", "a system file", 1},
	{"<?php", "PHP", 1},
	{"php://input", "PHP", 1},
	{"php://filter", "PHP", 1},
	{"@ini_set(", "PHP", 1},
	{"eval(base64_decode", "PHP", 1},
	{"eval($_", "PHP", 1},
	{"@eval(", "PHP", 1},
	{"system('", "PHP", 1},
	{"allow_url_include", "PHP", 1},
	{"getruntime()", "Java", 1},
	{"processbuilder", "Java", 1},
	{"class.module.classloader", "Java", 1},
	{"#_memberaccess", "OGNL", 1},
	{"@ognl.", "OGNL", 1},
	{"<script>alert(", "a script", 1},
	{"<script>", "a script", .5},
	{"javascript:alert", "a script", 1},
	{"onerror=alert", "a script", 1},
	{"/bin/sh", "shell commands", 1},
	{"/bin/bash", "shell commands", 1},
	{"cmd.exe", "shell commands", 1},
	{"powershell", "shell commands", .5},
	{";wget ", "shell commands", 1},
	{";curl ", "shell commands", 1},
	{"|dir", "shell commands", .5},
	{";id;", "shell commands", 1},
	{"|id", "shell commands", .5},
	{"$(id", "shell commands", 1},
}

// codeIn looks for code in what a client sends and returns the surest piece.
func codeIn(b []byte) (what string, weight float64) {
	var buf [packet.SnapLen]byte
	text := decoded(buf[:0], b)
	var there pairs
	there.add(text)
	for i := range codes {
		if c := &codes[i]; c.weight > weight && there.mayHave(c.text) && bytes.Contains(text, []byte(c.text)) {
			what, weight = c.what, c.weight
		}
	}
	return what, weight
}

// decoded appends b to buf as a server would read it: percent encoding (RFC
// 3986 section 2.1) undone, plus signs read as spaces, letters lowered.
func decoded(buf, b []byte) []byte {
	out := slices.Grow(buf, len(b))[len(buf) : len(buf)+len(b)]
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '%' && i+2 < len(b) {
			hi, lo := hexValue(b[i+1]), hexValue(b[i+2])
			if hi >= 0 && lo >= 0 {
				out[n] = lowered(byte(hi<<4 | lo))
				n++
				i += 2
				continue
			}
		}
		out[n] = read[c]
		n++
	}
	return out[:n]
}

// read is what a server reads for each byte that is not part of percent encoding.
var read = func() (t [256]byte) {
	for i := range t {
		t[i] = lowered(byte(i))
	}
	t['+'] = ' '
	return t
}()

func lowered(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
