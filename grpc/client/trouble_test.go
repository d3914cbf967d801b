package client_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
)

// ask wants ten verdicts of whoever listens at path, within d, and returns why
// it does not get them.
func ask(t *testing.T, path string, d time.Duration) error {
	conn, err := client.Dial(t.Context(), client.Config{Address: "unix:" + path, Program: client.NoStart})
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	s, err := client.Open(ctx, conn, client.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	for range 10 {
		if err := s.Queue(packet.Frame{Length: 60, Data: make([]byte, 60)}); err != nil {
			return err
		}
	}
	return s.Await(10, d)
}

// TestBadPeers asks every kind of bad annotator.
func TestBadPeers(t *testing.T) {
	for _, peer := range grpctest.Peers() {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			err := ask(t, peer.Start(t), 3*time.Second)
			if err == nil || !strings.Contains(err.Error(), peer.Says) || len(err.Error()) > 500 {
				t.Errorf("error %v, want %s", err, peer.Says)
			}
		})
	}
}

// TestSlow checks that whoever has patience gets every verdict of a slow
// annotator.
func TestSlow(t *testing.T) {
	if err := ask(t, grpctest.Slow(50*time.Millisecond)(t), patient); err != nil {
		t.Error(err)
	}
	if err := ask(t, grpctest.Slow(time.Hour)(t), 100*time.Millisecond); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("error %v, want %v", err, client.ErrTimeout)
	}
}

// TestNothingStays checks that no goroutine outlives its session, however the
// session ends.
func TestNothingStays(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, peer := range append(grpctest.Peers(), grpctest.Peer{Name: "slow", Start: grpctest.Slow(time.Millisecond)}) {
		t.Run(peer.Name, func(t *testing.T) {
			_ = ask(t, peer.Start(t), 100*time.Millisecond)
		})
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before: %s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}
