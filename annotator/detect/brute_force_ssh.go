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
	requests   [3]uint32 // the client's latest requests, likewise
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
		s.requests = [3]uint32{n, s.requests[0], s.requests[1]}
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
	before := s.answers
	s.answers = [2]uint32{n, before[0]}
	repeats := inTurn && s.requests[0] > n && s.requests[0] <= sshRequest && (n == before[0] || n == before[1])
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
	// answers: one for the wish, one for the password.
	if r := s.requests; n != before[0] || r[0] == r[2] && r[0] != r[1] {
		if s.half = !s.half; s.half {
			return 0
		}
	}
	s.counted++
	return 1
}

// end counts a connection that closes before anybody was let in.
func (s *sshLogin) end(o *flow.Observation) int {
	const exchanged = 3 // payloads of the server before anything is encrypted
	if s.done || s.counted > 0 || o.ServerPayloads <= exchanged || o.ServerPayloads > sshLast {
		return 0
	}
	return 1
}
