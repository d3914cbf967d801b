package client

import (
	"context"

	"google.golang.org/grpc"
)

// Keeping is a way to the annotator for programs that live longer than it does:
// every call first makes sure that somebody listens, and starts the annotator
// again if nobody does.
type Keeping struct{ *Conn }

// Invoke makes one call.
func (k Keeping) Invoke(ctx context.Context, method string, args, reply any, options ...grpc.CallOption) error {
	if err := k.reach(ctx); err != nil {
		return err
	}
	return k.ClientConn.Invoke(ctx, method, args, reply, append(options, grpc.WaitForReady(true))...)
}

// NewStream begins a stream.
func (k Keeping) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := k.reach(ctx); err != nil {
		return nil, err
	}
	return k.ClientConn.NewStream(ctx, d, method, append(options, grpc.WaitForReady(true))...)
}
