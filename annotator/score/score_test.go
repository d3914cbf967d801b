package score

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"ampulla/annotator/feature"
	"ampulla/annotator/verdict"
)

// folder returns a folder of models that LoadManifest accepts, and its manifest.
func folder(t *testing.T) (fstest.MapFS, *Manifest) {
	t.Helper()
	models := fstest.MapFS{"c.onnx": {Data: []byte("classifier")}, "a.onnx": {Data: []byte("anomaly")}}
	hash := func(name string) string {
		sum := sha256.Sum256(models[name].Data)
		return hex.EncodeToString(sum[:])
	}
	m := &Manifest{
		Version:  "test",
		Features: feature.Version,
		Classifier: Classifier{
			Model:       Model{File: "c.onnx", SHA256: hash("c.onnx"), Features: feature.ClassNames()},
			Classes:     []string{"dns", "tls", "unknown"},
			Temperature: 2,
			Abstain:     0.6,
			Settled:     0.9,
		},
		Anomaly: Anomaly{
			Model:       Model{File: "a.onnx", SHA256: hash("a.onnx"), Features: feature.AnomalyNames()},
			Calibration: []CalibrationPoint{{-1, 1}, {0, 0.1}, {2, 0.001}, {3, 0.0001}},
			Normal:      make([]feature.Quantiles, feature.AnomalyWidth),
		},
	}
	write(t, models, m)
	return models, m
}

func write(t *testing.T, models fstest.MapFS, m *Manifest) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	models[ManifestFile] = &fstest.MapFile{Data: text}
}

func TestLoadManifest(t *testing.T) {
	models, want := folder(t)
	got, err := LoadManifest(models)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != want.Version || len(got.Anomaly.Calibration) != 4 || got.Classifier.File != "c.onnx" {
		t.Errorf("got %+v", got)
	}
}

func TestLoadManifestErrors(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(fstest.MapFS, *Manifest)
		want  string
	}{
		{"no version", func(_ fstest.MapFS, m *Manifest) { m.Version = "" }, "no version"},
		{"other features", func(_ fstest.MapFS, m *Manifest) { m.Features = "0" }, `trained with version "0" of the features`},
		{"missing model", func(f fstest.MapFS, _ *Manifest) { delete(f, "a.onnx") }, "a.onnx"},
		{"changed model", func(f fstest.MapFS, _ *Manifest) { f["c.onnx"].Data = []byte("x") }, "c.onnx has the hash 2d711642b726..., the manifest says"},
		{"fewer features", func(_ fstest.MapFS, m *Manifest) { m.Classifier.Features = m.Classifier.Features[1:] }, "classifier: the model reads"},
		{"renamed feature", func(_ fstest.MapFS, m *Manifest) { m.Anomaly.Features[1] = "x" }, `anomaly: feature 1 is "x" for the model and "`},
		{"class twice", func(_ fstest.MapFS, m *Manifest) { m.Classifier.Classes[1] = "dns" }, `class "dns" is empty or there twice`},
		{"one class", func(_ fstest.MapFS, m *Manifest) { m.Classifier.Classes = []string{"dns"} }, "fewer than 2 classes"},
		{"cold", func(_ fstest.MapFS, m *Manifest) { m.Classifier.Temperature = 0 }, "temperature 0 is not positive"},
		{"always abstains", func(_ fstest.MapFS, m *Manifest) { m.Classifier.Abstain = 1 }, "abstain 1 is not in [0, 1)"},
		{"settled too early", func(_ fstest.MapFS, m *Manifest) { m.Classifier.Settled = 0.5 }, "settled 0.5 is not in (abstain, 1]"},
		{"no quantiles", func(_ fstest.MapFS, m *Manifest) { m.Anomaly.Normal = nil }, "quantiles of 0 features instead of"},
		{"no calibration", func(_ fstest.MapFS, m *Manifest) { m.Anomaly.Calibration = nil }, "no calibration"},
		{"raw falls", func(_ fstest.MapFS, m *Manifest) { m.Anomaly.Calibration[2].Raw = -0.5 }, "calibration point 2"},
		{"p rises", func(_ fstest.MapFS, m *Manifest) { m.Anomaly.Calibration[2].P = 0.5 }, "calibration point 2"},
		{"p is 0", func(_ fstest.MapFS, m *Manifest) { m.Anomaly.Calibration[3].P = 0 }, "calibration point 3"},
	} {
		models, m := folder(t)
		tt.spoil(models, m)
		write(t, models, m)
		if _, err := LoadManifest(models); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}

	models, _ := folder(t)
	models[ManifestFile].Data = []byte(`{"versions": "1"}`)
	if _, err := LoadManifest(models); err == nil || !strings.Contains(err.Error(), `unknown field "versions"`) {
		t.Errorf("unknown field: error %v", err)
	}
}

func TestClass(t *testing.T) {
	_, m := folder(t)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, tt := range []struct {
		logits []float32
		want   Class
	}{
		{[]float32{10, 0, 0}, Class{"dns", 0.98670}},
		{[]float32{0, 10, 0}, Class{"tls", 0.98670}},
		{[]float32{0, 0, 10}, Class{"unknown", 0.98670}},
		{[]float32{-990, -1000, -1000}, Class{"dns", 0.98670}},
		{[]float32{1, 0, 0}, Class{"unknown", 0.45186}}, // abstains
		{[]float32{nan, 0, 0}, Class{"unknown", 0}},
		{[]float32{0, nan, 0}, Class{"unknown", 0}},
		{[]float32{0, inf, 0}, Class{"unknown", 0}},
	} {
		got := m.Classifier.Class(tt.logits)
		if got.Name != tt.want.Name || math.Abs(float64(got.Confidence-tt.want.Confidence)) > 1e-5 {
			t.Errorf("%v: %v, want %v", tt.logits, got, tt.want)
		}
	}
}

// TestCalibration: between two points the tail probability is the geometric mean.
func TestCalibration(t *testing.T) {
	_, m := folder(t)
	c := m.Anomaly.Calibrated()
	for _, tt := range []struct{ raw, want float64 }{
		{math.Inf(-1), 1}, {-5, 1}, {-1, 1}, {-0.5, math.Sqrt(0.1)}, {0, 0.1}, {1, 0.01},
		{2, 0.001}, {3, 0.0001}, {9, 0.0001}, {math.Inf(1), 0.0001}, {math.NaN(), 1},
	} {
		if got, want := c.Score(float32(tt.raw)), Scale(tt.want); math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("Score(%v) = %v, want %v", tt.raw, got, want)
		}
	}
}

func TestScoreNeverFalls(t *testing.T) {
	_, m := folder(t)
	c, last := m.Anomaly.Calibrated(), float32(-1)
	for raw := float32(-2); raw < 4; raw += 0.001 {
		got := c.Score(raw)
		if got < last || got < 0 || got > 1 {
			t.Fatalf("Score(%v) = %v after %v", raw, got, last)
		}
		last = got
	}
	if last < 1 {
		t.Errorf("highest score %v, want 1 for one in ten thousand", last)
	}
}

func TestScale(t *testing.T) {
	for p, want := range map[float64]float64{1: 0, 0.1: 0.8 / 3, 0.001: verdict.AnomalousScore, 1e-9: 1} {
		if got := Scale(p); math.Abs(got-want) > 1e-12 {
			t.Errorf("Scale(%v) = %v, want %v", p, got, want)
		}
	}
}
