// Package models carries the trained models within the program. What they are,
// what they were trained on and how good they are is told in CARD.md, which
// train/run.sh writes together with the models.
package models

import "embed"

// FS holds manifest.json and the ONNX files that it describes, at its root.
//
//go:embed *.onnx manifest.json
var FS embed.FS
