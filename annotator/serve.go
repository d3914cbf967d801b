package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/urfave/cli/v2"
	"google.golang.org/grpc/credentials"

	"ampulla/grpc/server"
	"ampulla/grpc/socket"
)

func serveCommand() *cli.Command {
	standard := server.Default()
	return &cli.Command{
		Name:      "serve",
		Usage:     "answer the questions of Wireshark and other clients",
		ArgsUsage: " ",
		Description: `Listens on a unix socket in your runtime directory that only you can open.
Clients start it by themselves when they need it, and it ends when nobody has
asked for ten minutes. TCP only with a certificate and a token.

   ampulla serve --idle 0
   ampulla serve --listen 192.0.2.7:7461 --tls-cert cert.pem --tls-key key.pem --token-file token`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket", Usage: "listen at `PATH`", DefaultText: socket.Path()},
			&cli.StringFlag{Name: "listen", Usage: "listen on TCP too, at `HOST:PORT`"},
			&cli.StringFlag{Name: "tls-cert", Usage: "certificate for TCP, a PEM `FILE`"},
			&cli.StringFlag{Name: "tls-key", Usage: "its key, a PEM `FILE`"},
			&cli.StringFlag{Name: "token-file", Usage: "TCP clients must show the token in `FILE`"},
			&cli.DurationFlag{Name: "idle", Value: standard.Idle, Usage: "end after so long without a call; 0 for never"},
			&cli.IntFlag{Name: "max-sessions", Value: standard.MaxSessions, Usage: "at most `N` captures at once"},
			&cli.IntFlag{Name: "max-memory", Value: int(standard.MaxMemory >> 20), Usage: "at most `MB` of memory for all of them; 0 for no limit"},
			configFlag(), libraryFlag(),
		},
		Action: runServe,
	}
}

func runServe(c *cli.Context) error {
	if c.Args().Present() {
		return usage("serve takes no arguments", "")
	}
	if c.Int("max-sessions") < 1 {
		return usage(fmt.Sprintf("--max-sessions %d is less than 1", c.Int("max-sessions")), "")
	}
	if c.Int("max-memory") < 0 {
		return usage(fmt.Sprintf("--max-memory %d is less than 0", c.Int("max-memory")), "")
	}
	passed, err := activation.Listeners()
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := closeInherited(); err != nil {
		return err
	}
	remote, err := remoteEndpoint(c)
	if err != nil {
		return err
	}
	cfg := server.Default()
	cfg.Version, cfg.Idle, cfg.MaxSessions = version, c.Duration("idle"), c.Int("max-sessions")
	cfg.Replaced, cfg.SocketKept = programReplaced(), len(passed) > 0
	if cfg.MaxMemory = uint64(c.Int("max-memory")) << 20; cfg.MaxMemory > 0 {
		// What is garbage has to go before the server counts what is left.
		debug.SetMemoryLimit(int64(cfg.MaxMemory + cfg.MaxMemory/4))
	}
	if cfg.Engine, err = engineConfig(c.String("config"), 1); err != nil {
		return err
	}
	// The socket comes before the models: whoever comes second ends quickly.
	var s *server.Server
	local, err := localListener(passed, c.String("socket"), func() { s.Stranger() })
	if errors.Is(err, socket.ErrRunning) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer local.Close()
	if cfg.Scorer, err = openScorer(c); err != nil {
		return err
	}
	if s, err = server.New(cfg); err != nil {
		return err
	}
	endpoints := []server.Endpoint{{Listener: local}}
	if remote != nil {
		endpoints = append(endpoints, *remote)
	}
	return s.Serve(c.Context, endpoints...)
}

// localListener returns the socket that systemd passed on, or opens its own.
func localListener(passed []net.Listener, path string, refused func()) (net.Listener, error) {
	switch {
	case len(passed) > 1:
		return nil, fmt.Errorf("%d sockets were passed instead of one", len(passed))
	case len(passed) == 1 && passed[0] != nil:
		return socket.Guard(passed[0], refused), nil
	}
	if path == "" {
		path = socket.Path()
	}
	return socket.Listen(path, refused)
}

// remoteEndpoint listens on TCP; nil when that was not asked for.
func remoteEndpoint(c *cli.Context) (*server.Endpoint, error) {
	if c.String("listen") == "" {
		return nil, nil
	}
	for _, needed := range []string{"tls-cert", "tls-key", "token-file"} {
		if c.String(needed) == "" {
			return nil, usage("--listen needs --"+needed, "others on the network could read the packets and ask in your name")
		}
	}
	certificate, err := tls.LoadX509KeyPair(c.String("tls-cert"), c.String("tls-key"))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	text, err := os.ReadFile(c.String("token-file"))
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 {
		return nil, fmt.Errorf("token: %s holds %d characters, at least 16 are needed", c.String("token-file"), len(token))
	}
	listener, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return nil, err
	}
	return &server.Endpoint{
		Listener:    listener,
		Credentials: credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}),
		Token:       token,
	}, nil
}
