package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/feedback"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
	"ampulla/grpc/server"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestFeedback says something and takes it back; what the annotator refuses, or
// does not know, is told.
func TestFeedback(t *testing.T) {
	file := feedback.NewFile(filepath.Join(t.TempDir(), "feedback.yaml"), func(err error) { t.Error(err) })
	conn := dial(t, serve(t, func(cfg *server.Config) { cfg.Feedback = file }))
	said := &annotatorv1.AddFeedbackRequest{Says: "normal", Scope: &annotatorv1.Scope{Type: "beacon"}}
	r, err := conn.AddFeedback(t.Context(), said)
	if err != nil || r.GetId() != 1 || file.Rules().Len() != 1 {
		t.Error(r, err)
	}
	if r, err := conn.UndoFeedback(t.Context(), 1); err != nil || r.GetScope().GetType() != "beacon" || file.Rules().Len() != 0 {
		t.Error(r, err)
	}
	if _, err := conn.UndoFeedback(t.Context(), 1); status.Code(err) != codes.NotFound || !strings.HasPrefix(err.Error(), "annotator: rule 1: ") {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := conn.AddFeedback(ended, said); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	start := grpctest.Annotator(func(grpctest.Calls) error { return nil }) // knows no more than sessions
	old := dial(t, "unix:"+start(t))
	if _, err := old.AddFeedback(t.Context(), said); !errors.Is(err, client.ErrOld) {
		t.Error(err)
	}
}
