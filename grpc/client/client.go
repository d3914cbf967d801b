// Package client asks the annotator, for everybody who does: the AI capture
// interface, the Lua module and tools. It finds the annotator, starts it when
// none is running, and never makes its caller wait longer than told.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"ampulla/grpc/socket"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Config says how to reach the annotator. The zero value is the user's own
// annotator, started when it is not running.
type Config struct {
	// Address is "unix:<path>" or "tcp:<host>:<port>". If empty, it is the
	// socket of the user's annotator, see [socket.Path].
	Address string
	// TLS and Token are for TCP addresses, which are always encrypted.
	TLS   *tls.Config
	Token string
	// Program is the annotator's program, which is started when nobody answers
	// at a unix socket; empty: look for it, see [FindProgram]; NoStart: never
	// start it.
	Program string
	// StartTimeout is how long starting may take; 3 seconds if zero.
	StartTimeout time.Duration
}

// NoStart, as Config.Program, means that the annotator is not to be started.
const NoStart = "-"

const window = 4 << 20 // bytes; fixed flow-control windows save a ping per exchange

// Dial connects to the annotator, starting it if need be, and returns only when
// somebody answered or ctx ended. The error says what to do.
func Dial(ctx context.Context, cfg Config) (*grpc.ClientConn, error) {
	if host, ok := strings.CutPrefix(cfg.Address, "tcp:"); ok {
		return dialTCP(host, cfg)
	}
	path := socket.Path()
	if cfg.Address != "" {
		var ok bool
		if path, ok = strings.CutPrefix(cfg.Address, "unix:"); !ok {
			return nil, fmt.Errorf("address %q begins with neither unix: nor tcp:", cfg.Address)
		}
	}
	if err := reach(ctx, path, cfg); err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///annotator",
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the kernel vouches for both ends
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return socket.Dial(ctx, path) }),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
	)
}

func dialTCP(host string, cfg Config) (*grpc.ClientConn, error) {
	config := cfg.TLS
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	return grpc.NewClient("dns:///"+host,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithPerRPCCredentials(bearer(cfg.Token)),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
	)
}

// bearer is a token that is only ever sent encrypted.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (b bearer) RequireTransportSecurity() bool { return true }

// reach makes sure that somebody listens at path, and starts the annotator if
// nobody does. Looking first keeps gRPC from hiding "not running" behind its
// own pauses.
func reach(ctx context.Context, path string, cfg Config) error {
	conn, err := socket.Dial(ctx, path)
	if err == nil {
		return conn.Close()
	}
	if cfg.Program == NoStart || !nobodyListens(err) {
		return fmt.Errorf("annotator: %w", err)
	}
	program := cfg.Program
	if program == "" {
		if program, err = FindProgram(); err != nil {
			return err
		}
	}
	timeout := cfg.StartTimeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return start(ctx, program, path)
}

// nobodyListens tells that there is no socket, or one left behind.
func nobodyListens(err error) bool {
	return errors.Is(err, os.ErrNotExist) || isRefused(err)
}

// Info asks for version, models and limits.
func Info(ctx context.Context, conn *grpc.ClientConn) (*annotatorv1.Info, error) {
	return annotatorv1.NewAnnotatorClient(conn).GetInfo(ctx, &annotatorv1.GetInfoRequest{})
}
