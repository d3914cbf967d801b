package detect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
)

// remoteControl finds connections through which somebody works on a machine
// without a protocol made for that: a shell on a bare connection, a program
// sent ahead of it, a machine that says at regular intervals that it is there.
type remoteControl struct {
	cfg   RemoteControl
	flows table[uint32, control]
}

// control is what speaks for remote control of one conversation.
type control struct {
	alarm
	evidence float64
	signs    sign
	opened   bool   // the server has said a line that waits for an answer
	turns    uint32 // lines of the server that the client answered
	spoke    int64  // when either side last said something
	beats    beats
}

// sign is a kind of evidence; several are a bit set.
type sign uint8

const (
	signShell sign = 1 << iota // what a shell prints
	signTurns
	signProgram
	signBeats
)

// beats are messages of the client of one length.
type beats struct {
	length    uint32
	last      int64
	intervals series
}

func newRemoteControl(cfg RemoteControl) *remoteControl {
	return &remoteControl{cfg: cfg, flows: newTable[uint32, control](cfg.Flows)}
}

func (d *remoteControl) Name() string { return "remote_control" }

func (d *remoteControl) Wants(k Kind) Want { return when(k.is(traitUnknown)) }

func (d *remoteControl) Observe(c *Case) {
	o, p := c.Observation, c.Packet
	if p.Proto != packet.ProtoTCP || !p.HasPorts() || o.Flow == 0 {
		return
	}
	if classOf(o) != verdict.UnknownClass {
		return
	}
	h := hashOfFlow(o.Flow)
	s := d.flows.get(h, &o.Flow)
	if o.Noise == flow.Clean && p.PayloadLength > 0 && c.protocol() == protoNone {
		if s == nil {
			s = d.flows.take(h, &o.Flow)
		}
		d.watch(s, o)
	}
	if s == nil || s.score < inkling {
		return
	}
	if s.outdated(p.Time) {
		s.reason = s.words(o)
	}
	c.found(Finding{s.score, verdict.Outlier, s.reason, RoleService, 0})
}

func (d *remoteControl) watch(s *control, o *flow.Observation) {
	b := o.Packet.Payload
	switch {
	case s.signs&signShell == 0 && isShellOutput(b):
		s.add(signShell, 1)
	case s.signs&signProgram == 0 && o.ClientPayloads+o.ServerPayloads <= 4 && isStage(b):
		s.add(signProgram, 1)
	}
	paused := o.Age > typing && o.Packet.Time-s.spoke > typing
	s.spoke = o.Packet.Time
	if o.FromClient {
		if s.opened {
			s.turns++
			s.opened = false
		}
		if s.beats.add(o) >= d.cfg.Beats && s.signs&signBeats == 0 {
			s.add(signBeats, .75)
		}
	} else {
		s.opened = paused && isTyped(b)
	}
	if int(s.turns) >= d.cfg.Turns && s.signs&signTurns == 0 {
		s.add(signTurns, 1)
	}
	s.raise(Grade(s.evidence, d.cfg.Evidence), o.Packet.Time, math.MaxInt64)
}

// typing is the least pause before a line that a person types, nanoseconds.
const typing = 5e8

func (s *control) add(kind sign, evidence float64) {
	s.signs |= kind
	s.evidence += evidence
}

// isShellOutput tells that a payload is what shells and their usual first
// commands print.
func isShellOutput(b []byte) bool {
	b = b[:min(len(b), 256)]
	for _, text := range [...]string{
		"uid=0(root)", "Microsoft Windows [Version", "Microsoft Windows XP [Version", "(C) Microsoft Corp",
		"can't access tty; job control", "no job control in this shell",
		":\\WINDOWS\\system32>", ":\\Windows\\system32>",
	} {
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return bytes.HasPrefix(b, []byte("uid=")) && bytes.Contains(b, []byte("gid="))
}

// isStage tells that a payload is a program sent as such: its length first, as
// loaders do, and then the header of an executable.
func isStage(b []byte) bool {
	if len(b) > 68 && binary.LittleEndian.Uint32(b) < 1<<24 && isExecutable(b[4:]) {
		return true
	}
	return isExecutable(b)
}

// isExecutable tells that b begins like a program for Windows (MZ, and where
// the PE header is) or Linux (ELF).
func isExecutable(b []byte) bool {
	return len(b) >= 64 && (b[0] == 'M' && b[1] == 'Z' && binary.LittleEndian.Uint32(b[60:]) < 4096 ||
		bytes.HasPrefix(b, []byte("\x7fELF")))
}

// isTyped tells that the called side sends a line as people type it at a shell:
// short, printable, ending in a newline.
func isTyped(b []byte) bool {
	if len(b) < 2 || len(b) > 120 || b[len(b)-1] != '\n' || b[0] == '{' || b[0] == '<' || b[0] >= '0' && b[0] <= '9' {
		return false
	}
	for _, c := range b[:len(b)-1] {
		if c < ' ' && c != '\t' && c != '\r' || c > '~' {
			return false
		}
	}
	return true
}

// add takes a message of the client and returns how many of one length came at
// regular intervals while the server had nothing to say.
func (s *beats) add(o *flow.Observation) int {
	p := o.Packet
	gap := float64(p.Time-s.last) / 1e9
	if p.PayloadLength != s.length || p.PayloadLength > 128 || gap < 1 {
		*s = beats{length: p.PayloadLength, last: p.Time}
		return 0
	}
	s.last = p.Time
	s.intervals.add(gap)
	if _, cv := s.intervals.spread(); cv > 0.1 {
		return 0
	}
	return s.intervals.n
}

func (s *control) words(o *flow.Observation) string {
	server, port := o.Server()
	what := ""
	say := func(kind sign, text string) {
		if s.signs&kind == 0 {
			return
		}
		if what != "" {
			what += ", "
		}
		what += text
	}
	say(signShell, "the output of a shell")
	say(signTurns, fmt.Sprintf("%d typed lines of the called side that the caller answered", s.turns))
	say(signProgram, "a program sent as such")
	mean, _ := s.beats.intervals.spread()
	say(signBeats, fmt.Sprintf("%d messages of %d bytes, one every %.1f s", s.beats.intervals.n+1, s.beats.length, mean))
	return fmt.Sprintf("in no known protocol, with %s port %d: %s", server, port, what)
}
