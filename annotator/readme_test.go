package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/detect"
)

// TestReadmeConfiguration holds the configuration that README.md shows to what
// it says of it: every key there is, with its default.
func TestReadmeConfiguration(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllSubmatch(text, -1)
	if len(blocks) != 1 {
		t.Fatalf("%d YAML blocks, want 1", len(blocks))
	}
	var got fileConfig
	if err := yaml.UnmarshalWithOptions(blocks[0][1], &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fileConfig{Detectors: detect.Default()}, got); diff != "" {
		t.Errorf("README.md and the defaults differ (-defaults +README):\n%s", diff)
	}
}
