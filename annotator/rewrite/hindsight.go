package rewrite

import (
	"context"
	"io"

	"ampulla/annotator/engine"
	"ampulla/annotator/pcapng"
)

// Hindsight has first judge the capture r and returns the engine that judges it
// again, from its first frame on, and marks what belongs to an incident that
// became visible later; see [engine.Engine.Again]. Of cfg only MaxFrames and
// MaxBytes count. Where the input breaks, what comes before is known; the second
// reading reports it.
func Hindsight(ctx context.Context, r io.Reader, first *engine.Engine, cfg Config) (*engine.Engine, error) {
	_, err := Annotate(ctx, r, nil, Config{Engine: first, MaxFrames: cfg.MaxFrames, MaxBytes: cfg.MaxBytes})
	if err != nil && !pcapng.IsBroken(err) {
		return nil, err
	}
	return first.Again()
}
