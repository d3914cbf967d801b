//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/net/netutil"

	"ampulla/annotator/config"
	"ampulla/grpc/analysis"
	"ampulla/grpc/client"
	"ampulla/grpc/gateway"
	"ampulla/grpc/mcp"
	"ampulla/grpc/metrics"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// maxConnections is how many HTTP connections may be open at once; others wait
// to be accepted.
const maxConnections = 1024

// httpService is what is offered over HTTP, as a client of the annotator beside it.
type httpService struct {
	set      *config.Settings
	listener net.Listener
	token    string
	log      *slog.Logger
	metrics  *metrics.Metrics
	warnings *slog.Logger // for those who say more than is of use
}

// newHTTPService listens; nil when HTTP was not asked for.
func newHTTPService(set *config.Settings, stderr io.Writer) (*httpService, error) {
	cfg := set.Listeners
	if cfg.HTTP.Address == "" {
		return nil, nil
	}
	secret, path, err := httpToken(cfg)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(cfg.HTTP.Address)
	if err != nil {
		return nil, usage("--http: "+err.Error(), "such as 127.0.0.1:7462")
	}
	if cfg.Certificate == "" && !isLoopback(host) {
		return nil, usage("--http at "+host+" needs --tls-cert and --tls-key", "others on the network could read the packets; 127.0.0.1 needs none")
	}
	listener, err := net.Listen("tcp", cfg.HTTP.Address)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	limited := netutil.LimitListener(listener, maxConnections)
	if cfg.Certificate != "" {
		certificate, err := tls.LoadX509KeyPair(cfg.Certificate, cfg.Key)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("certificate: %w", err), listener.Close())
		}
		scheme = "https"
		limited = tls.NewListener(limited, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	log.Info("listening", "url", scheme+"://"+listener.Addr().String(), "token_file", path,
		"rest", cfg.HTTP.REST, "mcp", cfg.HTTP.MCP, "metrics", cfg.HTTP.Metrics)
	return &httpService{set: set, listener: limited, token: secret, log: log, metrics: metrics.New(),
		warnings: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}, nil
}

// isLoopback tells whether only this machine reaches a host.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// httpToken reads the token, and makes one if no file is named and there is none.
func httpToken(cfg config.Listeners) (token, path string, err error) {
	if path = cfg.TokenFile; path == "" {
		if path, err = config.TokenPath(); err != nil {
			return "", "", fmt.Errorf("token: %w", err)
		}
		if err := makeToken(path); err != nil {
			return "", "", fmt.Errorf("token: %w", err)
		}
	}
	token, err = readToken(path)
	return token, path, err
}

// makeToken writes a random token for the user's eyes only, unless the file
// exists.
func makeToken(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	_, err = fmt.Fprintln(file, base64.RawURLEncoding.EncodeToString(secret))
	return errors.Join(err, file.Close())
}

// serveBeside serves HTTP while the annotator at that socket serves. When one of
// them ends, so does the other.
func (w *httpService) serveBeside(ctx context.Context, socket string, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := client.Dial(ctx, client.Config{Address: "unix:" + socket, Program: client.NoStart})
	if err != nil {
		return err
	}
	defer conn.Close()
	handler, closing, err := w.handler(annotatorv1.NewAnnotatorClient(conn))
	if err != nil {
		return err
	}
	s := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(w.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() {
		failed <- s.Serve(w.listener)
		cancel()
	}()
	err = serve(ctx)
	_ = s.Close() // event streams would never end by themselves
	if failure := <-failed; !errors.Is(failure, http.ErrServerClosed) {
		err = errors.Join(err, failure)
	}
	return errors.Join(err, closing())
}

// handler puts together what was asked for.
func (w *httpService) handler(annotator annotatorv1.AnnotatorClient) (handler http.Handler, closing func() error, err error) {
	store, err := analysis.New(storeConfig(w.set, annotator))
	if err != nil {
		return nil, nil, err
	}
	cfg := w.set.Listeners.HTTP
	mux := http.NewServeMux()
	if cfg.REST {
		rest, err := gateway.New(gateway.Config{Store: store, Annotator: annotator, MaxUpload: int64(w.set.Limits.MaxUpload)})
		if err != nil {
			return nil, nil, errors.Join(err, store.Close())
		}
		mux.Handle("/", rest)
	}
	if cfg.MCP {
		mux.Handle("/mcp", mcp.Handler(mcp.New(mcp.Config{Store: store, Version: version, Log: w.warnings, Report: reportByProgram(configArguments(w.set))}), w.warnings))
	}
	if cfg.Metrics {
		w.metrics.Watch(annotator, store)
		mux.Handle("GET /metrics", w.metrics.Handler())
	}
	access := gateway.Access{Token: w.token, Hosts: cfg.Hosts, Origins: cfg.Origins}
	return w.logged(gateway.Guard(access, mux)), store.Close, nil
}

// storeConfig is what the settings mean for the store of jobs.
func storeConfig(set *config.Settings, annotator annotatorv1.AnnotatorClient) analysis.Config {
	cfg, l := analysis.Default(), set.Limits
	cfg.Annotator, cfg.Folders = annotator, set.Listeners.HTTP.Folders
	cfg.MaxJobs, cfg.CacheSize, cfg.Keep = l.MaxJobs, int64(l.CacheSize), l.Keep
	cfg.MaxUpload, cfg.MaxCapture = int64(l.MaxUpload), int64(l.MaxCapture)
	if dir, err := os.UserCacheDir(); err == nil {
		cfg.Dir = filepath.Join(dir, "ampulla")
	}
	return cfg
}

// logged writes one line a request: what was asked for and how it went, and
// nothing of what was said.
func (w *httpService) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		begun, seen := time.Now(), &answered{ResponseWriter: rw, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		took := time.Since(begun)
		w.metrics.Request(r, seen.status, took)
		w.log.Info("request", "method", r.Method, "path", r.URL.Path, "status", seen.status, "bytes", seen.bytes,
			"seconds", took.Seconds(), "from", r.RemoteAddr)
	})
}

// answered notes how a request was answered.
type answered struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader notes the status.
func (a *answered) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (a *answered) Write(b []byte) (int, error) {
	n, err := a.ResponseWriter.Write(b)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }
