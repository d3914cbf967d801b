// Package signature recognises application protocols by what their
// specifications fix in the first bytes of a message: magic numbers, verbs,
// version fields, lengths that must agree with the datagram's.
//
// A signature is evidence, not a verdict: the classifier reads which ones match
// beside all else it knows of a flow, and learns how much each is worth. None
// looks at ports or addresses.
package signature

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"ampulla/annotator/packet"
)

// Window is how many bytes of a message signatures look at.
const Window = 64

// Count is how many signatures there are.
const Count = 159

// Message is the payload of one packet.
type Message struct {
	Data   []byte // what was captured of it; bytes beyond Window are not looked at
	Length int    // bytes on the wire
	Proto  uint8  // IP protocol of the transport
}

// Signature is what one specification says of its messages.
type Signature struct {
	// Class is the protocol's name, Wireshark's where it has one. Several
	// signatures may stand for one protocol.
	Class string
	// Doc says what must be there and where that is written.
	Doc string

	proto uint8 // 0 for any
	match func(m Message) bool
	// follows tells whether next is what the same side may send after m; nil if
	// one message is enough.
	follows func(m, next Message) bool
}

// Over tells whether the protocol runs over the IP protocol proto.
func (s *Signature) Over(proto uint8) bool { return s.proto == 0 || s.proto == proto }

// Match tells whether m looks like a message of the protocol. A signature that
// needs two messages never matches one.
func (s *Signature) Match(m Message) bool {
	return s.match != nil && s.Over(m.Proto) && s.match(m)
}

// Follows tells whether two messages of one side in a row look like the
// protocol, for the signatures that need two.
func (s *Signature) Follows(m, next Message) bool {
	return s.follows != nil && s.Over(m.Proto) && s.follows(m, next)
}

// Pair tells that the signature needs two messages.
func (s *Signature) Pair() bool { return s.follows != nil }

// Set is a set of signatures, by their places in [All].
type Set [(Count + 63) / 64]uint64

// Has tells whether signature i is in the set.
func (s *Set) Has(i int) bool { return s[i/64]>>(i%64)&1 == 1 }

// Matching returns the signatures that match m, see [Signature.Match].
func Matching(m Message) (set Set) {
	for _, i := range over[m.Proto] {
		if all[i].match(m) {
			set[i/64] |= 1 << (i % 64)
		}
	}
	return set
}

// over lists those of the signatures that one message is enough for, by the IP
// protocol that they run over.
var over = func() (list [256][]uint8) {
	for i := range all {
		for proto := range list {
			if all[i].match != nil && all[i].Over(uint8(proto)) {
				list[proto] = append(list[proto], uint8(i))
			}
		}
	}
	return list
}()

// All returns the signatures in their order, which is that of the features.
// Callers must not change them.
func All() []Signature { return all }

var all = slices.Concat(web, remote, mail, naming, service, database, messaging, media, files, vpn, routing, industry, home)

const (
	tcp = packet.ProtoTCP
	udp = packet.ProtoUDP
)

// at returns the byte at offset i, or -1 beyond what was captured.
func (m Message) at(i int) int {
	if uint(i) >= uint(len(m.Data)) {
		return -1
	}
	return int(m.Data[i])
}

// field returns the n bytes at offset i, or nil where they were not captured.
func (m Message) field(i, n int) []byte {
	if i < 0 || i+n > len(m.Data) {
		return nil
	}
	return m.Data[i : i+n]
}

