package detect

import (
	"bytes"
	"fmt"
	"math/bits"
	"strings"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// scriptKind is what a script of a web server is written in; several are a bit
// set.
type scriptKind uint8

const (
	scriptPHP scriptKind = 1 << iota
	scriptASP
	scriptJSP
	scriptCFM
	scriptCGI // what CGI calls may be written in anything
)

var scriptEndings = [...]struct {
	text string
	kind scriptKind
}{
	{".php", scriptPHP}, {".asp", scriptASP}, {".aspx", scriptASP}, {".ashx", scriptASP},
	{".jsp", scriptJSP}, {".jspx", scriptJSP}, {".cfm", scriptCFM}, {".cgi", scriptCGI},
}

// mixedScripts finds clients that ask one site for scripts in several
// languages. A site is written in one, and often has some of another; who asks
// for more looks for what might be there, or talks to a server that only
// pretends, as those of implants do.
type mixedScripts struct {
	site   uint64 // hash of its name
	kinds  scriptKind
	since  int64
	reason string
}

// languages is how many a site may have beside its own. At two the score is just
// above the threshold.
const languages = 1.9

// add takes a request and tells whether the site is one of several languages.
func (m *mixedScripts) add(p *packet.Packet, kind scriptKind) bool {
	if kind &^= scriptCGI; kind != 0 {
		site := hashBytes(hostOf(p.Payload))
		if m.kinds == 0 {
			m.site, m.since = site, p.Time
		}
		if m.site == site && m.kinds&kind == 0 {
			m.kinds |= kind
			m.reason = ""
		}
	}
	return m.count() > 1
}

func (m *mixedScripts) count() int { return bits.OnesCount8(uint8(m.kinds)) }

// score is that of packets to such a site.
func (m *mixedScripts) score() float64 { return Grade(float64(m.count()-1), languages) }

// tell tells what is known of a packet to such a site.
func (m *mixedScripts) tell(c *Case) {
	p, key, n := c.Packet, &c.key, m.count()
	if n < 2 {
		return
	}
	if m.reason == "" {
		var endings []string
		rest := m.kinds
		for _, ending := range scriptEndings {
			if rest&ending.kind != 0 {
				rest &^= ending.kind
				endings = append(endings, ending.text)
			}
		}
		m.reason = fmt.Sprintf("asked %s port %d for scripts in %d languages (%s) within %.1f s; a site is written in one or two",
			key.server, key.port, n, strings.Join(endings, ", "), float64(max(p.Time-m.since, 0))/1e9)
	}
	c.found(Finding{m.score(), verdict.Outlier, m.reason, RoleService, m.since})
}

// hostOf returns the name of the site that a request of HTTP is for, empty if
// it was not captured.
func hostOf(b []byte) []byte {
	_, rest, found := bytes.Cut(b, []byte("\nHost:"))
	if !found {
		return nil
	}
	name, _, _ := bytes.Cut(rest, []byte{'\r'})
	return bytes.TrimSpace(name)
}
