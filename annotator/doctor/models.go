package doctor

import (
	"errors"

	"ampulla/annotator/score/ort"
	"ampulla/models"
)

// modelSection loads ONNX Runtime and the models that the program carries.
func modelSection(cfg Config) Section {
	section := Section{Title: "Models"}
	scorer, err := ort.Open(ort.Config{Library: cfg.Library}, models.FS)
	if failure, ok := errors.AsType[*ort.LibraryError](err); ok {
		for _, place := range failure.Tried {
			section.Findings = append(section.Findings, Finding{State: "info", About: "looked for ONNX Runtime in", Detail: place})
		}
		section.Findings = append(section.Findings, Finding{"missing", "ONNX Runtime", "no library of version 1.24 or newer can be loaded", reinstall(self())})
		return section
	}
	if err != nil {
		section.Findings = append(section.Findings, Finding{"broken", "models", err.Error(), reinstall(self())})
		return section
	}
	defer scorer.Close()
	library, version := scorer.Library()
	manifest := scorer.Manifest()
	section.Title = "Models " + manifest.Version
	section.Findings = []Finding{
		{State: "ok", About: library, Detail: "ONNX Runtime " + version},
		{State: "ok", About: manifest.Classifier.File, Detail: "loads, SHA-256 " + manifest.Classifier.SHA256},
		{State: "ok", About: manifest.Anomaly.File, Detail: "loads, SHA-256 " + manifest.Anomaly.SHA256},
	}
	return section
}
