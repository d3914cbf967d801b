package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Errors of a Session.
var (
	// ErrTimeout means that the annotator did not answer in time.
	ErrTimeout = errors.New("annotator does not answer")
	// ErrGone means that the annotator has ended, or the connection to it.
	ErrGone = errors.New("annotator has gone")
	// ErrFull means that MaxQueued frames are waiting already.
	ErrFull = errors.New("annotator is too slow: queue is full")
	// ErrUnknownFrame means that no such frame was queued.
	ErrUnknownFrame = errors.New("frame was not queued")
	// ErrForgotten means that the frame is too far back, see Options.Keep.
	ErrForgotten = errors.New("verdict is no longer kept")
)

// refusal is what an annotator answers in the place of verdicts.
type refusal struct{ *status.Status }

func (r refusal) Error() string { return "annotator: " + words(r.Status) }

// GRPCStatus lets [status.Code] tell the code.
func (r refusal) GRPCStatus() *status.Status { return r.Status }

// words returns what the annotator said, of which there may be any amount.
func words(st *status.Status) string {
	const enough = 300 // bytes
	message := st.Message()
	switch {
	case message == "":
		return st.Code().String()
	case len(message) > enough:
		return strings.ToValidUTF8(message[:enough], "") + "..."
	}
	return message
}

// explain says why there is no session.
func (c *Conn) explain(err error, heard bool) error {
	switch {
	case errors.Is(err, io.EOF):
		return ErrGone
	case !heard && !c.remote():
		return fmt.Errorf("what listens at %s is no annotator: %s", c.path, words(status.Convert(err)))
	}
	return refusal{status.Convert(err)}
}

// broken says why a session is over.
func broken(err error) error {
	st := status.Convert(err)
	switch {
	case errors.Is(err, io.EOF):
		return ErrGone
	case st.Code() == codes.Unavailable || st.Code() == codes.Canceled:
		return fmt.Errorf("%w: %s", ErrGone, words(st))
	}
	return refusal{st}
}

// expired says that ctx has ended.
func expired(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return ctx.Err()
}
