// Package source yields captures in the making, as pcapng: from interfaces, or
// from a saved capture that is replayed.
package source

import (
	"context"
	"io"

	"ampulla/annotator/dumpcap"
)

// Source is a capture in the making. Read is for one goroutine; Stop and Close
// are safe for concurrent use.
type Source interface {
	io.ReadCloser
	// Stop ends the capture. What is already there can still be read, up to
	// io.EOF.
	Stop()
}

// Live captures from interfaces. The errors are those of package dumpcap.
func Live(ctx context.Context, cfg dumpcap.Config) (Source, error) {
	program, err := dumpcap.Find()
	if err != nil {
		return nil, err
	}
	return program.Start(ctx, cfg)
}
