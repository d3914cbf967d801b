package score

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"ampulla/annotator/feature"
	"ampulla/annotator/verdict"
)

// ManifestFile is the name of the manifest within a folder of models.
const ManifestFile = "manifest.json"

// Manifest describes the shipped models: models/manifest.json. It is read-only
// once loaded.
type Manifest struct {
	Version    string     `json:"version"`  // of the pair of models
	Features   string     `json:"features"` // feature.Version they were trained with
	Classifier Classifier `json:"classifier"`
	Anomaly    Anomaly    `json:"anomaly"`
}

// The names of a model's input and output.
const (
	Input  = "rows"
	Output = "out"
)

// Model names a model's file and the features it reads. The file is an ONNX
// graph with the input Input, rows of float32 features, and the output Output,
// rows of float32.
type Model struct {
	File     string   `json:"file"`     // beside the manifest
	SHA256   string   `json:"sha256"`   // of the file, lower-case hex
	Features []string `json:"features"` // names, in order
}

// Classifier describes the protocol classifier. Its output is one logit a
// class.
type Classifier struct {
	Model
	Classes []string `json:"classes"` // names, in the order of the outputs
	// Temperature and Abstain calibrate: confidence = softmax(logit/Temperature),
	// and the answer is unknown when that is below Abstain.
	Temperature float64 `json:"temperature"`
	Abstain     float64 `json:"abstain"`
	// Settled is the confidence from which on a class, unless it is unknown, is
	// final: what comes later in a flow hardly ever changes it.
	Settled float64 `json:"settled"`
}

// Anomaly describes the anomaly model. Its output is one raw number, higher
// for what is less like benign traffic.
type Anomaly struct {
	Model
	// Calibration maps the raw output to the tail probability on benign
	// packets: points with Raw rising and P falling, linear in log P between
	// them, and constant outside.
	Calibration []CalibrationPoint `json:"calibration"`
	// Normal holds, per feature, quantiles on benign packets, for the words of
	// a reason.
	Normal []feature.Quantiles `json:"normal"`
}

// CalibrationPoint is one point of a calibration curve.
type CalibrationPoint struct {
	Raw float64 `json:"raw"`
	P   float64 `json:"p"` // share of benign packets that score at least Raw, in (0, 1]
}

// LoadManifest reads the manifest of a folder of models and checks that the
// models are those it describes (hashes) and that they fit this program: the
// version, names and order of the features.
func LoadManifest(models fs.FS) (*Manifest, error) {
	text, err := fs.ReadFile(models, ManifestFile)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("models: %s: %w", ManifestFile, err)
	}
	for _, model := range []Model{m.Classifier.Model, m.Anomaly.Model} {
		if _, err := model.Read(models); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Provenance returns what an annotated capture says of its origin: the program's
// version, these models, and which frames got a comment.
func (m *Manifest) Provenance(version string, threshold float64, comments string) verdict.Provenance {
	return verdict.Provenance{
		Version: version, Model: m.Version,
		Classifier: m.Classifier.SHA256, Anomaly: m.Anomaly.SHA256,
		Threshold: threshold, Comments: comments,
	}
}

// Read returns the content of the model's file, which must have the hash that
// the manifest states.
func (m Model) Read(models fs.FS) ([]byte, error) {
	data, err := fs.ReadFile(models, m.File)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != m.SHA256 {
		return nil, fmt.Errorf("models: %s has the hash %.12s..., the manifest says %.12s...: the files do not belong together", m.File, got, m.SHA256)
	}
	return data, nil
}

func parseManifest(text []byte) (*Manifest, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	m := new(Manifest)
	if err := decoder.Decode(m); err != nil {
		return nil, err
	}
	if m.Version == "" {
		return nil, errors.New("no version")
	}
	if m.Features != feature.Version {
		return nil, fmt.Errorf("models %s were trained with version %q of the features, this program computes version %q", m.Version, m.Features, feature.Version)
	}
	if err := m.Classifier.check(); err != nil {
		return nil, fmt.Errorf("classifier: %w", err)
	}
	if err := m.Anomaly.check(); err != nil {
		return nil, fmt.Errorf("anomaly: %w", err)
	}
	return m, nil
}

func (c *Classifier) check() error {
	if err := sameNames(c.Features, feature.ClassNames()); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range c.Classes {
		if name == "" || seen[name] {
			return fmt.Errorf("class %q is empty or there twice", name)
		}
		seen[name] = true
	}
	switch {
	case len(c.Classes) < 2:
		return errors.New("fewer than 2 classes")
	case !(c.Temperature > 0):
		return fmt.Errorf("temperature %v is not positive", c.Temperature)
	case !(c.Abstain >= 0 && c.Abstain < 1):
		return fmt.Errorf("abstain %v is not in [0, 1)", c.Abstain)
	case !(c.Settled > c.Abstain && c.Settled <= 1):
		return fmt.Errorf("settled %v is not in (abstain, 1]", c.Settled)
	}
	return nil
}

func (a *Anomaly) check() error {
	if err := sameNames(a.Features, feature.AnomalyNames()); err != nil {
		return err
	}
	if len(a.Normal) != len(a.Features) {
		return fmt.Errorf("quantiles of %d features instead of %d", len(a.Normal), len(a.Features))
	}
	if len(a.Calibration) == 0 {
		return errors.New("no calibration")
	}
	last := CalibrationPoint{Raw: math.Inf(-1), P: 1}
	for i, point := range a.Calibration {
		if !(point.Raw > last.Raw && point.P > 0 && point.P <= last.P) || math.IsInf(point.Raw, 1) {
			return fmt.Errorf("calibration point %d (raw %v, p %v): raw must rise, p must fall and lie in (0, 1]", i, point.Raw, point.P)
		}
		last = point
	}
	return nil
}

// sameNames compares a model's features with those that this program computes.
func sameNames(model, program []string) error {
	if len(model) != len(program) {
		return fmt.Errorf("the model reads %d features, this program computes %d", len(model), len(program))
	}
	for i := range model {
		if model[i] != program[i] {
			return fmt.Errorf("feature %d is %q for the model and %q for this program", i, model[i], program[i])
		}
	}
	return nil
}
