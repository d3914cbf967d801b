package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/goccy/go-yaml"

	"ampulla/annotator/detect"
	"ampulla/annotator/engine"
)

// fileConfig is the configuration file. Absent keys keep their defaults.
type fileConfig struct {
	// Detectors holds the detectors' thresholds.
	Detectors detect.Config `yaml:"detectors"`
}

// engineConfig returns the engine's configuration: defaults, then the file at
// path unless that is empty. A mistake in the file is reported with its line.
func engineConfig(path string, workers int) (engine.Config, error) {
	cfg := engine.Default()
	cfg.Workers = workers
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if path == "" {
		return cfg, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg, fmt.Errorf("configuration: %w", err)
	}
	file := fileConfig{Detectors: cfg.Detect}
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.Strict()); err != nil {
		return cfg, fmt.Errorf("configuration %s: %w", path, err)
	}
	if err := file.Detectors.Validate(); err != nil {
		return cfg, fmt.Errorf("configuration %s: %w", path, err)
	}
	cfg.Detect = file.Detectors
	return cfg, nil
}
