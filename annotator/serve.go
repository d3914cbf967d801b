//go:build unix

package main

import (
	"context"
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

	"ampulla/annotator/config"
	"ampulla/grpc/server"
	"ampulla/grpc/socket"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "answer the questions of Wireshark and other clients",
		ArgsUsage: " ",
		Description: `Listens on a unix socket in your runtime directory that only you can open.
Clients start it by themselves when they need it, and it ends when nobody has
asked for ten minutes. TCP only with a certificate and a token.

   ampulla serve --idle 0
   ampulla serve --listen 192.0.2.7:7461 --tls-cert cert.pem --tls-key key.pem --token-file token`,
		Flags:  append(listenFlags(), noFeedbackFlag(), configFlag(), libraryFlag()),
		Action: runServe,
	}
}

// listenFlags are the flags that win over the configuration of the annotator.
func listenFlags() []cli.Flag {
	standard := config.Default()
	return []cli.Flag{
		baselineFlag(),
		&cli.StringFlag{Name: "socket", Usage: "listen at `PATH`", DefaultText: socket.Path()},
		&cli.StringFlag{Name: "listen", Usage: "gRPC on TCP too, at `HOST:PORT`"},
		&cli.StringFlag{Name: "http", Usage: "REST and MCP over HTTP, at `HOST:PORT`"},
		&cli.BoolFlag{Name: "metrics", Usage: "metrics for Prometheus over HTTP, too"},
		&cli.BoolFlag{Name: "profiles", Usage: "Go profiles, at pprof.sock beside the socket"},
		&cli.StringSliceFlag{Name: "folder", Usage: "let HTTP clients name captures below this `FOLDER`; can be repeated"},
		&cli.StringFlag{Name: "tls-cert", Usage: "certificate for TCP, a PEM `FILE`"},
		&cli.StringFlag{Name: "tls-key", Usage: "its key, a PEM `FILE`"},
		&cli.StringFlag{Name: "token-file", Usage: "TCP clients must show the token in `FILE`", DefaultText: "one that is made, for HTTP"},
		&cli.DurationFlag{Name: "idle", Value: standard.Listeners.Idle, Usage: "end after so long without a call; 0 for never"},
		&cli.IntFlag{Name: "max-sessions", Value: standard.Limits.MaxSessions, Usage: "at most `N` captures at once"},
		&cli.StringFlag{Name: "max-memory", Value: standard.Limits.MaxMemory.String(), Usage: "at most `SIZE` of memory for all of them; 0 for no limit"},
	}
}

func runServe(c *cli.Context) error {
	if c.Args().Present() {
		return usage("serve takes no arguments", "")
	}
	set, err := settings(c)
	if err != nil {
		return err
	}
	passed, err := activation.Listeners()
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := closeInherited(); err != nil {
		return err
	}
	remote, err := remoteEndpoint(set.Listeners)
	if err != nil {
		return err
	}
	overHTTP, err := newHTTPService(set, c.App.ErrWriter)
	if err != nil {
		return err
	}
	cfg := serverConfig(set)
	if cfg.Engine, err = engineConfig(set, 1); err != nil {
		return err
	}
	cfg.SocketKept = len(passed) > 0
	followBaseline(&cfg, set.Baseline, c.App.ErrWriter)
	if !c.Bool("no-feedback") {
		cfg.Feedback = userFeedback(c.App.ErrWriter)
	}
	if cfg.MaxMemory > 0 {
		// What is garbage has to go before the server counts what is left.
		debug.SetMemoryLimit(int64(cfg.MaxMemory + cfg.MaxMemory/4))
	}
	// The socket comes before the models: whoever comes second ends quickly.
	var s *server.Server
	local, err := localListener(passed, set.Listeners.Socket, func() { s.Stranger() })
	if errors.Is(err, socket.ErrRunning) && overHTTP != nil {
		// What starts annotators on demand is content with another's, people who
		// asked for HTTP are not.
		return hintError{err, "end it, or give this one a socket of its own with --socket PATH"}
	}
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
	if overHTTP != nil && set.Listeners.HTTP.Metrics {
		cfg.Scorer, cfg.Observe = overHTTP.metrics.Scorer(cfg.Scorer), overHTTP.metrics.Call
	}
	if set.Listeners.Profiles {
		end, err := serveProfiles(local.Addr().String())
		if err != nil {
			return err
		}
		defer end()
	}
	if s, err = server.New(cfg); err != nil {
		return err
	}
	endpoints := []server.Endpoint{{Listener: local}}
	if remote != nil {
		endpoints = append(endpoints, *remote)
	}
	if overHTTP == nil {
		return s.Serve(c.Context, endpoints...)
	}
	return overHTTP.serveBeside(c.Context, local.Addr().String(), func(ctx context.Context) error {
		return s.Serve(ctx, endpoints...)
	})
}

// serverConfig is what the settings mean for the server.
func serverConfig(s *config.Settings) server.Config {
	cfg := server.Default()
	cfg.Version, cfg.Replaced = version, programReplaced()
	cfg.Idle = s.Listeners.Idle
	if s.Listeners.HTTP.Address != "" {
		// Nobody starts an HTTP service on demand: it stays, and it is restarted
		// by whoever started it.
		cfg.Replaced = nil
		if s.Origin("listeners.idle") == config.DefaultOrigin {
			cfg.Idle = 0
		}
	}
	cfg.MaxSessions, cfg.MaxMemory = s.Limits.MaxSessions, uint64(s.Limits.MaxMemory)
	cfg.MaxPackets, cfg.PacketBuffer = s.Limits.MaxPackets, int(s.Limits.PacketBuffer)
	return cfg
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
func remoteEndpoint(cfg config.Listeners) (*server.Endpoint, error) {
	if cfg.GRPC == "" {
		return nil, nil
	}
	for _, needed := range [][2]string{{"tls-cert", cfg.Certificate}, {"tls-key", cfg.Key}, {"token-file", cfg.TokenFile}} {
		if needed[1] == "" {
			return nil, usage("--listen needs --"+needed[0], "others on the network could read the packets and ask in your name")
		}
	}
	certificate, err := tls.LoadX509KeyPair(cfg.Certificate, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	token, err := readToken(cfg.TokenFile)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.GRPC)
	if err != nil {
		return nil, err
	}
	return &server.Endpoint{
		Listener:    listener,
		Credentials: credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}),
		Token:       token,
	}, nil
}

// readToken reads the token that callers have to show.
func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 {
		return "", fmt.Errorf("token: %s holds %d characters, at least 16 are needed", path, len(token))
	}
	return token, nil
}
