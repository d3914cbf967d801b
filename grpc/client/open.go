package client

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/grpc/wire"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// handover is how long an annotator that turns sessions away since it is
// stopping is asked again, until it has made room for the next one.
const handover = time.Second

// Open begins a session. It returns when the annotator has greeted, or ctx
// ended; the session itself lives until Close. An annotator that has gone since
// Dial, or makes room for a newer one, is started again.
func Open(ctx context.Context, c *Conn, options Options) (*Session, error) {
	options.defaults()
	var end time.Time // of the handover
	for attempt := 1; ; attempt++ {
		s, heard, err := c.open(ctx, options)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, expired(ctx)
		}
		if end.IsZero() {
			end = time.Now().Add(handover)
		}
		// What is no annotator is not asked again, in the hope that it becomes one.
		if status.Code(err) != codes.Unavailable || time.Now().After(end) || !heard && attempt > 1 {
			return nil, c.explain(err, heard)
		}
		c.redials.Add(1)
		if heard {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		if err := c.reach(ctx); err != nil {
			return nil, err
		}
	}
}

// open begins a session over a new connection. It tells whether something that
// speaks HTTP/2 was heard.
func (c *Conn) open(ctx context.Context, options Options) (s *Session, heard bool, err error) {
	conn, err := c.connect()
	if err != nil {
		return nil, false, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	calls, err := annotatorv1.NewAnnotatorClient(conn).Session(life, grpc.ForceCodecV2(wire.NewCodec()))
	heard = err == nil
	var started *annotatorv1.SessionStarted
	if heard {
		started, err = greet(calls, options)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		_ = conn.Close()
		return nil, heard, err
	}
	s = &Session{
		options: options, counters: &c.counters, conn: conn, cancel: cancel, started: started,
		kick: make(chan struct{}, 1), changed: make(chan struct{}), verdicts: verdicts{keep: options.Keep},
	}
	go s.send(life, calls)
	go s.receive(calls)
	return s, true, nil
}

type stream = grpc.BidiStreamingClient[annotatorv1.SessionRequest, annotatorv1.SessionResponse]

func greet(calls stream, options Options) (*annotatorv1.SessionStarted, error) {
	hello := &annotatorv1.SessionOptions{Client: options.Client, Baseline: options.Baseline, AlarmsPerHour: options.AlarmsPerHour,
		Rules: options.Rules}
	if options.Terse {
		hello.TerseBelow = 1
	}
	// An error of Send is io.EOF; the cause comes with Recv.
	_ = calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Options{Options: hello}})
	answer, err := calls.Recv()
	if err != nil {
		return nil, err
	}
	started := answer.GetStarted()
	switch {
	case started == nil:
		return nil, errors.New("first answer is no greeting")
	case options.AlarmsPerHour > 0 && started.GetThreshold() == 0: // it has not looked
		return nil, errors.New("it is too old to choose a threshold by alarms an hour")
	}
	return started, nil
}
