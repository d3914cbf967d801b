package verdict

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// The comment grammar, version 1. A comment of ours has exactly two lines: a
// sentence for people and a line of space-separated key=value pairs for
// machines.
//
//	AI: port scan, score 0.97: 412 SYNs to 398 ports of 10.0.0.5 within 1.0 s
//	ai/1 class=unknown conf=0.41 score=0.970 verdict=anomalous type=port_scan incident=3 first=476 flow=17 cid=1:hO+s=… model=1
//
// Writing is strict. Reading is forgiving: the machine line may be any line of
// the comment, its keys may come in any order, unknown keys are ignored, and
// all but score may be missing. first is the number of the first frame of the
// incident, in the capture that was annotated; rule is that of feedback which
// changed the verdict, and hindsight=1 says that what came later told of the
// packet. Values hold no spaces; those that would are percent-encoded.
const (
	sentencePrefix = "AI: "
	machineToken   = "ai/1"
	maxText        = 1000 // bytes; keeps a comment far below the 65,535 of a pcapng option
)

// ErrNoVerdict means that a text holds no machine line of this grammar.
var ErrNoVerdict = errors.New("no " + machineToken + " line")

// IsOurs tells whether a comment was written by Ampulla: two lines, the one a
// sentence, the other a machine line. Packet comments and the provenance
// comment of a section header both are. Removing annotations relies on it, so
// a comment in which a person merely quotes a line of ours is not.
func IsOurs(comment string) bool {
	sentence, machine, ok := strings.Cut(comment, "\n")
	return ok && strings.HasPrefix(sentence, sentencePrefix) &&
		strings.HasPrefix(machine, machineToken+" ") && !strings.Contains(machine, "\n")
}

// Comment returns v as the text of a pcapng comment.
func (v *Verdict) Comment() string { return string(v.AppendComment(make([]byte, 0, 512))) }

// AppendComment appends what Comment returns to b.
func (v *Verdict) AppendComment(b []byte) []byte {
	b = append(b, sentencePrefix...)
	what := v.Class
	switch {
	case v.Type != "":
		what = v.Type.Words()
	case v.Rule != 0:
		what = string(Normal) // of all that it could be
	}
	b = appendLine(b, what)
	b = append(b, ", score "...)
	b = appendShare(b, v.Score, 2)
	if v.Reason != "" {
		b = append(b, ": "...)
		b = appendLine(b, v.Reason)
	}
	b = append(b, "\n"+machineToken+" class="...)
	b = appendEscaped(b, v.Class)
	b = append(b, " conf="...)
	b = appendShare(b, v.Confidence, 2)
	b = append(b, " score="...)
	b = appendShare(b, v.Score, 3)
	b = append(b, " verdict="...)
	b = appendEscaped(b, string(v.Level))
	if v.Type != "" {
		b = append(b, " type="...)
		b = appendEscaped(b, string(v.Type))
	}
	if v.Incident != 0 {
		b = append(b, " incident="...)
		b = strconv.AppendUint(b, uint64(v.Incident), 10)
		b = append(b, " first="...)
		b = strconv.AppendUint(b, v.IncidentFirst, 10)
	}
	if v.Rule != 0 {
		b = append(b, " rule="...)
		b = strconv.AppendUint(b, uint64(v.Rule), 10)
	}
	if v.Hindsight {
		b = append(b, " hindsight=1"...)
	}
	b = append(b, " flow="...)
	b = strconv.AppendUint(b, uint64(v.Flow), 10)
	if v.CommunityID != "" {
		b = append(b, " cid="...)
		b = appendEscaped(b, v.CommunityID)
	}
	if v.Model != "" {
		b = append(b, " model="...)
		b = appendEscaped(b, v.Model)
	}
	return b
}

// Words returns the type as people write it, "port scan".
func (t Type) Words() string {
	switch t {
	case SlowDoS:
		return "slow DoS"
	case DNSTunnel:
		return "DNS tunnel"
	case ICMPTunnel:
		return "ICMP tunnel"
	case ARPSpoof:
		return "ARP spoofing"
	}
	return strings.ReplaceAll(string(t), "_", " ")
}

// ParseComment reads a verdict from a comment. Frame and Time are not part of
// it. The error is ErrNoVerdict when the text holds no machine line, and names
// the field otherwise.
func ParseComment(comment string) (Verdict, error) {
	machine, sentence := "", ""
	for line := range strings.SplitSeq(comment, "\n") {
		line = strings.TrimSuffix(line, "\r")
		switch {
		case machine == "" && strings.HasPrefix(line, machineToken+" "):
			machine = line[len(machineToken)+1:]
		case sentence == "" && strings.HasPrefix(line, sentencePrefix):
			sentence = line
		}
	}
	if machine == "" {
		return Verdict{}, ErrNoVerdict
	}
	v := Verdict{Class: UnknownClass, Score: -1}
	for field := range strings.FieldsSeq(machine) {
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			continue
		}
		if err := v.set(key, value); err != nil {
			return Verdict{}, fmt.Errorf("%s line: %s: %w", machineToken, key, err)
		}
	}
	if v.Score < 0 {
		return Verdict{}, fmt.Errorf("%s line: no score", machineToken)
	}
	if v.Level == "" {
		v.Level = LevelOf(v.Score)
	}
	if v.Type != "" || v.Rule != 0 || v.Level == Learning {
		v.Reason = reasonOf(sentence)
	}
	return v, nil
}

// set takes over one pair of the machine line; unknown keys are ignored.
func (v *Verdict) set(key, value string) error {
	text, err := url.PathUnescape(value)
	if err != nil {
		return err
	}
	switch key {
	case "class":
		v.Class = text
	case "verdict":
		v.Level = Level(text)
	case "type":
		v.Type = Type(text)
	case "cid":
		v.CommunityID = text
	case "model":
		v.Model = text
	case "conf":
		v.Confidence, err = unitInterval(text)
	case "score":
		v.Score, err = unitInterval(text)
	case "flow":
		v.Flow, err = number(text)
	case "incident":
		v.Incident, err = number(text)
	case "first":
		var n uint32
		n, err = number(text) // Wireshark has no more frames than that
		v.IncidentFirst = uint64(n)
	case "rule":
		v.Rule, err = number(text)
	case "hindsight":
		v.Hindsight = text == "1"
	}
	return err
}

func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// unitInterval reads a number from 0 to 1 in plain decimal digits, the only
// form that is written.
func unitInterval(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || x > 1 || strings.Trim(s, "0123456789.") != "" {
		return 0, fmt.Errorf("%s is not between 0 and 1", s)
	}
	return x, nil
}

// reasonOf returns what follows "AI: <what>, score <number>: ".
func reasonOf(sentence string) string {
	_, rest, ok := strings.Cut(sentence, ", score ")
	if !ok {
		return ""
	}
	_, reason, _ := strings.Cut(rest, ": ")
	return reason
}

// appendLine appends a text such that it fits into one line of bounded length.
func appendLine(b []byte, s string) []byte {
	if len(s) <= maxText && isPlain(s) {
		return append(b, s...)
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return append(b, s...)
}
