package report

import (
	_ "embed" // the schema
	"encoding/json"
	"fmt"
	"io"
)

// Schema is the JSON schema (draft 2020-12) of the JSON form.
//
//go:embed schema.json
var Schema []byte

// JSON writes the report for programs, as [Schema] says.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // filters have a lot of &
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
