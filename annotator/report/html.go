package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ampulla/annotator/verdict"
	"ampulla/annotator/web"
)

// maxBars is how many bars a chart has, maxRows how many rows the table of what
// takes the most time, maxShown how many incidents are shown.
const (
	maxBars  = 12
	maxRows  = 30
	maxShown = 100
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

// page is what the template shows.
type page struct {
	Report     *Report
	Risks      []NamedRisk
	Anomalous  []Incident
	Suspicious []Incident
	More       int // incidents that are left out
	Top        []web.Resource
	Steps      []step
	Style      template.CSS
	Script     template.JS
	ScriptHash string

	Traffic, Score, Classes, Funnel, Slow template.HTML
}

// step is a Bin with its time.
type step struct {
	From time.Time
	Bin
}

// resourceTable is a table of addresses.
type resourceTable struct {
	Caption, FramesTitle string
	Rows                 []web.Resource
}

// HTML writes the report as a page that needs nothing else: figures, style and a
// script for the copy buttons are within it.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("page").Funcs(r.functions()).Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	p := r.page()
	if err := r.draw(p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = io.WriteString(w, clean(out.String()))
	return err
}

// functions are what both templates call.
func (r *Report) functions() map[string]any {
	return map[string]any{
		"moment": moment, "duration": duration, "millis": millis, "share": share,
		"size": size, "bytes": web.Bytes, "count": countAny, "plural": plural, "frames": frames,
		"frameFilter": frameFilter, "few": few, "versions": versions, "hostFailures": hostFailures,
		"words":      func(t verdict.Type) string { return sentence(t.Words()) },
		"whom":       whom,
		"causeWords": func(c string) string { return sentence(causeWords(c)) },
		"command":    r.command,
		"table": func(caption, title string, rows []web.Resource) resourceTable {
			return resourceTable{caption, title, rows}
		},
	}
}

func (r *Report) page() *page {
	hash := sha256.Sum256([]byte(pageJS))
	p := &page{
		Report: r, Risks: r.risks(), Style: template.CSS(pageCSS), Script: template.JS(pageJS),
		ScriptHash: "sha256-" + base64.StdEncoding.EncodeToString(hash[:]),
	}
	for i, b := range r.Timeline.Bins {
		if b.Packets > 0 {
			p.Steps = append(p.Steps, step{r.Timeline.Start.Add(time.Duration(float64(i) * r.Timeline.Step * 1e9)), b})
		}
	}
	for _, in := range r.Incidents {
		switch {
		case len(p.Anomalous)+len(p.Suspicious) >= maxShown:
			p.More++
		case in.Level == verdict.Anomalous:
			p.Anomalous = append(p.Anomalous, in)
		default:
			p.Suspicious = append(p.Suspicious, in)
		}
	}
	if r.Web != nil {
		p.Top = r.Web.Resources[:min(len(r.Web.Resources), maxRows)]
	}
	return p
}

// draw adds the charts.
func (r *Report) draw(p *page) (err error) {
	if len(r.Timeline.Bins) > 1 {
		if p.Traffic, err = trafficChart(&r.Timeline); err != nil {
			return err
		}
		if p.Score, err = scoreChart(&r.Timeline); err != nil {
			return err
		}
	}
	var names []string
	var values []float64
	for _, c := range r.Classes[:min(len(r.Classes), maxBars)] {
		if c.Share < 0.001 {
			break // nothing to be seen
		}
		names, values = append(names, c.Name), append(values, c.Share*100)
	}
	percent := func(v float64) string { return trimmed(v) + " %" }
	if p.Classes, err = bars("classes", "Protocols", "Share of all bytes by protocol; the table below has the numbers.", names, [][]float64{values}, percent); err != nil {
		return err
	}
	if r.Web == nil {
		return nil
	}
	if f := r.Web.Funnel; f != nil {
		names, values = nil, nil
		for _, s := range f.Stages {
			names, values = append(names, s.Name), append(values, float64(s.Entered))
		}
		if p.Funnel, err = bars("funnel", "Visitors by stage", "Visitors who came to each stage; the table below has the numbers.", names, [][]float64{values}, trimmed); err != nil {
			return err
		}
	}
	names = nil
	var median, p95 []float64
	for _, s := range r.Slow[:min(len(r.Slow), maxBars)] {
		names = append(names, strings.TrimPrefix(strings.TrimPrefix(s.URL, "https://"), "http://"))
		median, p95 = append(median, s.Took.Median), append(p95, s.Took.P95)
	}
	p.Slow, err = bars("slowest", "Slow addresses", "Median and 95 % quantile of the time of an answer; the table below has the numbers.", names, [][]float64{median, p95}, millis)
	return err
}

// whom says who suffers an incident.
func whom(in Incident) string {
	s := few(in.Targets)
	if more := in.TargetCount - len(in.Targets); more > 0 {
		s += fmt.Sprintf(" (%d in all)", in.TargetCount)
	}
	if len(in.Services) > 0 {
		s += "; " + few(in.Services)
		if in.ServiceCount > len(in.Services) {
			s += fmt.Sprintf(" (%d in all)", in.ServiceCount)
		}
	}
	return s
}

// sentence makes the first letter a capital.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func countAny(n any) string {
	switch n := n.(type) {
	case uint64:
		return count(n)
	case int:
		return count(n)
	case int64:
		return count(n)
	}
	return fmt.Sprint(n)
}

// versions lists counts by name, as in "1.3: 20, 1.2: 1".
func versions(m map[string]uint64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %s", name, count(m[name])))
	}
	return strings.Join(parts, ", ")
}

// hostFailures sums up what went wrong with the connections of a server.
func hostFailures(h web.Host) string {
	var parts []string
	add := func(n uint64, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", count(n), what))
		}
	}
	add(h.Refused, "refused")
	add(h.Unanswered, "unanswered")
	add(h.TLSFailed, "without TLS session")
	if h.Reason != "" {
		parts = append(parts, h.Reason)
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, "; ") + "; frames " + frames(h.Frames)
}
