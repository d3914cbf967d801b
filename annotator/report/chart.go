package report

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-analyze/charts"
)

// The colours of charts. They stand for custom properties of the page's style,
// which differ in light and dark: an SVG is drawn in these, then paint puts the
// properties in their place.
var (
	inkAxis  = charts.Color{R: 1, G: 1, B: 1, A: 255}
	inkGrid  = charts.Color{R: 1, G: 1, B: 2, A: 255}
	inkText  = charts.Color{R: 1, G: 1, B: 3, A: 255}
	inkFirst = charts.Color{R: 1, G: 1, B: 4, A: 255}
	inkOther = charts.Color{R: 1, G: 1, B: 5, A: 255}
)

var theme = charts.MakeTheme(charts.ThemeOption{
	AxisStrokeColor: inkAxis, AxisSplitLineColor: inkGrid, TextColor: inkText,
	BackgroundColor: charts.Color{R: 1, G: 1, B: 6, A: 0},
	SeriesColors:    []charts.Color{inkFirst, inkOther},
})

// Measures of charts, in pixels of their own; the page scales them.
const (
	chartWidth = 960
	rowHeight  = 34
	fontSize   = 10
)

func painter(height int) *charts.Painter {
	return charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: height})
}

// paint finishes an SVG for the page: with a title and a description that screen
// readers read out, and colours and letters of the page.
func paint(p *charts.Painter, id, title, description string) (template.HTML, error) {
	svg, err := p.Bytes()
	if err != nil {
		return "", fmt.Errorf("chart %s: %w", id, err)
	}
	_, drawing, found := bytes.Cut(svg, []byte{'>'})
	if !found {
		return "", fmt.Errorf("chart %s: no SVG", id)
	}
	text := fit(p, string(drawing))
	text = strings.NewReplacer(
		"'Roboto Medium',sans-serif", "inherit",
		"rgb(1,1,1)", "var(--axis)", "rgb(1,1,2)", "var(--grid)", "rgb(1,1,3)", "var(--ink)",
		"rgb(1,1,4)", "var(--first)", "rgb(1,1,5)", "var(--other)",
		"rgba(1,1,4,", "rgba(var(--area),", "rgba(1,1,5,", "rgba(var(--area),",
	).Replace(text)
	head := fmt.Sprintf(`<svg role="img" aria-labelledby="%[1]s-t %[1]s-d" viewBox="0 0 %[2]d %[3]d"><title id="%[1]s-t">%[4]s</title><desc id="%[1]s-d">%[5]s</desc>`,
		id, p.Width(), p.Height(), template.HTMLEscapeString(title), template.HTMLEscapeString(description))
	return template.HTML(head + text), nil
}

// letters matches a text of an SVG: what comes before its style, its size in
// pixels, and what it says.
var letters = regexp.MustCompile(`<text ([^>]*font-size:([0-9.]+)px[^>]*)>([^<]*)</text>`)

// fit gives every text the width that the chart has room for, since the page's
// letters may be wider than those that the library measured.
func fit(p *charts.Painter, svg string) string {
	return letters.ReplaceAllStringFunc(svg, func(text string) string {
		m := letters.FindStringSubmatch(text)
		pixels, err := strconv.ParseFloat(m[2], 64)
		if err != nil || m[3] == "" {
			return text
		}
		style := charts.FontStyle{FontSize: pixels * 3 / 4, FontColor: inkText, Font: charts.GetDefaultFont()}
		width := p.MeasureText(html.UnescapeString(m[3]), 0, style).Width()
		return fmt.Sprintf(`<text %s textLength="%d" lengthAdjust="spacingAndGlyphs">%s</text>`, m[1], width, m[3])
	})
}

