package analysis

import (
	"context"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// Feedback keeps what somebody says of verdicts. Captures that are opened from
// then on are judged by it, those that were before once more. Its errors are those
// of the contract.
func (s *Store) Feedback(ctx context.Context, said *annotatorv1.AddFeedbackRequest) (*annotatorv1.FeedbackRule, error) {
	return s.cfg.Annotator.AddFeedback(ctx, said)
}

// Rules lists the rules of feedback.
func (s *Store) Rules(ctx context.Context) (*annotatorv1.FeedbackList, error) {
	return s.cfg.Annotator.ListFeedback(ctx, &annotatorv1.ListFeedbackRequest{})
}

// Undo takes a rule of feedback back.
func (s *Store) Undo(ctx context.Context, id uint32) (*annotatorv1.FeedbackRule, error) {
	return s.cfg.Annotator.UndoFeedback(ctx, &annotatorv1.FeedbackId{Id: id})
}

// rules stands for the rules of feedback by which captures are judged now. It is
// empty if nobody knows, in which case they do not change either.
func (s *Store) rules() string {
	ctx, cancel := context.WithTimeout(s.life, 5*time.Second)
	defer cancel()
	list, err := s.Rules(ctx)
	if err != nil {
		return ""
	}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(list)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return string(sum[:])
}
