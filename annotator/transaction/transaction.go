// Package transaction turns the packets of a capture into what people did on the
// web: requests with their answers ([Exchange]), connections with their
// handshakes ([Connection]) and name look-ups ([Lookup]), each with its times
// and the frames that show it.
//
// Wireshark knows HTTP better than we ever will, so tshark does the dissecting:
// HTTP/1, HTTP/2, TLS (decrypted where keys are known) and DNS. A [Reader] feeds
// it with those frames of a capture that matter and reads a line of fields a
// frame; times, lengths and addresses are those of our own decoder, since they
// are known before. Nothing is kept that is over: memory is bounded by [Config],
// not by the capture. What tshark itself remembers of a capture is beyond us.
package transaction

import (
	"net/netip"
	"slices"
	"strings"
)

// Outcome says how an exchange ended.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // the answer is complete, as far as can be told
	GivenUp  Outcome = "given_up" // the client closed or cancelled before the answer was complete
	Reset    Outcome = "reset"    // the server broke the connection or the stream off
	Closed   Outcome = "closed"   // the server closed the connection without an answer
	Unended  Outcome = "unended"  // nothing had come when the capture ended, or was forgotten
	Unseen   Outcome = "unseen"   // nothing that the server sent was captured
)

// Header is a line of a header, its name in lower case.
type Header struct{ Name, Value string }

// Headers are the lines of a header in order.
type Headers []Header

// Get returns the value of the first line of a name in lower case, "" if there
// is none.
func (h Headers) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

// Has tells whether there is a line of a name in lower case.
func (h Headers) Has(name string) bool {
	return slices.ContainsFunc(h, func(line Header) bool { return line.Name == name })
}

// Exchange is a request and what came of it. Times are nanoseconds since
// 1970-01-01 UTC, zero where that did not happen; frames are Wireshark's numbers,
// likewise.
type Exchange struct {
	Version        string // "1.0", "1.1" or "2"
	Secure         bool   // within TLS
	Client, Server netip.AddrPort
	Connection     uint32 // number of the connection, from 0; not Wireshark's, which counts more
	Stream         uint32 // within an HTTP/2 connection
	First          bool   // of its connection
	// Connect and Handshake are how long opening the connection took, TCP and
	// TLS, in nanoseconds; 0 where it was not seen.
	Connect, Handshake int64

	Method, Host, Path string // Path with its query; Host without a default port
	Request, Response  Headers
	Status             int // 0 without an answer
	Outcome            Outcome
	Start              int64 // first byte of the request
	Sent               int64 // last byte of the request
	FirstByte          int64 // end of the answer's header
	End                int64 // last byte of the answer, or when it was clear that none comes
	RequestBytes       int64 // in TCP segments (HTTP/2: in its frames), header included
	ResponseBytes      int64
	RequestFrame       uint64
	ResponseFrame      uint64 // the end of the answer's header
	LastFrame          uint64 // of the answer, or the one that ended it
}

// URL returns what was asked for, as in a browser's address bar.
func (x *Exchange) URL() string {
	if x.Method == "CONNECT" || strings.Contains(x.Path, "://") {
		return x.Path // a request to a proxy
	}
	return x.Origin() + x.Path
}

// Origin returns scheme, host and port.
func (x *Exchange) Origin() string {
	if x.Secure {
		return "https://" + x.Host
	}
	return "http://" + x.Host
}

// Known tells whether the exchange came to an end that was captured, so that its
// times mean something.
func (x *Exchange) Known() bool { return x.Outcome != Unended && x.Outcome != Unseen }

// Wait returns how long the answer took to begin, in nanoseconds; without an
// answer how long it was waited for.
func (x *Exchange) Wait() int64 {
	if x.FirstByte == 0 {
		return x.Took()
	}
	return max(0, x.FirstByte-x.Start)
}

// Took returns the time from the first byte of the request to the last of the
// answer, in nanoseconds; without an answer how long it was waited for.
func (x *Exchange) Took() int64 { return max(0, x.End-x.Start) }

// Frames returns the frames that show the exchange, in order.
func (x *Exchange) Frames() []uint64 {
	frames := []uint64{x.RequestFrame, x.ResponseFrame, x.LastFrame}
	slices.Sort(frames)
	frames = slices.Compact(frames)
	return slices.DeleteFunc(frames, func(f uint64) bool { return f == 0 })
}

// Failure says why a connection came to nothing; empty if it did not.
type Failure string

// The failures.
const (
	Refused    Failure = "refused"    // a reset instead of a connection
	Unanswered Failure = "unanswered" // nothing came back, a repeated attempt included
	TLSFailed  Failure = "tls"        // the TLS handshake was broken off
)

// Turn is a question and its answer within a connection whose content cannot be
// read: the client sends, then the server does.
type Turn struct {
	Wait  int64  // from the client's first byte to the server's first, nanoseconds
	Took  int64  // to the server's last byte
	Frame uint64 // the client's first
}

// Connection is a TCP connection, at its end.
type Connection struct {
	Client, Server netip.AddrPort
	Number         uint32 // as in Exchange.Connection
	Host           string // the server's name as the client called it; empty if unknown
	Start, End     int64  // first and last packet
	Connect        int64  // SYN to its answer, nanoseconds; 0 if not seen
	Failure        Failure
	Reason         string // of a TLS failure, in words
	Exchanges      int    // requests in it that could be read
	Bytes          int64  // in segments, both ways
	Frame          uint64 // the first
	FailureFrame   uint64 // the one that shows the failure

	TLS       bool
	Version   string // of TLS: "1.2", "1.3"; empty if unknown
	Offered   string // ALPN protocols that the client offered, with commas
	Chosen    string // ALPN protocol that the server chose; empty if unknown
	Handshake int64  // ClientHello to the end of the handshake, nanoseconds; 0 if not seen
	Hello     uint64 // frame of the ClientHello
	Asked     bool   // the client asked to continue an earlier session (TLS 1.3)
	Resumed   bool   // an earlier session was continued
	Full      bool   // a full handshake, certificate and all
	Turns     []Turn // of a TLS connection that could not be read, at most maxTurns
}

// Lookup is a question to a name server and its answer.
type Lookup struct {
	Client, Server netip.AddrPort
	Name           string
	Type           uint16 // RFC 1035 section 3.2.2 and later: 1 A, 28 AAAA, 65 HTTPS
	Start          int64
	Took           int64 // nanoseconds; for unanswered ones until it was given up
	Answered       bool
	Code           uint16 // RFC 1035 section 4.1.1: 0 fine, 2 server failure, 3 no such name
	Addresses      []netip.Addr
	Frame          uint64 // the question
	AnswerFrame    uint64
}
