package client

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
