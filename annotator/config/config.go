// Package config is the one configuration of the program: limits, detectors and
// listeners, from a YAML file and from flags, with the place where each value
// comes from.
package config

import (
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/web"
)

// Config is everything that can be configured. Start from [Default].
type Config struct {
	Limits Limits `yaml:"limits"`
	// Baseline is the file of what is normal on this network, as `ampulla baseline
	// learn` writes it. Default: none.
	Baseline  string        `yaml:"baseline"`
	Detectors detect.Config `yaml:"detectors"`
	Web       web.Config    `yaml:"web"`
	Listeners Listeners     `yaml:"listeners"`
}

// Limits bound what the program takes. No verdict depends on them.
type Limits struct {
	// MaxPackets is how many packets of a capture may be held back to be judged
	// together. Default 10000.
	MaxPackets int `yaml:"max_packets"`
	// PacketBuffer is how many bytes of a capture may be held back, and wait
	// while it is live. Default 256MB.
	PacketBuffer Size `yaml:"packet_buffer"`
	// BatchSize is how many rows a model scores in one call. Default 256.
	BatchSize int `yaml:"batch_size"`
	// Workers is how many goroutines decode and score; 0 is one a processor. A
	// session of the annotator has one. Default 0.
	Workers int `yaml:"workers"`
	// MaxSessions is how many captures the annotator judges at once. Default 32.
	MaxSessions int `yaml:"max_sessions"`
	// MaxMemory is how much memory the annotator may use for all of them; 0 for
	// no limit. Default 4GB.
	MaxMemory Size `yaml:"max_memory"`

	// The next ones bound REST and MCP.

	// MaxJobs is how many analyses and captures run at once; others wait.
	// Default 4.
	MaxJobs int `yaml:"max_jobs"`
	// CacheSize is how much memory the packets of finished jobs may take; the
	// oldest are forgotten. Default 256MB.
	CacheSize Size `yaml:"cache_size"`
	// MaxUpload is the largest capture that may be sent. Default 512MB.
	MaxUpload Size `yaml:"max_upload"`
	// MaxCapture is the largest capture of any source, uncompressed. Default 4GB.
	MaxCapture Size `yaml:"max_capture"`
	// Keep is how long results are kept. Default 1h.
	Keep time.Duration `yaml:"keep"`
}

// Listeners say where the annotator answers, and for how long.
type Listeners struct {
	// Socket is the path of the unix socket. Default: in the user's runtime
	// directory.
	Socket string `yaml:"socket"`
	// Idle is how long the annotator stays when nobody asks; 0 for ever.
	// Default 10m.
	Idle time.Duration `yaml:"idle"`
	// Certificate and Key are the PEM files for TLS, which TCP needs but for HTTP
	// at the machine itself.
	Certificate string `yaml:"tls_cert"`
	Key         string `yaml:"tls_key"`
	// TokenFile holds the token that callers over TCP have to show. HTTP has a
	// default, see [TokenPath].
	TokenFile string `yaml:"token_file"`
	// Profiles offers Go's profiles (net/http/pprof) at a socket of the same
	// folder as Socket, named pprof.sock. Default: no.
	Profiles bool `yaml:"profiles"`
	// GRPC is HOST:PORT for gRPC over TCP. Default: none.
	GRPC string `yaml:"grpc"`
	HTTP HTTP   `yaml:"http"`
}

// HTTP configures what is offered over HTTP.
type HTTP struct {
	// Address is HOST:PORT. Default: none, that is no HTTP.
	Address string `yaml:"address"`
	// Hosts are names by which the server is called, beside addresses and
	// localhost.
	Hosts []string `yaml:"hosts"`
	// Origins are web pages of others that may ask, as in https://grafana.example.
	Origins []string `yaml:"origins"`
	// Folders are where captures may be read from by path. Default: none.
	Folders []string `yaml:"folders"`
	// REST is /v1/, MCP is /mcp, and Metrics is /metrics, for Prometheus. Default:
	// REST and MCP.
	REST    bool `yaml:"rest"`
	MCP     bool `yaml:"mcp"`
	Metrics bool `yaml:"metrics"`
}

