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
	size       uint32    // of the server's latest answer, bytes
	requests   [3]uint32 // the client's latest requests, bytes, the newest first
	half       bool      // an odd number of answers to requests that take turns
	run        int       // answers of that size in turn
	counted    int       // failures told of
	done       bool      // let in, or past authentication
}

const (
	// sshKeyExchange is the most that a packet of the authentication phase
	// measures; those of the key exchange before it are larger or clear.
	sshKeyExchange = 160
	// sshPayloads is how many packets of the server authentication can take:
	// identification, key exchange, a few questions and six refusals.
	sshPayloads = 24
)

// read returns 1 for a refused attempt, -1 when the client was let in.
func (s *sshLogin) read(o *flow.Observation) int {
	n := o.Packet.PayloadLength
	if bytes.HasPrefix(o.Packet.Payload, []byte("SSH-1.5")) {
		s.done = true // version 1 says yes and no in the same size
	}
	if s.done {
		return 0
	}
	if o.FromClient {
		s.fromServer = false
		s.requests = [3]uint32{n, s.requests[0], s.requests[1]}
		return 0
	}
	inTurn := !s.fromServer
	s.fromServer = true
	if o.ServerPayloads > sshPayloads || !inTurn && s.run >= 2 {
		return s.letIn()
	}
	if !inTurn || n > sshKeyExchange {
		s.run = 0
		return 0
	}
	switch {
	case n == s.size && s.requests[0] > n:
		s.run++
	case s.run >= 2 && n < s.size:
		return s.letIn() // success is the shortest answer of all
	default:
		s.size, s.run = n, 1
	}
	// The first answers accept the service and list the methods.
	if s.run <= 2 {
		return 0
	}
	// In keyboard-interactive (RFC 4256) an attempt takes two requests of
	// different size: the wish and the password.
	if r := s.requests; r[0] == r[2] && r[0] != r[1] {
		if s.half = !s.half; s.half {
			return 0
		}
	}
	s.counted++
	return 1
}

func (s *sshLogin) letIn() int {
	s.done = true
	return -1
}

// end counts a connection that closes before anybody was let in.
func (s *sshLogin) end(o *flow.Observation) int {
	const exchanged = 3 // payloads of the server before anything is encrypted
	if s.done || s.counted > 0 || o.ServerPayloads <= exchanged || o.ServerPayloads > sshPayloads {
		return 0
	}
	return 1
}
