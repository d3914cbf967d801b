package report

import (
	"bytes"
	_ "embed" // the page
	"fmt"
	"io"
	"maps"
	"strings"
	"text/template"
	"unicode"
)

//go:embed page.md
var pageMarkdown string

// maxMarks is how many characters a timeline takes at most.
const maxMarks = 60

// Markdown writes the report for tickets and terminals: without figures, and
// without the thresholds, which are long.
func (r *Report) Markdown(w io.Writer) error {
	functions := template.FuncMap{
		"text": markdownText, "code": markdownCode,
		"traffic": func(t Timeline) string { return line(t, 0, func(b Bin) float64 { return float64(b.Bytes) }) },
		"scores":  func(t Timeline) string { return line(t, 1, func(b Bin) float64 { return b.Score }) },
	}
	maps.Copy(functions, r.functions())
	t, err := template.New("page").Funcs(functions).Parse(pageMarkdown)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, r.page()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = io.WriteString(w, clean(out.String()))
	return err
}

// markdownText makes a text that may say anything stand for itself. A low line
// within a word means nothing, and is left alone to be read.
func markdownText(s string) string {
	var b strings.Builder
	runes := []rune(strings.ReplaceAll(s, "\n", " "))
	for i, r := range runes {
		within := i > 0 && i+1 < len(runes) && isWord(runes[i-1]) && isWord(runes[i+1])
		if strings.ContainsRune("\\`*[]<>|~", r) || r == '_' && !within {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isWord(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// markdownCode writes code, between more backticks than it has in a row.
func markdownCode(s string) string {
	s = strings.ReplaceAll(s, "\n", " ")
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// line draws a timeline as a line of blocks, of which the tallest stands for the
// highest value or for full, if that is more; a low line is nothing. Several steps
// become one, as high as the highest of them.
func line(t Timeline, full float64, value func(Bin) float64) string {
	heights := []rune("▁▂▃▄▅▆▇█")
	group := (len(t.Bins) + maxMarks - 1) / maxMarks
	var marks []float64
	for i, b := range t.Bins {
		if i%group == 0 {
			marks = append(marks, 0)
		}
		last := &marks[len(marks)-1]
		*last = max(*last, value(b))
		full = max(full, *last)
	}
	var out strings.Builder
	for _, v := range marks {
		if v == 0 {
			out.WriteRune('_')
			continue
		}
		out.WriteRune(heights[min(int(v/full*float64(len(heights))), len(heights)-1)])
	}
	return out.String()
}
