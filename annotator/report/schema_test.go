package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	generator "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"ampulla/annotator/report"
)

var update = flag.Bool("update", false, "write schema.json anew, from the types and their comments")

// TestSchema holds the schema to the types that it describes.
func TestSchema(t *testing.T) {
	r := generator.Reflector{ExpandedStruct: true}
	for _, dir := range []string{".", "../web", "../verdict"} {
		if err := r.AddGoComments("ampulla/annotator/report", dir); err != nil {
			t.Fatal(err)
		}
	}
	schema := r.Reflect(&report.Report{})
	schema.ID = ""
	schema.Title = report.SchemaID
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile("schema.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(text, report.Schema) {
		t.Error("schema.json and the types differ; go test ./annotator/report -run TestSchema -update")
	}
	compiled(t)
}

// compiled returns the schema, ready to check with.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("report.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