// be16 returns the big-endian number at offset i, or -1 where it was not
// captured; so do the others in their sizes and byte orders.
func (m Message) be16(i int) int {
	if b := m.field(i, 2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return -1
}

func (m Message) be24(i int) int {
	if b := m.field(i, 3); b != nil {
		return int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	}
	return -1
}

func (m Message) be32(i int) int {
	if b := m.field(i, 4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return -1
}

func (m Message) le16(i int) int {
	if b := m.field(i, 2); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return -1
}

func (m Message) le32(i int) int {
	if b := m.field(i, 4); b != nil {
		return int(binary.LittleEndian.Uint32(b))
	}
	return -1
}

// has tells whether text, which is not empty, stands at offset i.
func (m Message) has(i int, text string) bool {
	return uint(i) < uint(len(m.Data)) && m.Data[i] == text[0] && string(m.field(i, len(text))) == text
}

// contains tells whether text stands anywhere in what was captured.
func (m Message) contains(text string) bool {
	return bytes.Contains(m.Data, []byte(text))
}

// fits tells whether a length found in the message agrees with its own: equal
// for a datagram; over TCP, where messages are cut and joined, no less than the
// least that the protocol allows and no more than most.
func (m Message) fits(length, least, most int) bool {
	if m.Proto == tcp && length != m.Length {
		return length >= least && length <= most
	}
	return length == m.Length && length >= least
}

// text tells whether the first n bytes, or all if there are fewer, are
// printable ASCII, CR, LF or tab.
func (m Message) text(n int) bool {
	for _, b := range m.Data[:min(n, len(m.Data))] {
		if (b < ' ' || b > '~') && b != '\r' && b != '\n' && b != '\t' {
			return false
		}
	}
	return len(m.Data) > 0
}

// zeros tells whether the bytes from offset i up to j are there and all 0.
func (m Message) zeros(i, j int) bool {
	for ; i < j; i++ {
		if m.at(i) != 0 {
			return false
		}
	}
	return true
}

// firsts is the set of bytes that begin one of some texts. Hardly any message
// begins like that, so asking it first is most of the work.
type firsts [256]bool

// firstsOf returns the set of texts, which are not empty; with fold, of their
// letters in upper and lower case.
func firstsOf(texts []string, fold bool) *firsts {
	set := new(firsts)
	for _, text := range texts {
		set[text[0]] = true
		if fold {
			set[strings.ToUpper(text)[0]], set[strings.ToLower(text)[0]] = true, true
		}
	}
	return set
}

// has tells whether m begins with a byte of the set.
func (f *firsts) has(m Message) bool { return len(m.Data) > 0 && f[m.Data[0]] }

// begins matches messages that begin with one of the texts.
func begins(texts ...string) func(Message) bool {
	set := firstsOf(texts, false)
	return func(m Message) bool {
		if !set.has(m) {
			return false
		}
		for _, text := range texts {
			if m.has(0, text) {
				return true
			}
		}
		return false
	}
}

// word matches messages whose first word, ended by a space or a line's end, is
// one of the words, in upper or lower case.
func word(words ...string) func(Message) bool {
	set := firstsOf(words, true)
	return func(m Message) bool {
		if !set.has(m) {
			return false
		}
		first := m.word(0)
		return len(first) > 0 && len(first) < len(m.Data) && oneOf(first, words)
	}
}

// word returns what stands from offset i up to a space or a line's end.
func (m Message) word(i int) []byte {
	rest := m.Data[min(i, len(m.Data)):]
	for n, b := range rest {
		if b == ' ' || b == '\r' || b == '\n' {
			return rest[:n]
		}
	}
	return rest
}

// oneOf tells whether text is one of the words, in upper or lower case.
func oneOf(text []byte, words []string) bool {
	for _, w := range words {
		if len(w) == len(text) && bytes.EqualFold(text, []byte(w)) {
			return true
		}
	}
	return false
}

func either(matches ...func(Message) bool) func(Message) bool {
	return func(m Message) bool {
		for _, match := range matches {
			if match(m) {
				return true
			}
		}
		return false
	}
}

// reply matches a three-digit code of RFC 959 section 4.2, followed by a space
// or a hyphen, of one of the given first digits.
func (m Message) reply(first string) bool {
	if len(m.Data) < 4 || !strings.ContainsRune(first, rune(m.Data[0])) {
		return false
	}
	digit := func(b byte) bool { return b >= '0' && b <= '9' }
	return digit(m.Data[1]) && digit(m.Data[2]) && (m.Data[3] == ' ' || m.Data[3] == '-')
}
