package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ampulla/annotator/verdict"
	"ampulla/grpc/client"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// answering is how long an annotator may take for what it need not look a capture
// through for.
const answering = 10 * time.Second

// propose finds out what to say feedback about that somebody gives on a frame, as
// a line of hosts, service and type.
func (c *capture) propose(w *work, path string, position uint64) func(context.Context) (func() string, error) {
	explain, incidents := c.explanation(path, position), c.incidents(w)
	session := c.feed.current
	return func(ctx context.Context) (func() string, error) {
		e, err := explain(ctx)
		if err != nil {
			return nil, err
		}
		if e.Scope == nil {
			return nil, client.ErrOld
		}
		all, _, err := incidents(ctx)
		if err != nil {
			return nil, err
		}
		v, _, _ := session().Poll(position)
		s := e.Scope
		if i := slices.IndexFunc(all, func(i verdict.Incident) bool { return i.Number == v.Incident }); i >= 0 {
			s = scopeOf(&all[i], s)
		}
		return func() string {
			return fmt.Sprintf("hosts=%s service=%s type=%s", strings.Join(s.GetHosts(), ","), s.GetService(), s.GetType())
		}, nil
	}
}

// scopeOf returns the scope of the packets of an incident, of which one has the
// scope that is given: that one without what others have otherwise. A scan of
// many ports is about no service, and a sweep about one host only.
func scopeOf(i *verdict.Incident, one *annotatorv1.Scope) *annotatorv1.Scope {
	hosts, service := i.Common()
	s := &annotatorv1.Scope{Type: one.GetType()}
	for _, host := range hosts {
		if slices.Contains(one.GetHosts(), host) {
			s.Hosts = append(s.Hosts, host)
		}
	}
	if len(s.GetHosts()) == 0 {
		s.Hosts = one.GetHosts()
	}
	if service == one.GetService() {
		s.Service = service
	}
	return s
}

// say has the annotator keep what somebody says, in lines of a key and a value: the
// answer is the number of the rule and, in the next line, what it is about.
func (c *capture) say(lines string) func(context.Context) (func() string, error) {
	said := &annotatorv1.AddFeedbackRequest{Scope: &annotatorv1.Scope{}}
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch key {
		case "says":
			said.Says = value
		case "hosts":
			said.Scope.Hosts = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		case "service":
			said.Scope.Service = value
		case "type":
			said.Scope.Type = value
		case "why":
			said.Why = value
		}
	}
	return c.rule(func(ctx context.Context, conn *client.Conn) (*annotatorv1.FeedbackRule, error) {
		return conn.AddFeedback(ctx, said)
	})
}

// undo has the annotator take a rule back.
func (c *capture) undo(id uint64) func(context.Context) (func() string, error) {
	return c.rule(func(ctx context.Context, conn *client.Conn) (*annotatorv1.FeedbackRule, error) {
		return conn.UndoFeedback(ctx, uint32(id))
	})
}

// rule asks the annotator something that has to do with a rule.
func (c *capture) rule(ask func(context.Context, *client.Conn) (*annotatorv1.FeedbackRule, error)) func(context.Context) (func() string, error) {
	dial := c.dial
	return func(ctx context.Context) (func() string, error) {
		ctx, cancel := context.WithTimeout(ctx, answering)
		defer cancel()
		conn, err := client.Dial(ctx, dial)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		r, err := ask(ctx, conn)
		if err != nil {
			return nil, err
		}
		return func() string { return fmt.Sprintf("%d\n%s", r.GetId(), client.ScopeWords(r.GetScope())) }, nil
	}
}
