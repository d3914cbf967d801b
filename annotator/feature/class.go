package feature

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/signature"
)

// Widths of the parts of the classifier's vector.
const (
	generalWidth = 7
	lengthFields = 4 * lengthOffsets // of one payload
	// lengthOffsets is at how many offsets, from 0, a length field is sought.
	lengthOffsets = 5
	summaryWidth  = 7
	// nextBytes is how many bytes of a second payload are features themselves.
	nextBytes = 16
	sideWidth = flow.HeadBytes + nextBytes + summaryWidth + lengthFields
)

// ClassWidth is the number of values of a classifier vector.
const ClassWidth = generalWidth + flow.FirstPayloads + 2*sideWidth + signature.Count

// lengthSlack is by how many bytes a payload may be longer than a length field
// in it says, for the field to count as its length.
const lengthSlack = 32

// ClassNames returns the names of the classifier's features, in order.
func ClassNames() []string { return names(ClassFeatures()) }

// ClassFeatures describes the features of the classifier, in order.
func ClassFeatures() []Feature {
	fs := []Feature{
		{Name: "tcp", Doc: "1 if the transport is TCP"},
		{Name: "udp", Doc: "1 if the transport is UDP"},
		{Name: "sctp", Doc: "1 if the transport is SCTP"},
		{Name: "client_first", Doc: "1 if the first payload came from the client"},
		{Name: "client_payloads", Doc: "payload packets of the client so far, at most 8"},
		{Name: "server_payloads", Doc: "payload packets of the server so far, at most 8"},
		{Name: "turns", Doc: "changes of direction among the first 8 payload packets, 0 to 7"},
	}
	for i := range flow.FirstPayloads {
		fs = append(fs, Feature{
			Name: fmt.Sprintf("length_%d", i+1),
			Doc:  fmt.Sprintf("payload bytes of payload packet %d, negative from the server, 0 if not yet seen", i+1),
		})
	}
	fs = append(append(fs, sideFeatures("client")...), sideFeatures("server")...)
	return append(fs, signatureFeatures()...)
}

func signatureFeatures() []Feature {
	var fs []Feature
	seen := map[string]int{}
	for _, s := range signature.All() {
		seen[s.Class]++
		name := "signature_" + s.Class
		if seen[s.Class] > 1 {
			name = fmt.Sprintf("%s_%d", name, seen[s.Class])
		}
		doc := "share of the first and second payloads of both sides, as far as seen, that match: "
		if s.Pair() {
			doc = "1 if the first and second payload of a side match: "
		}
		fs = append(fs, Feature{Name: name, Doc: doc + s.Doc})
	}
	return fs
}

func sideFeatures(side string) []Feature {
	var fs []Feature
	add := func(name, doc string) {
		fs = append(fs, Feature{Name: side + "_" + name, Doc: fmt.Sprintf(doc, side)})
	}
	for i := range flow.HeadBytes {
		add(fmt.Sprintf("byte_%d", i), fmt.Sprintf("byte %d of the first payload of the %%s, 0 to 255, -1 if there is none", i))
	}
	for i := range nextBytes {
		add(fmt.Sprintf("next_%d", i), fmt.Sprintf("byte %d of the second payload of the %%s, 0 to 255, -1 if there is none", i))
	}
	add("length", "bytes of the first payload of the %s, 0 if not yet seen")
	add("printable", "share of printable ASCII, CR, LF and tab in the head of the first payload of the %s, 0 to 1, -1 if there is none")
	add("letters", "share of ASCII letters in that head of the %s, 0 to 1, -1 if there is none")
	add("digits", "share of ASCII digits in that head of the %s, 0 to 1, -1 if there is none")
	add("zeros", "share of zero bytes in that head of the %s, 0 to 1, -1 if there is none")
	add("entropy", "Shannon entropy of the bytes in that head of the %s, 0 to 6 bits, -1 if there is none")
	add("line", "offset of the first LF in that head of the %s, 0 to 63, -1 if there is none")
	for _, kind := range []string{"be16", "le16", "be32", "le32"} {
		for i := range lengthOffsets {
			add(fmt.Sprintf("%s_%d", kind, i), fmt.Sprintf("length of the first payload of the %%s less the %s number at offset %d, if that is 0 to %d, otherwise -1", kind, i, lengthSlack))
		}
	}
	return fs
}

// Classes computes the classifier's vectors. It remembers which signatures the
// latest messages match, since a conversation is looked at several times, and
// many begin alike. The zero value is ready; it is not safe for concurrent use.
type Classes struct {
	matches [512]matches // by hash of the message
}

// matches are the signatures that a message matches.
type matches struct {
	message
	set signature.Set
}

// Vector writes the vector of a conversation to out, which holds ClassWidth
// values. It does not allocate.
func (c *Classes) Vector(o *Opening, out []float32) {
	out = out[:ClassWidth]
	out[0] = flag(o.proto == packet.ProtoTCP)
	out[1] = flag(o.proto == packet.ProtoUDP)
	out[2] = flag(o.proto == packet.ProtoSCTP)
	out[3] = flag(o.lengths[0] > 0)
	out[4] = float32(o.payloads[0])
	out[5] = float32(o.payloads[1])
	turns := 0
	for i, n := range o.lengths {
		out[generalWidth+i] = float32(n)
		if i > 0 && n != 0 && (n > 0) != (o.lengths[i-1] > 0) {
			turns++
		}
	}
	out[6] = float32(turns)
	out = out[generalWidth+flow.FirstPayloads:]
	m := o.messages()
	writeSide(&m[0], &m[1], out[:sideWidth])
	writeSide(&m[2], &m[3], out[sideWidth:])
	c.writeSignatures(o, &m, out[2*sideWidth:])
}

