package mcp

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestPart puts texts together again from their parts.
func TestPart(t *testing.T) {
	for _, text := range []string{
		"", "short\n", strings.Repeat("a line of the report\n", 5000), strings.Repeat("x", 3*budget),
		strings.Repeat("\u00fc\u20ac\U0001f988", budget/4), strings.Repeat("\U0001f988", budget),
	} {
		whole, from := "", 0
		for range 100 {
			p := part(text, from)
			if len(p.Markdown) > budget || !utf8.ValidString(p.Markdown) || p.Total != len(text) {
				t.Fatalf("part of %d bytes at %d, of %d", len(p.Markdown), from, p.Total)
			}
			whole += p.Markdown
			if from = p.NextOffset; from == 0 {
				break
			}
		}
		if whole != text {
			t.Errorf("%d bytes of %d", len(whole), len(text))
		}
	}
	for _, from := range []int{-1, 7, 1 << 40} {
		if p := part("\u20ac\u20ac", from); !utf8.ValidString(p.Markdown) {
			t.Errorf("%d: %q", from, p.Markdown)
		}
	}
}

func TestFit(t *testing.T) {
	long := strings.Repeat("x", 1000)
	list := make([]string, 100)
	for i := range list {
		list[i] = long
	}
	if n := fit(list); n < 20 || n > 24 {
		t.Errorf("%d of 1 kB fit", n)
	}
	if n := fit([]string{strings.Repeat("x", 2*budget), long}); n != 1 {
		t.Errorf("%d fit, one always does", n)
	}
}
