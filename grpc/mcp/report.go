package mcp

import (
	"context"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type reportArguments struct {
	Capture string `json:"capture" jsonschema:"id or path of the capture"`
	Offset  int    `json:"offset,omitempty" jsonschema:"next_offset of the part before"`
}

type reportPart struct {
	Markdown   string `json:"markdown"`
	Offset     int    `json:"offset"`
	Total      int    `json:"total" jsonschema:"bytes of the whole report"`
	NextOffset int    `json:"next_offset,omitempty" jsonschema:"where the rest begins; absent at the end"`
}

// reports keeps the latest report: parts of it are asked for one by one.
type reports struct {
	mu   sync.Mutex
	id   string
	text string
}

func (s *server) webReport(ctx context.Context, _ *mcp.CallToolRequest, a reportArguments) (*mcp.CallToolResult, *reportPart, error) {
	j, err := s.capture(ctx, a.Capture)
	if err != nil {
		return nil, nil, err
	}
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	if s.reports.id != j.ID() {
		file, err := j.File()
		if err != nil {
			return nil, nil, plain(err)
		}
		defer file.Close()
		text, err := s.cfg.Report(ctx, file.Name())
		if err != nil {
			return nil, nil, err
		}
		s.reports.id, s.reports.text = j.ID(), strings.ToValidUTF8(text, "\ufffd")
	}
	return nil, part(s.reports.text, a.Offset), nil
}

// part returns as much of a text as the budget allows, whole lines if it has any.
func part(text string, from int) *reportPart {
	p := &reportPart{Offset: min(max(from, 0), len(text)), Total: len(text)}
	for p.Offset < len(text) && !utf8.RuneStart(text[p.Offset]) {
		p.Offset++
	}
	p.Markdown = text[p.Offset:]
	if len(p.Markdown) > budget {
		cut := strings.LastIndexByte(p.Markdown[:budget], '\n') + 1
		for cut == 0 || !utf8.RuneStart(p.Markdown[cut]) {
			cut = max(cut, budget-utf8.UTFMax) + 1
		}
		p.Markdown = p.Markdown[:cut]
		p.NextOffset = p.Offset + cut
	}
	return p
}
