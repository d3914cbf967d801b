package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/capturetest"
	"ampulla/annotator/engine"
	"ampulla/annotator/score/scoretest"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
)

// TestIncidents asks for the incidents in the middle of a capture and at its
// end: they are those of the engine itself, and those that verdicts tell of.
func TestIncidents(t *testing.T) {
	frames, verdicts := capture(t, "demo.pcapng")
	e, err := engine.New(engine.Default(), scoretest.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, serve(t, nil), client.Options{Batch: 100})
	for _, until := range []int{0, len(frames) / 2, len(frames)} {
		more := frames[s.Judged():until]
		for _, f := range more {
			if err := s.Queue(f); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Process(more, nil); err != nil {
			t.Fatal(err)
		}
		got, leftOut, err := s.Incidents(patient)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e.Incidents(), got); diff != "" || leftOut != 0 {
			t.Errorf("after %d frames, %d left out: %s", until, leftOut, diff)
		}
		if s.Judged() != uint64(until) {
			t.Errorf("%d frames are judged, not the %d before the question", s.Judged(), until)
		}
		for _, i := range got {
			if last := s.Last(i.Number); last != i.Last.Frame {
				t.Errorf("incident %d: last frame %d, want %d", i.Number, last, i.Last.Frame)
			}
		}
	}
	found := map[uint32]bool{}
	for _, v := range verdicts {
		found[v.Incident] = true
	}
	if got, _, _ := s.Incidents(patient); len(got) != len(found)-1 || len(got) < 3 {
		t.Errorf("%d incidents, verdicts have %d", len(got), len(found)-1)
	}
	if s.Last(1<<31) != 0 {
		t.Error("an incident that there is not has a last frame")
	}
}

// TestIncidentsAtOnce has many ask while frames are queued.
func TestIncidentsAtOnce(t *testing.T) {
	frames, _ := capture(t, "demo.pcapng")
	s := open(t, serve(t, nil), client.Options{Batch: 64})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for last := 0; last == 0; {
				got, _, err := s.Incidents(patient)
				if err != nil {
					t.Error(err)
					return
				}
				last = len(got)
			}
		})
	}
	for _, f := range frames {
		for errors.Is(s.Queue(f), client.ErrFull) {
			_ = s.AwaitRoom(patient)
		}
	}
	all.Wait()
}

// TestOldAnnotator: one that knows nothing of incidents is not asked, as that
// would end the session.
func TestOldAnnotator(t *testing.T) {
	s := open(t, "unix:"+grpctest.Slow(0)(t), client.Options{})
	if _, _, err := s.Incidents(patient); !errors.Is(err, client.ErrOld) {
		t.Errorf("error %v", err)
	}
	frames, _ := capture(t, "demo.pcapng")
	if err := s.Queue(frames[0]); err != nil {
		t.Fatal(err)
	}
	if err := s.Await(1, patient); err != nil {
		t.Error("the session is over: ", err)
	}
}

func TestExplain(t *testing.T) {
	_, verdicts := capture(t, "demo.pcapng")
	path := filepath.Join(filepath.Dir(capturetest.Own(t)[0]), "demo.pcapng")
	conn := dial(t, serve(t, nil))
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	for _, frame := range []uint64{1, 500, 1025, 3000} {
		got, err := conn.Explain(ctx, "test", path, frame)
		if err != nil {
			t.Fatal(err)
		}
		want := verdicts[frame-1]
		want.Model = ""
		if diff := cmp.Diff(want, got.Verdict); diff != "" {
			t.Errorf("frame %d: %s", frame, diff)
		}
		if (len(got.Features) > 0) != (frame > 1) { // nothing is known of the first sender yet
			t.Errorf("frame %d: %d features", frame, len(got.Features))
		}
		for i, f := range got.Features {
			if f.GetName() == "" || f.GetValue() == "" || i > 0 && f.GetExcessPercent() > got.Features[i-1].GetExcessPercent() {
				t.Errorf("frame %d: feature %d: %v", frame, i, f)
			}
		}
	}
	if _, err := conn.Explain(ctx, "test", path, uint64(len(verdicts))+1); err == nil || err.Error() != path+" has no frame 3732" {
		t.Errorf("a frame that there is not: %v", err)
	}
	if _, err := conn.Explain(ctx, "test", path+"x", 1); status.Code(err) != codes.NotFound {
		t.Errorf("a file that there is not: %v", err)
	}
	short, end := context.WithTimeout(ctx, time.Nanosecond)
	defer end()
	if _, err := conn.Explain(short, "test", path, 1); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("no time: %v", err)
	}
}
