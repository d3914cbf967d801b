package transaction

import (
	"cmp"
	"strconv"
	"strings"
)

// http1 takes in a segment of an HTTP/1 connection (RFC 9112).
//
// tshark is told not to put bodies together, so that a message is seen in the
// segment in which its header ends, and what follows in the same direction is
// its body.
func (t *Tracker) http1(c *connection, r *row, fromClient bool) {
	if r.has(colMethod) {
		if !fromClient { // the guess who called whom was wrong
			c.Client, c.Server = c.Server, c.Client
		}
		t.requests(c, r)
		return
	}
	if fromClient {
		if n := len(c.pending); n > 0 && c.pending[n-1].FirstByte == 0 {
			x := c.pending[n-1]
			x.Sent, x.RequestBytes = r.time, x.RequestBytes+int64(r.payload)
		}
		return
	}
	t.responses(c, r)
	if len(c.pending) > 0 && c.pending[0].FirstByte != 0 && !r.onlyAlert() {
		x := c.pending[0]
		x.End, x.LastFrame, x.ResponseBytes = r.time, r.frame, x.ResponseBytes+int64(r.payload)
	}
}

// requests takes in a segment in which requests begin, mostly one.
func (t *Tracker) requests(c *connection, r *row) {
	if len(c.pending) > 0 && c.pending[0].FirstByte != 0 { // its answer is over
		t.endHTTP1(c, c.pending[0], Answered, r.time, r.frame)
		c.pending = c.pending[1:]
	}
	uris, version := r.values(colURI), strings.TrimPrefix(r.first(colRequestVersion), "HTTP/")
	for i, method := range r.values(colMethod) {
		x := t.newExchange(c, r)
		x.Version, x.Method = cmp.Or(version, "1.1"), strings.Clone(clip(method, 32))
		if i < len(uris) {
			x.Path = strings.Clone(clip(uris[i], t.cfg.HeaderBytes))
		}
		if i == 0 { // of pipelined requests, the header lines cannot be told apart
			x.Request = t.headers(r.values(colRequestLine))
			x.RequestBytes = int64(r.payload)
		} else if n := len(c.pending); n > 0 {
			x.Request = c.pending[n-1].Request
		}
		x.Host = t.host(c, x.Request.Get("host"), x.Secure)
		if len(c.pending) < t.cfg.Pending {
			c.pending = append(c.pending, x)
		}
	}
}

// newExchange returns one that begins with r.
func (t *Tracker) newExchange(c *connection, r *row) *Exchange {
	c.Exchanges++
	return &Exchange{
		Secure: c.TLS, Client: c.Client, Server: c.Server, Connection: c.Number, First: c.Exchanges == 1,
		Connect: c.Connect, Handshake: c.Handshake,
		Start: r.time, Sent: r.time, RequestFrame: r.frame,
	}
}

// host returns the authority of a request, and remembers it.
func (t *Tracker) host(c *connection, header string, secure bool) string {
	host := authority(clip(cmp.Or(header, c.Host), t.cfg.HeaderBytes), secure)
	if host == "" {
		host = authority(c.Server.String(), secure)
	}
	if c.Host == "" {
		c.Host = host
	}
	return strings.Clone(host)
}

// responses takes in a segment in which answers begin, mostly one.
func (t *Tracker) responses(c *connection, r *row) {
	for i, code := range r.values(colStatus) {
		status, _ := strconv.Atoi(code)
		if status < 200 && status != 101 {
			continue // an interim response; another follows
		}
		if len(c.pending) > 0 && c.pending[0].FirstByte != 0 { // pipelined
			t.endHTTP1(c, c.pending[0], Answered, r.time, r.frame)
			c.pending = c.pending[1:]
		}
		if len(c.pending) == 0 {
			return // to a request that was not captured
		}
		x := c.pending[0]
		x.Status, x.FirstByte, x.ResponseFrame = status, r.time, r.frame
		if i == len(r.values(colStatus))-1 {
			x.Response = t.headers(r.values(colResponseLine))
		}
		if status == 101 || x.Method == "CONNECT" && status < 300 { // what follows is no body
			x.End, x.LastFrame, x.ResponseBytes = r.time, r.frame, int64(r.payload)
			t.endHTTP1(c, x, Answered, r.time, r.frame)
			c.pending = c.pending[1:]
		}
	}
}

// endHTTP1 ends an exchange. An answer without a body, or one that is all there,
// is complete whatever happens to the connection.
func (t *Tracker) endHTTP1(c *connection, x *Exchange, outcome Outcome, time int64, frame uint64) {
	switch {
	case x.FirstByte == 0:
		x.Outcome, x.End, x.LastFrame = outcome, time, frame
	case outcome == GivenUp || outcome == Reset:
		x.Outcome = Answered
		if missing(x) {
			x.Outcome, x.End, x.LastFrame = outcome, time, frame
		}
	default:
		x.Outcome = Answered
	}
	t.exchange(x)
}

// missing tells whether a part of an answer that says its length has surely not
// come. Within TLS the records' own bytes count as well, so it errs to no.
func missing(x *Exchange) bool {
	if x.Method == "HEAD" || x.Status == 204 || x.Status == 304 {
		return false
	}
	length, err := strconv.ParseInt(x.Response.Get("content-length"), 10, 64)
	return err == nil && x.ResponseBytes < length
}
