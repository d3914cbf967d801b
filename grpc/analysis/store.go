// Package analysis judges captures as jobs, by asking the annotator, and keeps
// what came out for a while, to be asked about: packets, conversations,
// incidents, and the annotated file. REST and MCP are two faces of it.
package analysis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// Config configures a [Store]. Start from [Default].
type Config struct {
	// Annotator judges, and captures. It has to be asked over the unix socket:
	// annotated files are written to where the Store says.
	Annotator annotatorv1.AnnotatorClient
	// Client is the name under which sessions appear in metrics.
	Client string
	// Dir is the folder in which folders for files are made, and removed again.
	Dir string
	// Folders are where captures may be read from by path. None if empty.
	Folders []string

	MaxUpload  int64 // bytes of a capture that is sent
	MaxCapture int64 // bytes of any capture, uncompressed
	MaxJobs    int   // that run at once
	MaxQueued  int   // that wait for their turn
	CacheSize  int64 // bytes of memory for the packets of all jobs
	Keep       time.Duration
	MaxKept    int // jobs that have ended; the oldest are forgotten
	MaxUploads int // that arrive at once
}

// Default returns the limits that are used unless configured otherwise.
func Default() Config {
	return Config{
		Client: "analysis", Dir: os.TempDir(),
		MaxUpload: 512 << 20, MaxCapture: 4 << 30, MaxJobs: 4, MaxQueued: 32, CacheSize: 256 << 20, Keep: time.Hour,
		MaxKept: 100, MaxUploads: 16,
	}
}

// Store holds the jobs. It is safe for concurrent use.
type Store struct {
	cfg     Config
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
	slots   chan struct{} // holds one for each job that runs
	uploads chan struct{} // holds one for each upload that arrives
	dir     *folder

	mu     sync.Mutex
	jobs   []*Job // the oldest first
	queued int
	used   int64 // bytes of memory for packets
}

// New returns a Store, to be closed.
func New(cfg Config) (*Store, error) {
	if cfg.MaxJobs < 1 || cfg.MaxQueued < 0 || cfg.MaxUpload < 1 || cfg.MaxCapture < 1 || cfg.Keep <= 0 || cfg.MaxKept < 1 || cfg.MaxUploads < 1 {
		return nil, errors.New("analysis: limits must be positive")
	}
	dir, err := newFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, dir: dir, slots: make(chan struct{}, cfg.MaxJobs), uploads: make(chan struct{}, cfg.MaxUploads)}
	s.life, s.end = context.WithCancel(context.Background())
	s.running.Go(s.expire)
	return s, nil
}

// Close cancels all jobs, waits for them, and removes all files.
func (s *Store) Close() error {
	s.end()
	s.running.Wait()
	return s.dir.remove()
}

// expire forgets jobs when their time has come.
func (s *Store) expire() {
	tick := time.NewTicker(min(s.cfg.Keep, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-s.life.Done():
			return
		case now := <-tick.C:
			for _, j := range s.all() {
				if end := j.expires(); !end.IsZero() && now.After(end) {
					s.forget(j)
				}
			}
		}
	}
}

// start lets a job wait for its turn and run.
func (s *Store) start(j *Job, run func(ctx context.Context) error) (*Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.life.Err() != nil:
		return nil, status.Error(codes.Unavailable, "the service is stopping")
	case s.queued >= s.cfg.MaxQueued:
		return nil, status.Errorf(codes.ResourceExhausted, "%d jobs are waiting already", s.queued)
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails
	j.id = hex.EncodeToString(id)
	j.store = s
	j.done = make(chan struct{})
	j.changed = make(chan struct{})
	j.state.Id, j.state.State = j.id, annotatorv1.Job_QUEUED
	ctx, cancel := context.WithCancelCause(s.life)
	j.cancel = cancel
	s.jobs = append(s.jobs, j)
	s.queued++
	s.running.Go(func() {
		defer cancel(nil)
		err := s.inTurn(ctx, func() error { return run(ctx) })
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		j.end(err)
		s.prune()
	})
	return j, nil
}

// diskFactor is how many captures of the largest size the files of all jobs may
// take together.
const diskFactor = 4

// prune forgets the oldest jobs that have ended, when there are too many or their
// files are too large together.
func (s *Store) prune() {
	var ended []*Job
	var size int64
	for _, j := range s.all() {
		if !j.ended().IsZero() {
			ended = append(ended, j)
			size += j.fileSize()
		}
	}
	slices.SortStableFunc(ended, func(a, b *Job) int { return a.ended().Compare(b.ended()) })
	for len(ended) > 1 && (len(ended) > s.cfg.MaxKept || size > diskFactor*s.cfg.MaxCapture) {
		size -= ended[0].fileSize()
		s.forget(ended[0])
		ended = ended[1:]
	}
}

// inTurn runs work when there is room for it.
func (s *Store) inTurn(ctx context.Context, work func() error) error {
	var err error
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	s.queued--
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return work()
}

// Queued returns how many jobs wait for their turn.
func (s *Store) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued
}

// Jobs returns the jobs, the latest first.
func (s *Store) Jobs() []*Job {
	jobs := s.all()
	slices.Reverse(jobs)
	return jobs
}

func (s *Store) all() []*Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.jobs)
}

// Job returns the job of that id; the error is NOT_FOUND.
func (s *Store) Job(id string) (*Job, error) {
	for _, j := range s.all() {
		if j.id == id {
			return j, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "there is no job %.32q", id)
}

// Delete cancels a job and forgets it.
func (s *Store) Delete(id string) error {
	j, err := s.Job(id)
	if err != nil {
		return err
	}
	s.forget(j)
	return nil
}

// forget cancels a job, waits for its end, and removes what it has.
func (s *Store) forget(j *Job) {
	j.cancel(errCancelled)
	<-j.done
	s.mu.Lock()
	i := slices.Index(s.jobs, j)
	if i >= 0 {
		s.jobs = slices.Delete(s.jobs, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		j.drop()
	}
}

// reserve takes so many bytes of the memory for packets, at the cost of the jobs
// that ended first; it tells whether it could.
func (s *Store) reserve(n int64) bool {
	for {
		s.mu.Lock()
		if s.used+n <= s.cfg.CacheSize {
			s.used += n
			s.mu.Unlock()
			return true
		}
		var oldest *Job
		for _, j := range s.jobs {
			if j.evictable() && (oldest == nil || j.ended().Before(oldest.ended())) {
				oldest = j
			}
		}
		s.mu.Unlock()
		if oldest == nil {
			return false
		}
		oldest.evict()
	}
}

func (s *Store) release(n int64) {
	s.mu.Lock()
	s.used -= n
	s.mu.Unlock()
}
