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

// Markdown writes the report for tickets and terminals, without figures.
func (r *Report) Markdown(w io.Writer) error {
	functions := template.FuncMap{"text": markdownText, "code": markdownCode}
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
