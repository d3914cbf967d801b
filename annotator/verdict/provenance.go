package verdict

import (
	"fmt"
	"strconv"
	"strings"
)

// Provenance says how a section was annotated. It becomes the one comment that
// Ampulla adds to a section header, in the same two-line form as a verdict.
type Provenance struct {
	Version    string  // of Ampulla
	Model      string  // version of the models
	Classifier string  // hash of the classifier file, hexadecimal
	Anomaly    string  // hash of the anomaly model file, hexadecimal
	Threshold  float64 // scores above it were flagged
	Comments   string  // which frames got a comment: flagged, all or none
	Hindsight  bool    // the capture was read twice, to mark what became visible later
	Rules      int     // of feedback that were in force
	Baseline   string  // hash of the baseline, hexadecimal; empty for none
	// SectionLength is what the section header said before annotation changed
	// the length, bytes; nil if it was not specified (-1) in the first place.
	SectionLength *int64
}

// Comment returns p as the text of a pcapng comment.
func (p *Provenance) Comment() string {
	var b strings.Builder
	how := ""
	if p.Rules > 0 {
		how = fmt.Sprintf(", rules of feedback: %d", p.Rules)
	}
	if p.Hindsight {
		how += ", in hindsight"
	}
	if p.Baseline != "" {
		how += ", measured against the baseline " + escape(Short(p.Baseline))
	}
	fmt.Fprintf(&b, "%sannotated by Ampulla %s with models %s, threshold %.2f, comments on %s frames%s\n",
		sentencePrefix, p.Version, p.Model, p.Threshold, p.Comments, how)
	fmt.Fprintf(&b, "%s provenance=ampulla version=%s model=%s classifier=%s anomaly=%s threshold=%.3f comments=%s",
		machineToken, escape(p.Version), escape(p.Model), escape(Short(p.Classifier)), escape(Short(p.Anomaly)),
		p.Threshold, escape(p.Comments))
	if p.Rules > 0 {
		b.WriteString(" rules=" + strconv.Itoa(p.Rules))
	}
	if p.Hindsight {
		b.WriteString(" hindsight=1")
	}
	if p.Baseline != "" {
		b.WriteString(" baseline=" + escape(Short(p.Baseline)))
	}
	if p.SectionLength != nil {
		b.WriteString(" section_length=" + strconv.FormatInt(*p.SectionLength, 10))
	}
	return b.String()
}

// Short keeps the first 16 digits of a hash: enough to tell models, and baselines,
// apart.
func Short(hash string) string { return hash[:min(len(hash), 16)] }

// SectionLength reads the original section length back from a provenance
// comment; ok is false when it names none.
func SectionLength(comment string) (length int64, ok bool) {
	if !IsOurs(comment) {
		return 0, false
	}
	_, machine, _ := strings.Cut(comment, "\n")
	for field := range strings.FieldsSeq(machine) {
		if value, found := strings.CutPrefix(field, "section_length="); found {
			length, err := strconv.ParseInt(value, 10, 64)
			return length, err == nil && length >= 0
		}
	}
	return 0, false
}
