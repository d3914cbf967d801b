package analysis

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// Recording is what to capture.
type Recording struct {
	Options
	Interfaces   []string
	Filter       string // of libpcap
	SnapLength   uint32 // bytes; 0 for all
	MaxPackets   uint32 // 0 for no limit of its own, as are the next two
	MaxMegabytes uint32
	MaxSeconds   uint32
}

// maxSeconds is how long a capture goes on at most.
const maxSeconds = 24 * 3600

// Interfaces lists what can be captured from.
func (s *Store) Interfaces(ctx context.Context) ([]*annotatorv1.Interface, error) {
	list, err := s.cfg.Annotator.ListInterfaces(ctx, &annotatorv1.ListInterfacesRequest{})
	return list.GetInterfaces(), err
}

// Record captures, and analyses the capture when it has ended. The error that
// the capture cannot begin is the job's.
//
//	INVALID_ARGUMENT    options
//	RESOURCE_EXHAUSTED  too many jobs
func (s *Store) Record(r Recording) (*Job, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	j := &Job{state: annotatorv1.Job{Source: strings.Join(r.Interfaces, ", "), Started: timestamppb.Now()}}
	return s.start(j, func(ctx context.Context) error { return j.record(ctx, r) })
}

// check returns an INVALID_ARGUMENT error if what is to be captured makes no
// sense; what depends on the machine the annotator knows.
func (r *Recording) check() error {
	if err := r.Options.check(); err != nil {
		return err
	}
	if len(r.Interfaces) < 1 || len(r.Interfaces) > 16 {
		return status.Errorf(codes.InvalidArgument, "interfaces: %d, not 1 to 16", len(r.Interfaces))
	}
	for _, name := range r.Interfaces {
		if name == "" || len(name) > 256 || strings.HasPrefix(name, "-") {
			return status.Errorf(codes.InvalidArgument, "interfaces: %.40q is none", name)
		}
	}
	return nil
}

// record captures and analyses.
func (j *Job) record(ctx context.Context, r Recording) error {
	annotator := j.store.cfg.Annotator
	raw := j.path() + ".raw.pcapng"
	defer os.Remove(raw)
	capture, err := annotator.StartCapture(ctx, &annotatorv1.CaptureOptions{
		Session: j.store.session(r.Options), Interfaces: r.Interfaces, Filter: r.Filter, SnapLength: r.SnapLength,
		MaxFrames: uint64(r.MaxPackets), MaxBytes: j.maxBytes(r), MaxSeconds: uint64(least(r.MaxSeconds, maxSeconds)),
		Output: raw, Comments: annotatorv1.Selection_SELECTION_NONE,
	})
	if err != nil {
		return err
	}
	id := &annotatorv1.CaptureId{Id: capture.GetId()}
	stopping := context.WithoutCancel(ctx)
	stop := func() { _, _ = annotator.StopCapture(stopping, id) }
	defer stop() // a capture that has ended stays as it is
	j.update(func(s *annotatorv1.Job) { s.State = annotatorv1.Job_CAPTURING })
	j.mu.Lock()
	j.stop = func() { go stop() }
	j.mu.Unlock()
	last, err := j.watch(ctx, id)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.stop = nil
	j.mu.Unlock()
	file, err := os.Open(raw)
	if err != nil {
		return err
	}
	defer file.Close()
	if last.GetFrames() == 0 && last.GetState() == annotatorv1.Capture_STATE_FAILED {
		return errors.New(last.GetError())
	}
	if err := j.analyze(ctx, file, r.Options); err != nil {
		return err
	}
	if last.GetState() == annotatorv1.Capture_STATE_FAILED {
		j.update(func(s *annotatorv1.Job) { s.Error = "the capture ended early: " + last.GetError() })
	}
	return nil
}

// watch follows a capture to its end.
func (j *Job) watch(ctx context.Context, id *annotatorv1.CaptureId) (*annotatorv1.Capture, error) {
	calls, err := j.store.cfg.Annotator.WatchCapture(ctx, id)
	if err != nil {
		return nil, err
	}
	var last *annotatorv1.Capture
	for {
		c, err := calls.Recv()
		if errors.Is(err, io.EOF) && last != nil {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = c
		j.update(func(s *annotatorv1.Job) {
			s.Packets, s.Flagged, s.Unjudged = uint32(c.GetFrames()), uint32(c.GetFlagged()), uint32(c.GetUnjudged())
			s.Types = map[string]uint32{}
			for name, n := range c.GetFlaggedByType() {
				s.Types[name] = uint32(n)
			}
		})
	}
}

// maxBytes is the limit for the file of a capture.
func (j *Job) maxBytes(r Recording) uint64 {
	most := uint64(j.store.cfg.MaxCapture) / 2 // what is judged has comments, too
	if r.MaxMegabytes == 0 {
		return most
	}
	return min(most, uint64(r.MaxMegabytes)<<20)
}

// least returns n, or most if that is less or n is 0.
func least(n, most uint32) uint32 {
	if n == 0 || n > most {
		return most
	}
	return n
}
