package client

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// AddFeedback has the annotator keep what somebody says of verdicts, and returns
// the rule that it became.
func (c *Conn) AddFeedback(ctx context.Context, said *annotatorv1.AddFeedbackRequest) (*annotatorv1.FeedbackRule, error) {
	r, err := annotatorv1.NewAnnotatorClient(c).AddFeedback(ctx, said)
	return r, unanswered(ctx, err)
}

// UndoFeedback has it take a rule back, and returns the rule.
func (c *Conn) UndoFeedback(ctx context.Context, id uint32) (*annotatorv1.FeedbackRule, error) {
	r, err := annotatorv1.NewAnnotatorClient(c).UndoFeedback(ctx, &annotatorv1.FeedbackId{Id: id})
	return r, unanswered(ctx, err)
}

// unanswered says why a call was not answered; nil if it was.
func unanswered(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return expired(ctx)
	case status.Code(err) == codes.Unimplemented:
		return ErrOld
	}
	return broken(err)
}

// ScopeWords says what a rule is about, as in "10.0.0.66 and 10.0.0.5, tcp/22, port
// scan".
func ScopeWords(s *annotatorv1.Scope) string {
	var parts []string
	if hosts := s.GetHosts(); len(hosts) > 0 {
		parts = append(parts, strings.Join(hosts, " and "))
	}
	if s.GetService() != "" {
		parts = append(parts, s.GetService())
	}
	if s.GetType() != "" {
		parts = append(parts, verdict.Type(s.GetType()).Words())
	}
	return strings.Join(parts, ", ")
}
