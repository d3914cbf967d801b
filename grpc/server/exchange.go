package server

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/packet"
	"ampulla/annotator/verdict"
	"ampulla/grpc/wire"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// exchange is a session under way: requests are received while the ones before
// are judged, by all stages of the engine at the same time, and while earlier
// ones are answered.
type exchange struct {
	*session
	stream   grpc.ServerStream
	room     *semaphore.Weighted // bytes of requests that may be on their way
	requests chan *request       // received; closed behind the last
	asked    bool                // for incidents, which may not be told yet: nothing may be judged meanwhile
	answer   wire.Batch
	message  annotatorv1.Verdict
	idle     time.Time // when the engine last had nothing to do

	mu      sync.Mutex
	judged  []*request    // by the engine, or on their way there, and not answered yet
	settled chan struct{} // if somebody waits, closed when all are answered
	spare   []*request
}

// request is one message of the client, a batch of frames or a question for
// incidents.
type request struct {
	raw       wire.Raw // what the frames' data points into
	size      int64    // of room
	frames    []packet.Frame
	incidents bool
	err       error // instead of a request; io.EOF behind the last one
	at        time.Time
}

func newExchange(s *session, stream grpc.ServerStream) *exchange {
	return &exchange{
		session: s, stream: stream, room: semaphore.NewWeighted(int64(s.server.cfg.MaxMessage)),
		requests: make(chan *request),
	}
}

// run answers until the client has no more requests.
func (x *exchange) run() error {
	go x.receive(x.stream.Context())
	err := x.engine.Stream(x.next, x.emit)
	if _, ok := status.FromError(err); !ok && !errors.Is(err, io.EOF) {
		err = status.Error(codes.Internal, err.Error())
	}
	return err
}

// receive receives requests until there are none, or the call is over.
func (x *exchange) receive(ctx context.Context) {
	defer close(x.requests)
	count := uint64(0)
	for ended := false; !ended; {
		r := x.empty()
		r.err = x.stream.RecvMsg(&r.raw)
		if r.err == nil {
			r.size = int64(min(r.raw.Len(), x.server.cfg.MaxMessage))
			if x.room.Acquire(ctx, r.size) != nil {
				return
			}
			r.err = r.parse(count)
			count += uint64(len(r.frames))
		}
		ended = r.err != nil
		select {
		case x.requests <- r: // and it is not ours any more
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next frames for the engine, none for a question.
func (x *exchange) next(stop <-chan struct{}) ([]packet.Frame, error) {
	if x.asked || x.watcher.due() {
		select {
		case <-x.settle():
			x.asked = false
			x.watcher.compare()
		case <-stop:
			return nil, io.EOF
		}
	}
	var r *request
	select {
	case r = <-x.requests:
	case <-stop:
		return nil, io.EOF
	}
	if r == nil { // the call is over, without a last word
		return nil, status.FromContextError(x.stream.Context().Err()).Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := x.prepare(); err != nil {
		return nil, err
	}
	x.watcher.saw(len(r.frames))
	x.asked = r.incidents
	r.at = time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.judged = append(x.judged, r)
	return r.frames, nil
}

// emit answers the request that comes next.
func (x *exchange) emit(verdicts []verdict.Verdict) error {
	r := x.first()
	defer x.release(r)
	if r.incidents {
		return x.stream.SendMsg(&annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Incidents{Incidents: x.incidents()}})
	}
	begun := r.at
	if x.idle.After(begun) {
		begun = x.idle
	}
	x.idle = time.Now()
	x.server.busy.Add(uint64(x.idle.Sub(begun)))
	x.count(verdicts)
	x.answer.Reset()
	for i := range verdicts {
		x.fill(&x.message, &verdicts[i])
		x.answer.AddVerdict(&x.message)
	}
	return x.stream.SendMsg(&x.answer)
}

// empty returns a request to fill.
func (x *exchange) empty() *request {
	x.mu.Lock()
	defer x.mu.Unlock()
	last := len(x.spare) - 1
	if last < 0 {
		return new(request)
	}
	r := x.spare[last]
	x.spare = x.spare[:last]
	return r
}

// first returns the request that was handed to the engine first.
func (x *exchange) first() *request {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.judged[0]
}

// settle returns what is closed as soon as all requests are answered that the
// engine was handed.
func (x *exchange) settle() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	settled := make(chan struct{})
	if len(x.judged) == 0 {
		close(settled)
	} else {
		x.settled = settled
	}
	return settled
}

// release frees the first request, which was answered.
func (x *exchange) release(r *request) {
	r.raw.Free()
	x.room.Release(r.size)
	*r = request{frames: r.frames[:0]}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.judged = x.judged[:copy(x.judged, x.judged[1:])]
	if len(x.judged) == 0 && x.settled != nil {
		close(x.settled)
		x.settled = nil
	}
	x.spare = append(x.spare, r)
}

// parse reads the message, which comes after so many frames.
func (r *request) parse(count uint64) error {
	r.frames = r.frames[:0]
	n := 0
	add := func(f wire.Frame) error {
		if n++; n > maxBatch {
			return nil // and say how many there are
		}
		if f.LinkType > math.MaxUint16 || len(f.Data) > maxData {
			return status.Errorf(codes.InvalidArgument, "frame %d: link type %d, %d bytes of data",
				count+uint64(len(r.frames))+1, f.LinkType, len(f.Data))
		}
		r.frames = append(r.frames, packet.Frame{
			Time: f.Time, LinkType: uint16(f.LinkType), Length: f.Length, Data: f.Data[:min(len(f.Data), packet.SnapLen)],
		})
		return nil
	}
	message := r.raw.ReadOnlyData()
	ok, err := wire.Frames(message, add)
	if !ok {
		err = r.parseOther(message, add)
	}
	switch _, known := status.FromError(err); {
	case !known:
		return status.Error(codes.InvalidArgument, err.Error())
	case err == nil && !r.incidents:
		return checkBatch(n)
	}
	return err
}

// parseOther reads a message that is not simply a batch of frames.
func (r *request) parseOther(message []byte, add func(wire.Frame) error) error {
	m := new(annotatorv1.SessionRequest)
	if err := checkRequest(message, m); err != nil {
		return err
	}
	if err := proto.Unmarshal(message, m); err != nil {
		return err
	}
	r.incidents = m.GetIncidents() != nil
	for _, f := range m.GetFrames().GetFrames() {
		if err := add(wire.Frame{Time: f.GetTimeNs(), LinkType: f.GetLinkType(), Length: f.GetLength(), Data: f.GetData()}); err != nil {
			return err
		}
	}
	return nil
}
