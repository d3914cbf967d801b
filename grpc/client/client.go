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
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

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
	// Arguments are more of what the program is started with, beside serve and its
	// socket.
	Arguments []string
	// StartTimeout is how long starting may take; 3 seconds if zero.
	StartTimeout time.Duration
}

// NoStart is the Config.Program that keeps the annotator from being started.
const NoStart = "-"

// Conn is the way to one annotator, over which calls and any number of sessions
// go, each session over a connection of its own. It is safe for concurrent use.
type Conn struct {
	*grpc.ClientConn // for calls other than Session
	cfg              Config
	path             string // of the unix socket; empty with TCP
	counters
}

// Dial finds the annotator, starting it if need be, and returns when somebody
// answered or ctx ended; over TCP it does not try yet. The error says what to
// do.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	set(&cfg.StartTimeout, 3*time.Second)
	c := &Conn{cfg: cfg}
	switch path, unix := strings.CutPrefix(cfg.Address, "unix:"); {
	case unix && path != "":
		c.path = path
	case cfg.Address == "":
		c.path = socket.Path()
	case !strings.HasPrefix(cfg.Address, "tcp:"):
		return nil, fmt.Errorf("address %q is neither unix:<path> nor tcp:<host>:<port>", cfg.Address)
	}
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	var err error
	c.ClientConn, err = c.connect()
	return c, err
}

func (c *Conn) remote() bool { return c.path == "" }

// connect returns a connection that is made when it is first used.
func (c *Conn) connect() (*grpc.ClientConn, error) {
	const window = 4 << 20 // bytes; fixed flow-control windows save a ping per exchange
	options := []grpc.DialOption{grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window)}
	if !c.remote() {
		return grpc.NewClient("passthrough:///annotator", append(options,
			grpc.WithTransportCredentials(insecure.NewCredentials()), // the kernel vouches for both ends
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return socket.Dial(ctx, c.path) }),
		)...)
	}
	config := c.cfg.TLS
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS13}
	}
	return grpc.NewClient("dns:///"+strings.TrimPrefix(c.cfg.Address, "tcp:"), append(options,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithPerRPCCredentials(bearer(c.cfg.Token)),
		// A host that is gone says nothing.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
	)...)
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

// reach makes sure that somebody listens at the unix socket, and starts the
// annotator if nobody does. Looking first keeps gRPC from hiding "not running"
// behind its own pauses.
func (c *Conn) reach(ctx context.Context) error {
	if c.remote() {
		return nil
	}
	conn, err := socket.Dial(ctx, c.path)
	if err == nil {
		return conn.Close()
	}
	if c.cfg.Program == NoStart || !nobodyListens(err) {
		return fmt.Errorf("annotator: %w", err)
	}
	program := c.cfg.Program
	if program == "" {
		if program, err = FindProgram(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.StartTimeout)
	defer cancel()
	return c.start(ctx, program)
}

// nobodyListens tells that there is no socket, or one left behind.
func nobodyListens(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// Info asks for version, models and limits.
func Info(ctx context.Context, conn grpc.ClientConnInterface) (*annotatorv1.Info, error) {
	return annotatorv1.NewAnnotatorClient(conn).GetInfo(ctx, &annotatorv1.GetInfoRequest{})
}
