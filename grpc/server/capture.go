package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/dumpcap"
	"ampulla/annotator/output"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Limits of a capture's options, as the contract states them.
const (
	maxInterfaces = 16
	maxSnapLength = 262_144 // bytes; the most that libpcap captures
)

// dumpcap finds the program by which to capture, for callers who may.
func (s *Server) dumpcap(ctx context.Context) (dumpcap.Program, error) {
	if err := checkLocal(ctx, "capturing"); err != nil {
		return "", err
	}
	if s.cfg.Dumpcap != "" {
		return s.cfg.Dumpcap, nil
	}
	program, err := dumpcap.Find()
	return program, dumpcapError(err)
}

// dumpcapError gives an error of package dumpcap its status code.
func dumpcapError(err error) error {
	var e *dumpcap.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return status.FromContextError(err).Err()
	}
	code := codes.FailedPrecondition
	switch e.Kind {
	case dumpcap.ErrMissing:
		code = codes.NotFound
	case dumpcap.ErrPermission:
		code = codes.PermissionDenied
	case dumpcap.ErrFilter:
		code = codes.InvalidArgument
	}
	return status.Error(code, explained(err))
}

// explained returns an error with what the user can do about it, as a text that
// a message can hold.
func explained(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*dumpcap.Error](err); ok && e.Hint != "" {
		text += "; " + e.Hint
	}
	return valid(text)
}

// valid makes a text of the system one that a message can hold.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// ListInterfaces lists what can be captured from.
func (s *Server) ListInterfaces(ctx context.Context, _ *annotatorv1.ListInterfacesRequest) (*annotatorv1.InterfaceList, error) {
	program, err := s.dumpcap(ctx)
	if err != nil {
		return nil, err
	}
	interfaces, err := program.Interfaces(ctx)
	if err != nil {
		return nil, dumpcapError(err)
	}
	list := new(annotatorv1.InterfaceList)
	for _, i := range interfaces {
		list.Interfaces = append(list.Interfaces, &annotatorv1.Interface{
			Name: valid(i.Name), Description: valid(i.Description), Addresses: i.Addresses, Loopback: i.Loopback,
		})
	}
	return list, nil
}

// StartCapture captures into a file.
func (s *Server) StartCapture(ctx context.Context, options *annotatorv1.CaptureOptions) (*annotatorv1.Capture, error) {
	program, err := s.dumpcap(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkCapture(options); err != nil {
		return nil, err
	}
	session, err := s.newSession(ctx, options.GetSession(), s.cfg.Engine)
	if err != nil {
		return nil, err
	}
	c, err := openCapture(ctx, session, program, options)
	if err == nil && !s.captures.add(c) {
		c.giveUp()
		err = status.Error(codes.Unavailable, "the annotator is stopping")
	}
	if err != nil {
		session.close()
		return nil, err
	}
	leave := s.enter() // a capture is no idling, even if nobody watches
	go func() {
		defer session.close()
		defer leave()
		c.run()
	}()
	return c.snapshot(), nil
}

// checkCapture checks what is not a session's.
func checkCapture(o *annotatorv1.CaptureOptions) error {
	const most = math.MaxInt32
	names := o.GetInterfaces()
	switch {
	case proto.Size(o) > maxOptions:
		return status.Errorf(codes.InvalidArgument, "options of %d bytes, more than %d", proto.Size(o), maxOptions)
	case len(names) < 1 || len(names) > maxInterfaces:
		return status.Errorf(codes.InvalidArgument, "interfaces: %d is not between 1 and %d", len(names), maxInterfaces)
	case slices.Contains(names, ""):
		return status.Error(codes.InvalidArgument, "interfaces: a name is empty")
	case o.GetSnapLength() > maxSnapLength:
		return status.Errorf(codes.InvalidArgument, "snap_length: %d is more than %d", o.GetSnapLength(), maxSnapLength)
	case o.GetMaxFrames() > most || o.GetMaxBytes() > most*1000 || o.GetMaxSeconds() > most:
		return status.Errorf(codes.InvalidArgument, "max_frames, max_bytes, max_seconds: more than %d, or than a thousand times that", most)
	case selected[o.GetComments()] == "":
		return status.Errorf(codes.InvalidArgument, "comments: there is no selection %d", o.GetComments())
	case !filepath.IsAbs(o.GetOutput()):
		return status.Errorf(codes.InvalidArgument, "output: %q is not an absolute path", o.GetOutput())
	}
	if err := output.CheckName(o.GetOutput()); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return nil
}

// openCapture creates the file and starts dumpcap.
func openCapture(ctx context.Context, session *session, program dumpcap.Program, options *annotatorv1.CaptureOptions) (*capture, error) {
	// As dumpcap does: what was captured is for the user alone.
	file, err := os.OpenFile(options.GetOutput(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fileError(err)
	}
	source, err := program.Start(ctx, dumpcap.Config{
		Interfaces: options.GetInterfaces(), Filter: options.GetFilter(),
		SnapLen: int(options.GetSnapLength()), NoPromiscuous: options.GetNoPromiscuous(),
		MaxPackets: int(options.GetMaxFrames()), MaxBytes: int(options.GetMaxBytes()), MaxSeconds: int(options.GetMaxSeconds()),
	})
	if err != nil {
		_ = file.Close()
		_ = os.Remove(file.Name())
		return nil, dumpcapError(err)
	}
	return newCapture(session, source, file, options), nil
}

// WatchCapture sends the state of a capture until it is over.
func (s *Server) WatchCapture(id *annotatorv1.CaptureId, stream grpc.ServerStreamingServer[annotatorv1.Capture]) error {
	c, err := s.find(stream.Context(), id)
	if err != nil {
		return err
	}
	tick := time.NewTicker(progressPause)
	defer tick.Stop()
	for sent := (*annotatorv1.Capture)(nil); ; {
		now := c.snapshot()
		if !proto.Equal(sent, now) {
			if err := stream.Send(now); err != nil {
				return err
			}
			sent = now
		}
		if now.GetState() != annotatorv1.Capture_STATE_RUNNING {
			return nil
		}
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-c.done:
		case <-tick.C:
		}
	}
}

// StopCapture ends a capture and waits until its file is complete.
func (s *Server) StopCapture(ctx context.Context, id *annotatorv1.CaptureId) (*annotatorv1.Capture, error) {
	c, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	c.source.Stop()
	select {
	case <-c.done:
		return c.snapshot(), nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// ListCaptures lists the captures of this server.
func (s *Server) ListCaptures(ctx context.Context, _ *annotatorv1.ListCapturesRequest) (*annotatorv1.CaptureList, error) {
	if err := checkLocal(ctx, "capturing"); err != nil {
		return nil, err
	}
	list := new(annotatorv1.CaptureList)
	for _, c := range s.captures.all() {
		list.Captures = append(list.Captures, c.snapshot())
	}
	return list, nil
}

// find returns the capture of that number.
func (s *Server) find(ctx context.Context, id *annotatorv1.CaptureId) (*capture, error) {
	if err := checkLocal(ctx, "capturing"); err != nil {
		return nil, err
	}
	for _, c := range s.captures.all() {
		if c.id() == id.GetId() {
			return c, nil
		}
	}
	return nil, status.Error(codes.NotFound, fmt.Sprintf("there is no capture %d", id.GetId()))
}
