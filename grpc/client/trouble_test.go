package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"ampulla/annotator/packet"
	"ampulla/grpc/client"
	"ampulla/grpc/grpctest"
)

// ask wants ten verdicts of whoever listens at path, and returns why it does
// not get them.
func ask(t *testing.T, path string) error {
	conn, err := client.Dial(t.Context(), client.Config{Address: "unix:" + path, Program: client.NoStart})
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
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
	return s.Await(10, time.Second)
}

// TestBadPeers asks every kind of bad annotator.
func TestBadPeers(t *testing.T) {
	for _, peer := range grpctest.Peers() {
		t.Run(peer.Name, func(t *testing.T) {
			t.Parallel()
			if err := ask(t, peer.Start(t)); err == nil || !strings.Contains(err.Error(), peer.Says) {
				t.Errorf("error %v, want %s", err, peer.Says)
			}
		})
	}
}

// TestSlow checks that whoever has patience gets every verdict of a slow
// annotator.
func TestSlow(t *testing.T) {
	if err := ask(t, grpctest.Slow(50*time.Millisecond)(t)); err != nil {
		t.Error(err)
	}
	if err := ask(t, grpctest.Slow(time.Minute)(t)); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("error %v, want %v", err, client.ErrTimeout)
	}
}
