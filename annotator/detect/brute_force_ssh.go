package detect

import (
	"bytes"

	"ampulla/annotator/flow"
)

// sshLogin follows the authentication of one SSH connection from outside the
// encryption: after the key exchange the client asks and the server answers in
// turn, and every refusal has the same size, because it says the same.
type sshLogin struct {
	fromServer bool      // the latest payload was the server's
	answers    [2]uint32 // the server's latest answers, bytes, the newest first
	requests   [4]uint32 // the client's latest requests, likewise
	run        int       // answers in turn as large as one of the two before
	half       bool      // an odd number of answers where two make an attempt
	counted    int       // failures told of
	done       bool      // let in, or past authentication
}

const (
	// sshAnswer is the most that an answer to an attempt measures, bytes;
	// those of the key exchange are larger or clear.
	sshAnswer = 160
	// sshRequest is the most that a request with a password measures, bytes.
	sshRequest = 512
	// sshFirst is by which payload of the server refusals have begun, and
	// sshLast by which they have come to an end: identification, key exchange,
	// service accepted, methods, six refusals or twelve halves of one.
	sshFirst, sshLast = 8, 24
)

// read returns 1 for a refused attempt, -1 when the client was let in.
func (s *sshLogin) read(o *flow.Observation) int {
	if bytes.HasPrefix(o.Packet.Payload, []byte("SSH-1.5")) {
		s.done = true // version 1 says yes and no in the same size
	}
	if s.done {
		return 0
	}
	n := o.Packet.PayloadLength
	if o.FromClient {
		s.fromServer = false
		s.requests = [4]uint32{n, s.requests[0], s.requests[1], s.requests[2]}
		return 0
	}
	inTurn := !s.fromServer
	s.fromServer = true
	if n > sshAnswer {
		return 0 // key exchange, or a key that would do
	}
	return s.answer(n, o.ServerPayloads, inTurn)
}

// answer takes the server's answer number nth, n bytes.
func (s *sshLogin) answer(n, nth uint32, inTurn bool) int {
	before, repeats := s.answers, inTurn && s.repeats(n)
	s.answers = [2]uint32{n, before[0]}
	switch {
	case nth > sshLast,
		!inTurn && s.run > 0,
		!repeats && s.run > 0 && n < min(before[0], before[1]), // success is the shortest answer of all
		!repeats && nth > sshFirst:
		s.done = true
		return -1
	case !repeats:
		return 0
	}
	// The first answers accept the service and list the methods.
	if s.run++; s.run < 2 {
		return 0
	}
	// In keyboard-interactive (RFC 4256) an attempt takes two requests and two
	// answers: one for the wish, one for the password. Some clients ask for the
	// service anew before each attempt.
	if r := s.requests; n != before[0] || r[0] == r[2] && r[0] != r[1] || r[0] <= n || r[1] <= n {
		if s.half = !s.half; s.half {
			return 0
		}
	}
	s.counted++
	return 1
}

// repeats tells that an answer of n bytes says once more what one of the two
// before it said, and no terminal repeats what somebody types: there, requests
// and answers are all of one size.
func (s *sshLogin) repeats(n uint32) bool {
	r, before := s.requests, s.answers
	if r[0] > sshRequest {
		return false
	}
	inPairs := r[0] != r[1] && (r[0] == r[2] || r[1] == r[3])
	switch n {
	case before[0]:
		return r[0] > n || inPairs
	case before[1]:
		return r[0] > n || r[0] == n && inPairs
	}
	return false
}

// end counts a connection that closes before anybody was let in.
func (s *sshLogin) end(o *flow.Observation) int {
	const exchanged = 3 // payloads of the server before anything is encrypted
	if s.done || s.counted > 0 || o.ServerPayloads <= exchanged || o.ServerPayloads > sshLast {
		return 0
	}
	return 1
}
