package web

import (
	"fmt"
	"net/netip"
	"time"

	"ampulla/annotator/transaction"
)

// failure is something that went wrong for a client.
type failure struct {
	cause   string // a Cause
	client  netip.Addr
	server  netip.Addr
	culprit string // address, server or name
	what    string // a sentence without its end
	start   int64
	end     int64
	status  int
	host    string
	frames  []uint64
	filter  string

	inner []failure    // of other clients that began while this client waited
	outer []netip.Addr // servers for which others waited when this one began
}

// failureOf tells whether an exchange failed, and how; nil if it did not. A slow answer is a
// failure of its own once people lose patience.
func (c *Collector) failureOf(x *transaction.Exchange) *failure {
	f := &failure{
		client: x.Client.Addr(), server: x.Server.Addr(), start: x.Start, end: max(x.End, x.Start),
		culprit: x.Method + " " + keyOf(x).url, status: x.Status, host: x.Host, frames: x.Frames(),
		filter: conversation(x.Client, x.Server),
	}
	took := seconds(x.Took())
	switch {
	case x.Outcome == transaction.Unseen, x.Outcome == transaction.Unended && x.Took() < c.cfg.Patience.Nanoseconds():
		return nil
	case x.Status == 408 || x.Status == 504 || x.Status == 524:
		f.cause, f.what = CauseTimeout, fmt.Sprintf("%s answered %d after %s", f.culprit, x.Status, took)
	case x.Status >= 500:
		f.cause, f.what = CauseServer, fmt.Sprintf("%s answered %d after %s", f.culprit, x.Status, took)
	case x.Outcome == transaction.Reset || x.Outcome == transaction.Closed:
		f.cause, f.what = CauseReset, fmt.Sprintf("%s was broken off by the server after %s", f.culprit, took)
	case x.Status == 0 && x.Outcome == transaction.GivenUp && x.Took() < c.cfg.Slow.Nanoseconds():
		return nil // somebody clicked on
	case x.Status == 0:
		f.cause, f.what = CauseTimeout, fmt.Sprintf("%s was not answered within %s", f.culprit, took)
	case x.Status >= 400 && x.Status != 401 && x.Status != 404:
		f.cause, f.what = CauseClient, fmt.Sprintf("%s answered %d", f.culprit, x.Status)
	case timeOf(x) >= c.cfg.Patience.Nanoseconds() && !isStatic(kindOf(x.Response.Get("content-type"), x.Path)):
		f.cause, f.what = CauseSlow, fmt.Sprintf("%s took %s", f.culprit, took)
	default:
		return nil
	}
	return f
}

// failureOfConnection tells whether a connection failed, and how; nil if it did
// not.
func failureOfConnection(n *transaction.Connection) *failure {
	name := n.Server.String()
	if n.Host != "" {
		name = n.Host
	}
	f := &failure{
		client: n.Client.Addr(), server: n.Server.Addr(), culprit: name, start: n.Start, end: n.End, host: n.Host,
		frames: []uint64{n.Frame}, filter: conversation(n.Client, n.Server),
	}
	if n.FailureFrame != 0 && n.FailureFrame != n.Frame {
		f.frames = append(f.frames, n.FailureFrame)
	}
	switch n.Failure {
	case transaction.Refused:
		f.cause, f.what = CauseConnect, name+" refused the connection"
	case transaction.Unanswered:
		f.cause, f.what = CauseConnect, name+" did not answer the attempt to connect"
	case transaction.TLSFailed:
		f.cause, f.what = CauseTLS, fmt.Sprintf("no TLS session with %s: %s", name, n.Reason)
	default:
		return nil
	}
	return f
}

// seconds returns a duration of nanoseconds for people.
func seconds(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= 100*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// weight orders causes: what broke comes before what was only slow.
func weight(cause string) int {
	switch cause {
	case CauseTimeout:
		return 9
	case CauseServer:
		return 8
	case CauseReset:
		return 7
	case CauseConnect:
		return 6
	case CauseTLS:
		return 5
	case CauseDNS:
		return 4
	case CauseThirdParty:
		return 3
	case CauseSlow:
		return 2
	case CauseClient:
		return 1
	}
	return 0
}