// TokenPath is where the token is that HTTP asks for unless a file is named: it
// is made when it is first needed.
func TokenPath() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "ampulla", "token"), err
}

// paths are the keys whose values are paths.
var paths = []string{"baseline", "listeners.socket", "listeners.tls_cert", "listeners.tls_key", "listeners.token_file", "listeners.http.folders"}

// Default returns the configuration that applies unless something else is said.
func Default() Config {
	return Config{
		Limits: Limits{
			MaxPackets: 10_000, PacketBuffer: 256 << 20, BatchSize: engine.Default().Batch,
			MaxSessions: 32, MaxMemory: 4 << 30,
			MaxJobs: 4, CacheSize: 256 << 20, MaxUpload: 512 << 20, MaxCapture: 4 << 30, Keep: time.Hour,
		},
		Detectors: detect.Default(),
		Web:       web.Default(),
		Listeners: Listeners{Idle: 10 * time.Minute, HTTP: HTTP{REST: true, MCP: true}},
	}
}

// Engine returns the configuration of an engine with so many workers; with 0
// workers, as many as configured.
func (c *Config) Engine(workers int) engine.Config {
	cfg := engine.Default()
	cfg.Detect, cfg.Batch, cfg.Workers = c.Detectors, c.Limits.BatchSize, workers
	return cfg
}

// Batch returns how many frames and bytes of a capture may be held back in each
// of the batches that an engine with so many workers has at a time, see
// [engine.Engine.Stream]; two more are being read and written.
func (l *Limits) Batch(workers int) (frames, bytes int) {
	batches := workers + 6
	return max(1, min(l.MaxPackets/batches, rewrite.DefaultMaxFrames)), max(1, int(l.PacketBuffer)/batches)
}

// problem is what is wrong with the value of a key.
type problem struct {
	key, text string
}

// bound is a number with the values that it may have.
type bound struct {
	key         string
	value       int64
	least, most int64
	text        func(int64) string
}

// validate returns the first value that makes no sense by itself, or nil.
func (c *Config) validate() *problem {
	for _, b := range c.bounds() {
		if !(b.value >= b.least) {
			return &problem{b.key, b.text(b.value) + " is less than " + b.text(b.least)}
		}
		if b.value > b.most {
			return &problem{b.key, b.text(b.value) + " is more than " + b.text(b.most)}
		}
	}
	if bad := c.Detectors.Validate(); bad != nil {
		return &problem{"detectors." + bad.Field, bad.Problem}
	}
	if bad := c.Web.Validate(); bad != nil {
		return &problem{"web." + bad.Field, bad.Problem}
	}
	return nil
}

func (c *Config) bounds() []bound {
	l, s := &c.Limits, &c.Listeners
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	size := func(n int64) string { return Size(n).String() }
	period := func(n int64) string { return shortDuration(time.Duration(n)) }
	return []bound{
		{"limits.max_packets", int64(l.MaxPackets), 1, 1 << 20, number},
		{"limits.packet_buffer", int64(l.PacketBuffer), 1 << 20, 1 << 40, size},
		{"limits.batch_size", int64(l.BatchSize), 1, 4096, number},
		{"limits.workers", int64(l.Workers), 0, 1024, number},
		{"limits.max_sessions", int64(l.MaxSessions), 1, 1 << 16, number},
		{"limits.max_memory", int64(l.MaxMemory), 0, 1 << 50, size},
		{"limits.max_jobs", int64(l.MaxJobs), 1, 1024, number},
		{"limits.cache_size", int64(l.CacheSize), 1 << 20, 1 << 40, size},
		{"limits.max_upload", int64(l.MaxUpload), 1 << 10, 1 << 40, size},
		{"limits.max_capture", int64(l.MaxCapture), 1 << 10, 1 << 50, size},
		{"limits.keep", int64(l.Keep), int64(time.Second), int64(365 * 24 * time.Hour), period},
		{"listeners.idle", int64(s.Idle), 0, int64(10 * 365 * 24 * time.Hour), period},
	}
}
