package transaction

import (
	"strings"

	"ampulla/annotator/packet"
)

// maxTurns is how many turns are kept of a connection that cannot be read.
const maxTurns = 256

// connection is what is remembered of a TCP connection while it lasts.
type connection struct {
	Connection
	oriented bool // Client and Server are known, not guessed
	answered bool // SYN and ACK were seen, or anything else from the server
	heard    bool // something of the server was captured
	over     bool // one side has closed it
	passed   bool // it was passed on before its end

	tls  tlsState
	turn turn

	pending []*Exchange          // HTTP/1: in order; the first may be in the middle of its answer
	streams map[uint32]*Exchange // HTTP/2
}

// tcp takes a TCP segment in.
func (t *Tracker) tcp(r *row) {
	number32 := uint32(number(r.text(colStream)))
	c, ok := t.connections.Get(number32)
	if !ok {
		c = &connection{Connection: Connection{Number: number32, Start: r.time, Frame: r.frame}}
		t.orient(c, r)
		t.connections.Add(number32, c)
	}
	c.End = r.time
	c.Bytes += int64(r.payload)
	fromClient := c.Client == endpoint(r.src, r.srcPort)
	c.heard = c.heard || !fromClient
	t.handshake(c, r, fromClient)
	if r.payload > 0 && !r.has(colRetransmission) && !r.has(colKeepAlive) {
		t.payload(c, r, fromClient)
	}
	if r.flags&(packet.FIN|packet.RST) != 0 {
		t.closing(c, r, fromClient)
	}
}

// orient decides who called whom: whoever sends SYN did, and else whoever sends
// to the lower port; requests correct that later.
func (t *Tracker) orient(c *connection, r *row) {
	src, dst := endpoint(r.src, r.srcPort), endpoint(r.dst, r.dstPort)
	c.oriented = r.flags&packet.SYN != 0
	reverse := r.flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK ||
		!c.oriented && (r.has(colStatus) || !r.has(colMethod) && r.srcPort < r.dstPort)
	if reverse {
		src, dst = dst, src
	}
	c.Client, c.Server = src, dst
}

// handshake takes in what a segment says of the connection itself.
func (t *Tracker) handshake(c *connection, r *row, fromClient bool) {
	switch {
	case fromClient && r.flags&packet.SYN != 0:
	case !fromClient && r.flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK:
		if !c.answered && c.oriented {
			c.Connect = max(1, r.time-c.Start)
		}
		c.answered = true
	case !fromClient && r.flags&packet.RST != 0 && !c.answered:
		c.Failure, c.FailureFrame = Refused, r.frame
	case !fromClient || r.payload > 0:
		c.answered = true
	}
}

// payload takes in a segment that carries something new.
func (t *Tracker) payload(c *connection, r *row, fromClient bool) {
	t.tlsRow(c, r, fromClient)
	readable := r.has(colMethod) || r.has(colStatus) || r.has(colH2Type) || c.Exchanges > 0
	switch {
	case r.has(colH2Type):
		t.http2(c, r, fromClient)
	case readable:
		t.http1(c, r, fromClient)
	case c.TLS:
		c.turn.row(c, r, fromClient)
	}
}

// closing takes in a FIN or a RST.
func (t *Tracker) closing(c *connection, r *row, fromClient bool) {
	if c.over {
		return
	}
	c.over = true
	c.tls.closed(c, r, fromClient)
	outcome := Closed
	switch {
	case fromClient:
		outcome = GivenUp
	case r.flags&packet.RST != 0:
		outcome = Reset
	}
	t.endExchanges(c, outcome, r.time, r.frame)
	if c.Failure != "" && c.Exchanges == 0 {
		t.pass(c) // nothing more will come of it
	}
}

// endExchanges ends what is not ended; outcome is that of unanswered ones.
func (t *Tracker) endExchanges(c *connection, outcome Outcome, time int64, frame uint64) {
	if !c.heard {
		outcome = Unseen
	}
	for _, x := range c.pending {
		t.endHTTP1(c, x, outcome, time, frame)
	}
	c.pending = nil
	for id, x := range c.streams {
		delete(c.streams, id)
		x.Outcome, x.End, x.LastFrame = outcome, time, frame
		t.exchange(x)
	}
}

// end is called when a connection is over, forgotten, or the capture is.
func (t *Tracker) end(c *connection) {
	t.endExchanges(c, Unended, t.now, 0)
	c.turn.end(c)
	if !c.answered && c.Failure == "" {
		c.Failure, c.FailureFrame = Unanswered, c.Frame
	}
	if c.Exchanges > 0 {
		c.Turns = nil
	}
	t.pass(c)
}

// pass passes a connection on, once.
func (t *Tracker) pass(c *connection) {
	if c.passed || t.cfg.OnConnection == nil {
		return
	}
	c.passed = true
	known := c.Connection
	t.cfg.OnConnection(&known)
}

// turn follows the turns of a connection that cannot be read.
type turn struct {
	Turn
	start    int64 // 0 outside of a turn
	answered bool
	count    int
}

// row takes in a segment with application data.
func (n *turn) row(c *connection, r *row, fromClient bool) {
	if !c.tls.done || !r.contains(colRecord, recordData) && !r.contains(colOpaque, recordData) {
		return
	}
	switch {
	case fromClient && (n.start == 0 || n.answered):
		n.end(c)
		n.start, n.answered = r.time, false
		n.Turn = Turn{Frame: r.frame}
	case !fromClient && n.start != 0:
		n.Took = r.time - n.start
		if !n.answered {
			n.answered, n.Wait = true, n.Took
		}
	}
}

// end writes a turn down. The first one of TLS 1.3 is left out: what the server
// sends first are tickets, which nobody asked for.
func (n *turn) end(c *connection) {
	if n.start == 0 || !n.answered {
		return
	}
	n.count++
	if len(c.Turns) < maxTurns && (n.count > 1 || c.Version != "1.3") {
		c.Turns = append(c.Turns, n.Turn)
	}
	n.start = 0
}

// authority returns a Host header or server name as it stands in URLs: in lower
// case, without the port that goes without saying.
func authority(host string, secure bool) string {
	host = strings.ToLower(strings.TrimSpace(host))
	if secure {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}