func (c *Classes) writeSignatures(o *Opening, m *[4]signature.Message, out []float32) {
	clear(out)
	seen := 0
	for i := range m {
		if m[i].Length > 0 {
			seen++
		}
	}
	for i := range m {
		if m[i].Length == 0 {
			continue
		}
		for w, word := range c.matching(o, i, &m[i]) {
			for ; word != 0; word &= word - 1 {
				out[w*64+bits.TrailingZeros64(word)] += 1 / float32(seen)
			}
		}
	}
	all := signature.All()
	for _, k := range pairs {
		out[k] = flag(all[k].Follows(m[0], m[1]) || all[k].Follows(m[2], m[3]))
	}
}

// matching returns the signatures that message i of o matches, which is m.
func (c *Classes) matching(o *Opening, i int, m *signature.Message) signature.Set {
	key := message{o.heads[i], int32(m.Length), o.held[i], o.proto}
	known := &c.matches[key.hash()%uint64(len(c.matches))]
	if known.message != key {
		known.message, known.set = key, signature.Matching(*m)
	}
	return known.set
}

// pairs are the signatures that need two messages.
var pairs = func() (list []int) {
	for k, s := range signature.All() {
		if s.Pair() {
			list = append(list, k)
		}
	}
	return list
}()

// ClassDue tells whether the packet that f was last seen with calls for a new
// classification: it is payload packet 1, 2, 3, 4, 6 or 8, and no noise.
func ClassDue(f *flow.Flow) bool {
	if !f.Fresh {
		return false
	}
	switch f.Payloads() {
	case 1, 2, 3, 4, 6, 8:
		return true
	}
	return false
}

func writeSide(first, second *signature.Message, out []float32) {
	writeBytes(first.Data, out[:flow.HeadBytes])
	writeBytes(second.Data, out[flow.HeadBytes:flow.HeadBytes+nextBytes])
	out = out[flow.HeadBytes+nextBytes:]
	out[0] = float32(first.Length)
	writeSummary(first.Data, out[1:summaryWidth])
	writeLengthFields(first.Data, first.Length, out[summaryWidth:])
}

func writeBytes(b []byte, out []float32) {
	for i := range out {
		if i < len(b) {
			out[i] = float32(b[i])
		} else {
			out[i] = -1
		}
	}
}

func writeSummary(head []byte, out []float32) {
	for i := range out {
		out[i] = -1
	}
	if len(head) == 0 {
		return
	}
	var count [256]uint8
	var printable, letters, digits float32
	for i, b := range head {
		count[b]++
		switch {
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			letters++
			printable++
		case b >= '0' && b <= '9':
			digits++
			printable++
		case b >= ' ' && b < 0x7f || b == '\r' || b == '\n' || b == '\t':
			printable++
		}
		if b == '\n' && out[5] < 0 {
			out[5] = float32(i)
		}
	}
	n := float32(len(head))
	out[0], out[1], out[2] = printable/n, letters/n, digits/n
	out[3] = float32(count[0]) / n
	out[4] = entropy(head, &count)
}

// entropy returns the Shannon entropy of head in bits per byte. It takes each
// value's share where the value occurs first.
func entropy(head []byte, count *[256]uint8) float32 {
	var h float64
	bits := &surprise[len(head)]
	for _, b := range head {
		if c := count[b]; c > 0 {
			h -= bits[c]
			count[b] = 0
		}
	}
	return float32(h)
}

// surprise holds p log2(p) for p = c/n, by n and c.
var surprise = func() (of [flow.HeadBytes + 1][flow.HeadBytes + 1]float64) {
	for n := range of {
		for c := 1; c <= n; c++ {
			p := float64(c) / float64(n)
			of[n][c] = p * math.Log2(p)
		}
	}
	return of
}()

func writeLengthFields(head []byte, length int, out []float32) {
	for i := range lengthOffsets {
		be16, le16, be32, le32 := -1, -1, -1, -1
		if len(head) >= i+2 {
			be16, le16 = int(binary.BigEndian.Uint16(head[i:])), int(binary.LittleEndian.Uint16(head[i:]))
		}
		if len(head) >= i+4 {
			be32, le32 = int(binary.BigEndian.Uint32(head[i:])), int(binary.LittleEndian.Uint32(head[i:]))
		}
		out[i] = remainder(length, be16)
		out[lengthOffsets+i] = remainder(length, le16)
		out[2*lengthOffsets+i] = remainder(length, be32)
		out[3*lengthOffsets+i] = remainder(length, le32)
	}
}

func remainder(length, field int) float32 {
	d := length - field
	if field <= 0 || d < 0 || d > lengthSlack {
		return -1
	}
	return float32(d)
}

func flag(b bool) float32 {
	if b {
		return 1
	}
	return 0
}