// trafficChart draws how much was sent in each step.
func trafficChart(t *Timeline) (template.HTML, error) {
	values := make([]float64, len(t.Bins))
	var most float64
	for i, b := range t.Bins {
		values[i] = float64(b.Bytes) * 8 / t.Step
		most = max(most, values[i])
	}
	opt := charts.NewLineChartOptionWithData([][]float64{values})
	opt.Theme = theme
	opt.FillArea = new(true)
	opt.FillOpacity = 60
	opt.LineStrokeWidth = 1.5
	opt.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	opt.Legend.Show = new(false)
	opt.XAxis = timeAxis(t)
	opt.YAxis = []charts.YAxisOption{{LabelFontStyle: charts.NewFontStyleWithSize(fontSize), LabelCount: 4, ValueFormatter: rate}}
	p := painter(200)
	if err := p.LineChart(opt); err != nil {
		return "", err
	}
	return paint(p, "traffic", "Traffic over time", fmt.Sprintf("Bits a second in %d steps of %s; the most is %s.", len(t.Bins), duration(t.Step), rate(most)))
}

// scoreChart draws the highest score of each step; those with flagged packets
// have a colour of their own.
func scoreChart(t *Timeline) (template.HTML, error) {
	values := [][]float64{make([]float64, len(t.Bins)), make([]float64, len(t.Bins))}
	high := 0
	for i, b := range t.Bins {
		which := 0
		if b.Flagged > 0 {
			which = 1
			high++
		}
		values[which][i] = b.Score
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Theme = theme
	opt.StackSeries = new(true)
	opt.Legend.Show = new(false)
	opt.BarSize = 0.9
	opt.CategoryAxis = timeAxis(t)
	zero, one := 0.0, 1.0
	opt.ValueAxis = []charts.ValueAxisOption{{
		Min: &zero, Max: &one, LabelCount: 3, LabelFontStyle: charts.NewFontStyleWithSize(fontSize),
		ValueFormatter: func(v float64) string { return fmt.Sprintf("%.1f", v) },
	}}
	p := painter(140)
	if err := p.BarChart(opt); err != nil {
		return "", err
	}
	return paint(p, "score", "Highest score over time", fmt.Sprintf("The highest score of any packet in each of %d steps; %d of them have flagged packets.", len(t.Bins), high))
}

func timeAxis(t *Timeline) charts.XAxisOption {
	layout := "15:04:05"
	switch whole := t.Step * float64(len(t.Bins)); {
	case whole > 2*86400:
		layout = "01-02 15:04"
	case whole < 5:
		layout = "15:04:05.000"
	}
	labels := make([]string, len(t.Bins))
	for i := range labels {
		labels[i] = t.Start.Add(time.Duration(float64(i) * t.Step * 1e9)).Format(layout)
	}
	return charts.XAxisOption{Labels: labels, LabelCount: 6, LabelFontStyle: charts.NewFontStyleWithSize(fontSize)}
}

// bars draws a horizontal bar for each name, the first on top; with two values
// a name, one below the other.
func bars(id, title, description string, names []string, values [][]float64, format func(float64) string) (template.HTML, error) {
	if len(names) == 0 {
		return "", nil
	}
	var most float64
	for _, series := range values {
		most = max(most, slices.Max(series))
	}
	if most == 0 {
		return "", nil
	}
	reversed := make([]string, len(names))
	data := make([][]float64, len(values))
	for s := range values {
		data[s] = make([]float64, len(names))
	}
	for i, name := range names {
		at := len(names) - 1 - i
		reversed[at] = shorten(name, 44)
		for s := range values {
			data[s][at] = values[s][i]
		}
	}
	opt := charts.NewBarChartOptionWithData(data)
	opt.Horizontal = true
	opt.Theme = theme
	opt.Legend.Show = new(false)
	opt.CategoryAxis.Labels = reversed
	opt.CategoryAxis.LabelFontStyle = charts.NewFontStyleWithSize(fontSize)
	zero, room := 0.0, 1.12*most // for the number behind the longest bar
	opt.ValueAxis = []charts.ValueAxisOption{{Min: &zero, Max: &room, LabelCount: 2, Show: new(false)}}
	for s := range opt.SeriesList {
		opt.SeriesList[s].Label.Show = new(true)
		opt.SeriesList[s].Label.ValueFormatter = format
		opt.SeriesList[s].Label.FontStyle = charts.NewFontStyleWithSize(fontSize)
	}
	p := painter(60 + len(names)*rowHeight*len(values))
	if err := p.BarChart(opt); err != nil {
		return "", err
	}
	return paint(p, id, title, description)
}
