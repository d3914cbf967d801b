//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"ampulla/annotator/feature"
	"ampulla/annotator/score"

	onnx "github.com/yalue/onnxruntime_go"
	"golang.org/x/sync/errgroup"
)

// Scorer implements score.Scorer. Close it when it is no longer needed.
type Scorer struct {
	manifest    *score.Manifest
	library     string
	classifier  *model
	anomaly     *model
	calibration score.Calibration
}

// runtimeLibrary guards the runtime, which is global to the process by its
// nature: loaded once, never unloaded.
var runtimeLibrary struct {
	sync.Mutex
	path string
}

// Open loads ONNX Runtime and the models of a folder such as models.FS.
// A *LibraryError says that the runtime could not be found.
func Open(cfg Config, models fs.FS) (*Scorer, error) {
	// All this is most of the time that the program takes to start.
	s := new(Scorer)
	var reading errgroup.Group
	reading.Go(func() (err error) {
		s.manifest, err = score.LoadManifest(models)
		return err
	})
	library, missing := loadRuntime(cfg)
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	if missing != nil {
		return nil, missing
	}
	s.library, s.calibration = library, s.manifest.Anomaly.Calibrated()
	var opening errgroup.Group
	opening.Go(func() (err error) {
		s.classifier, err = openModel(models, s.manifest.Classifier.Model, len(s.manifest.Classifier.Classes))
		return err
	})
	opening.Go(func() (err error) {
		s.anomaly, err = openModel(models, s.manifest.Anomaly.Model, 1)
		return err
	})
	if err := opening.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	trim()
	return s, nil
}

func loadRuntime(cfg Config) (string, error) {
	runtimeLibrary.Lock()
	defer runtimeLibrary.Unlock()
	if runtimeLibrary.path != "" {
		return runtimeLibrary.path, nil
	}
	// From version 1.29 on, ONNX Runtime reports to its makers over the network
	// unless this is set. What looks at people's captures must not; install.sh
	// fetches a version without it, but others may be found or given.
	if err := os.Setenv("ORT_DISABLE_TELEMETRY", "1"); err != nil {
		return "", err
	}
	reserve()
	path, err := load(cfg, func(path string) error {
		onnx.SetSharedLibraryPath(path)
		return onnx.InitializeEnvironment(onnx.WithLogLevelError())
	})
	runtimeLibrary.path = path
	return path, err
}

// Library returns the path and version of the runtime's library.
func (s *Scorer) Library() (path, version string) { return s.library, onnx.GetVersion() }

// Manifest describes the models in use.
func (s *Scorer) Manifest() *score.Manifest { return s.manifest }

// Classify implements score.Scorer.
func (s *Scorer) Classify(rows []float32, out []score.Class) error {
	if len(rows) != len(out)*feature.ClassWidth {
		return fmt.Errorf("classifier: %d values for %d rows of %d", len(rows), len(out), feature.ClassWidth)
	}
	return s.classifier.run(rows, len(out), func(i int, logits []float32) {
		out[i] = s.manifest.Classifier.Class(logits)
	})
}

// Anomaly implements score.Scorer.
func (s *Scorer) Anomaly(rows []float32, out []float32) error {
	if len(rows) != len(out)*feature.AnomalyWidth {
		return fmt.Errorf("anomaly model: %d values for %d rows of %d", len(rows), len(out), feature.AnomalyWidth)
	}
	return s.anomaly.run(rows, len(out), func(i int, raw []float32) {
		out[i] = s.calibration.Score(raw[0])
	})
}

// Close frees the models. No other method may be running or called later.
func (s *Scorer) Close() error {
	var err error
	for _, m := range []*model{s.classifier, s.anomaly} {
		if m != nil { // as it is where Open failed
			err = errors.Join(err, m.close())
		}
	}
	return err
}
