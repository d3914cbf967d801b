// Package config is the one configuration of the program: limits, detectors and
// listeners, from a YAML file and from flags, with the place where each value
// comes from.
package config

import (
	"strconv"
	"time"

	"ampulla/annotator/detect"
	"ampulla/annotator/engine"
	"ampulla/annotator/rewrite"
	"ampulla/annotator/web"
)

// Config is everything that can be configured. Start from [Default].
type Config struct {
	Limits    Limits        `yaml:"limits"`
	Detectors detect.Config `yaml:"detectors"`
	Web       web.Config    `yaml:"web"`
	Listeners Listeners     `yaml:"listeners"`
}

// Limits bound what the program takes. No verdict depends on them.
type Limits struct {
	// MaxPackets is how many packets of a capture may be held back at once to
	// be judged together. Default 10000.
	MaxPackets int `yaml:"max_packets"`
	// PacketBuffer is how many bytes of a capture may wait to be judged.
	// Default 256MB.
	PacketBuffer Size `yaml:"packet_buffer"`
	// BatchSize is how many rows a model scores in one call. Default 32.
	BatchSize int `yaml:"batch_size"`
	// Workers is how many goroutines decode and score; 0 is one a processor. A
	// session of the annotator has one. Default 0.
	Workers int `yaml:"workers"`
	// MaxSessions is how many captures the annotator judges at once. Default 32.
	MaxSessions int `yaml:"max_sessions"`
	// MaxMemory is how much memory the annotator may use for all of them; 0 for
	// no limit. Default 4GB.
	MaxMemory Size `yaml:"max_memory"`
}

// Listeners say where the annotator answers, and for how long.
type Listeners struct {
	// Socket is the path of the unix socket. Default: in the user's runtime
	// directory.
	Socket string `yaml:"socket"`
	// Idle is how long the annotator stays when nobody asks; 0 for ever.
	// Default 10m.
	Idle time.Duration `yaml:"idle"`
	// GRPC is gRPC over TCP.
	GRPC GRPC `yaml:"grpc"`
}

// GRPC configures gRPC over TCP, which is always encrypted.
type GRPC struct {
	// Address is HOST:PORT. Default: none, that is no TCP.
	Address string `yaml:"address"`
	// Certificate and Key are the PEM files for TLS.
	Certificate string `yaml:"tls_cert"`
	Key         string `yaml:"tls_key"`
	// TokenFile holds the token that callers have to show.
	TokenFile string `yaml:"token_file"`
}

// paths are the keys whose values are paths.
var paths = []string{"listeners.socket", "listeners.grpc.tls_cert", "listeners.grpc.tls_key", "listeners.grpc.token_file"}

// Default returns the configuration that applies unless something else is said.
func Default() Config {
	return Config{
		Limits: Limits{
			MaxPackets: 10_000, PacketBuffer: rewrite.DefaultMaxBytes, BatchSize: engine.Default().Batch,
			MaxSessions: 32, MaxMemory: 4 << 30,
		},
		Detectors: detect.Default(),
		Web:       web.Default(),
		Listeners: Listeners{Idle: 10 * time.Minute},
	}
}

// Engine returns the configuration of an engine with so many workers; with 0
// workers, as many as configured.
func (c *Config) Engine(workers int) engine.Config {
	cfg := engine.Default()
	cfg.Detect, cfg.Batch, cfg.Workers = c.Detectors, c.Limits.BatchSize, workers
	return cfg
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
		{"listeners.idle", int64(s.Idle), 0, int64(10 * 365 * 24 * time.Hour), period},
	}
}
