package analysis

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// Job is one analysis or capture. It is safe for concurrent use.
type Job struct {
	id        string
	store     *Store
	cancel    context.CancelCauseFunc
	done      chan struct{} // closed at the end
	file      os.FileInfo   // what is analysed; nil for captures
	usual     bool          // with the usual options
	hindsight bool
	rules     string // of feedback in force when it began, see Store.rules

	mu        sync.Mutex
	state     annotatorv1.Job
	changed   chan struct{} // closed and replaced whenever state changes
	stop      func()        // ends a capture in good order; nil if it is none
	index     *index        // nil while there is none, and when memory was short
	incidents []*annotatorv1.Incident
	evicted   bool
	err       error // why it failed; valid when done
}

var errCancelled = errors.New("cancelled")

// ID returns the job's id.
func (j *Job) ID() string { return j.id }

// State returns the state as it is now.
func (j *Job) State() *annotatorv1.Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	return proto.CloneOf(&j.state)
}

// Changed returns a channel that is closed at the next change, and the state.
func (j *Job) Changed() (<-chan struct{}, *annotatorv1.Job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.changed, proto.CloneOf(&j.state)
}

// Done returns a channel that is closed when the job has ended.
func (j *Job) Done() <-chan struct{} { return j.done }

// Wait waits for the end, for at most d, and returns the state.
func (j *Job) Wait(ctx context.Context, d time.Duration) *annotatorv1.Job {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-j.done:
	case <-ctx.Done():
	case <-timer.C:
	}
	return j.State()
}

// Begun waits until the job has its turn, for at most d. It returns the error of
// a job that failed by then, with its status code.
func (j *Job) Begun(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for {
		changed, state := j.Changed()
		if state.GetState() != annotatorv1.Job_QUEUED {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
	select {
	case <-j.done:
		return j.err
	default:
		return nil
	}
}

// update changes the state.
func (j *Job) update(change func(*annotatorv1.Job)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.state)
	close(j.changed)
	j.changed = make(chan struct{})
}

// end notes how the job ended.
func (j *Job) end(err error) {
	now := time.Now()
	if err != nil {
		j.drop()
	}
	j.err = err
	j.update(func(s *annotatorv1.Job) {
		s.Ended, s.Expires = timestamppb.New(now), timestamppb.New(now.Add(j.store.cfg.Keep))
		switch {
		case err == nil:
			s.State, s.Progress = annotatorv1.Job_DONE, 1
		case errors.Is(err, errCancelled), errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
			s.State = annotatorv1.Job_CANCELLED
		default:
			s.State, s.Error = annotatorv1.Job_FAILED, status.Convert(err).Message()
		}
	})
	close(j.done)
}

// Stop ends a capture in good order, after which it is analysed, and cancels an
// analysis. A job that has ended stays as it is.
func (j *Job) Stop() {
	j.mu.Lock()
	stop := j.stop
	j.mu.Unlock()
	if stop != nil {
		stop()
		return
	}
	j.cancel(errCancelled)
}

func (j *Job) expires() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.Expires == nil {
		return time.Time{}
	}
	return j.state.Expires.AsTime()
}

// ended returns when the job has ended; zero if it has not.
func (j *Job) ended() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.Ended == nil {
		return time.Time{}
	}
	return j.state.Ended.AsTime()
}

// fileSize is the size of the annotated file, in bytes.
func (j *Job) fileSize() int64 {
	info, err := os.Stat(j.path())
	if err != nil {
		return 0
	}
	return info.Size()
}

// path is where the annotated file is, or is going to be.
func (j *Job) path() string { return filepath.Join(j.store.dir.path, j.id+".pcapng") }

// File opens the annotated file; the error is FAILED_PRECONDITION if there is
// none (yet).
func (j *Job) File() (*os.File, error) {
	if j.State().GetState() != annotatorv1.Job_DONE {
		return nil, j.unfinished()
	}
	file, err := os.Open(j.path())
	if err != nil {
		return nil, status.Error(codes.NotFound, "the file is gone")
	}
	return file, nil
}

// Save copies the annotated file to a new file below an allowed folder.
//
//	INVALID_ARGUMENT     the name does not end in .pcapng
//	ALREADY_EXISTS       there is such a file
//	PERMISSION_DENIED    it is in no allowed folder, or there are symbolic links
//	FAILED_PRECONDITION  the job is not done
func (j *Job) Save(path string) error {
	if filepath.Ext(path) != ".pcapng" {
		return status.Error(codes.InvalidArgument, "output: name it .pcapng")
	}
	from, err := j.File()
	if err != nil {
		return err
	}
	defer from.Close()
	to, discard, err := j.store.create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if closing := to.Close(); err == nil {
		err = closing
	}
	if err != nil {
		discard()
		return status.Errorf(codes.Internal, "output: %v", plain(err))
	}
	return nil
}

func (j *Job) unfinished() error {
	state := j.State()
	if state.GetError() != "" {
		return status.Errorf(codes.FailedPrecondition, "the job has failed: %s", state.GetError())
	}
	return status.Errorf(codes.FailedPrecondition, "the job is %s, not DONE", state.GetState())
}

// drop removes what the job holds.
func (j *Job) drop() {
	j.evict()
	_ = os.Remove(j.path())
}

// evictable tells whether memory can be had by forgetting the job's packets. The
// store's lock is held.
func (j *Job) evictable() bool {
	select {
	case <-j.done:
	default:
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.index != nil
}

// evict forgets the packets.
func (j *Job) evict() {
	j.mu.Lock()
	old := j.index
	j.index, j.evicted = nil, true
	j.mu.Unlock()
	if old != nil {
		j.store.release(old.reserved)
	}
}

// packets returns the index of a job that is done.
func (j *Job) packets() (*index, error) {
	j.mu.Lock()
	index, evicted, state := j.index, j.evicted, j.state.GetState()
	j.mu.Unlock()
	switch {
	case state != annotatorv1.Job_DONE:
		return nil, j.unfinished()
	case index == nil && evicted:
		return nil, status.Error(codes.FailedPrecondition, "the packets were forgotten to make room for others; analyze the capture again")
	}
	return index, nil
}

// Incidents returns the incidents of a job that is done.
func (j *Job) Incidents() ([]*annotatorv1.Incident, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.State != annotatorv1.Job_DONE {
		return nil, status.Errorf(codes.FailedPrecondition, "the job is %s, not DONE", j.state.State)
	}
	return j.incidents, nil
}
