package score

// Manifest describes the shipped models: models/manifest.json.
type Manifest struct {
	Version    string     `json:"version"`  // of the pair of models
	Features   string     `json:"features"` // feature.Version they were trained with
	Classifier Classifier `json:"classifier"`
	Anomaly    Anomaly    `json:"anomaly"`
}

// Classifier describes the protocol classifier.
type Classifier struct {
	File     string   `json:"file"`
	SHA256   string   `json:"sha256"`
	Features []string `json:"features"` // names, in order
	Classes  []string `json:"classes"`  // names, in the order of the outputs
	// Temperature and Abstain calibrate: confidence = softmax(logit/Temperature),
	// and the answer is unknown when that is below Abstain.
	Temperature float64 `json:"temperature"`
	Abstain     float64 `json:"abstain"`
}

// Anomaly describes the anomaly model.
type Anomaly struct {
	File     string   `json:"file"`
	SHA256   string   `json:"sha256"`
	Features []string `json:"features"` // names, in order
	// Calibration maps the model's raw output to the tail probability on benign
	// packets: points (Raw, P), Raw rising, P falling; linear in log P between.
	Calibration []CalibrationPoint `json:"calibration"`
	// Normal holds, per feature, the median, 99th and 99.9th percentile on
	// benign packets, for the words of a reason.
	Normal []Quantiles `json:"normal"`
}

// CalibrationPoint is one point of a calibration curve.
type CalibrationPoint struct {
	Raw float64 `json:"raw"`
	P   float64 `json:"p"` // share of benign packets that score at least Raw
}

// Quantiles are quantiles of one feature on benign packets.
type Quantiles struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}
