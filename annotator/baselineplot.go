package main

import (
	"fmt"
	"io"

	"github.com/go-analyze/charts"

	"ampulla/annotator/baseline"
	"ampulla/annotator/output"
)

// Measures of the plot of a baseline, in pixels.
const (
	plotWidth   = 960
	panelHeight = 260
	panelMargin = 20
	tallHeight  = 420 // of the last panel
	mostCurves  = 6
)

var plotLetters = charts.NewFontStyleWithSize(9)

// plotBaseline draws a baseline into an SVG file: how much is sent at which hour,
// how fast, which protocols there are, and what scores of the models become.
func plotBaseline(path string, stdout io.Writer, b *baseline.Baseline) error {
	panels := []func(*charts.Painter) error{
		func(p *charts.Painter) error { return plotPackets(p, b) },
		func(p *charts.Painter) error { return plotRates(p, b) },
		func(p *charts.Painter) error { return plotProtocols(p, b) },
		func(p *charts.Painter) error { return plotScores(p, b) },
	}
	height := (len(panels)-1)*panelHeight + tallHeight
	whole := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: plotWidth, Height: height})
	whole.FilledRect(0, 0, plotWidth, height, charts.ColorWhite, charts.ColorWhite, 0)
	for i, panel := range panels {
		end := (i + 1) * panelHeight
		if i == len(panels)-1 {
			end = height
		}
		box := charts.NewBox(panelMargin, i*panelHeight+panelMargin/2, plotWidth-panelMargin, end-panelMargin/2)
		if err := panel(whole.Child(charts.PainterBoxOption(box))); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	svg, err := whole.Bytes()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	file, err := output.Create(path, stdout)
	if err != nil {
		return err
	}
	defer file.Discard()
	if _, err := file.Write(svg); err != nil {
		return err
	}
	return file.Commit()
}

// hoursOfDay are the names of the hours.
func hoursOfDay() (names []string) {
	for hour := range 24 {
		names = append(names, fmt.Sprintf("%02d", hour))
	}
	return names
}

func plotPackets(p *charts.Painter, b *baseline.Baseline) error {
	packets := make([]float64, 24)
	for hour, rate := range b.Hourly() {
		packets[hour] = float64(rate.Packets)
	}
	opt := charts.NewBarChartOptionWithData([][]float64{packets})
	opt.Title.Text = "Packets sent, by the hour of the day in UTC"
	opt.Legend.Show = new(false)
	opt.CategoryAxis = charts.XAxisOption{Labels: hoursOfDay(), LabelCount: 24, LabelFontStyle: plotLetters}
	return p.BarChart(opt)
}

func plotRates(p *charts.Painter, b *baseline.Baseline) error {
	lines := [][]float64{make([]float64, 24), make([]float64, 24)}
	for hour, rate := range b.Hourly() {
		mean, deviation := rate.Mean()
		lines[0][hour], lines[1][hour] = mean, mean+baseline.Sigmas*deviation
	}
	opt := charts.NewLineChartOptionWithData(lines)
	opt.Title.Text = "Packets a second of a host that sends"
	opt.Legend.SeriesNames = []string{"mean", fmt.Sprintf("%d sigmas above it", baseline.Sigmas)}
	opt.XAxis = charts.XAxisOption{Labels: hoursOfDay(), LabelCount: 24, LabelFontStyle: plotLetters}
	return p.LineChart(opt)
}

func plotProtocols(p *charts.Painter, b *baseline.Baseline) error {
	names, shares := b.Protocols(12)
	if len(names) == 0 {
		return nil
	}
	for i := range shares {
		shares[i] *= 100
	}
	opt := charts.NewBarChartOptionWithData([][]float64{shares})
	opt.Title.Text = "Protocols, in % of the packets"
	opt.Legend.Show = new(false)
	opt.CategoryAxis = charts.XAxisOption{Labels: names, LabelCount: len(names), LabelFontStyle: plotLetters}
	return p.BarChart(opt)
}

func plotScores(p *charts.Painter, b *baseline.Baseline) error {
	curves := b.Curves()
	curves = curves[:min(len(curves), mostCurves)]
	const steps = 50
	labels, models := make([]string, steps+1), make([]float64, steps+1)
	for i := range labels {
		models[i] = float64(i) / steps
		labels[i] = fmt.Sprintf("%.2f", models[i])
	}
	lines, names := [][]float64{models}, []string{"the models alone"}
	for _, c := range curves {
		lines = append(lines, c.Scores)
		role := "clients"
		if c.Server {
			role = "servers"
		}
		names = append(names, c.Network+", "+role)
	}
	opt := charts.NewLineChartOptionWithData(lines)
	opt.Title.Text = "What scores of the models become"
	opt.Legend.SeriesNames = names
	opt.Legend.FontStyle = plotLetters
	opt.Legend.Vertical = new(true) // over the chart, where no curve comes
	opt.Legend.Offset = charts.OffsetStr{Left: "60", Top: "40"}
	opt.XAxis = charts.XAxisOption{Labels: labels, LabelCount: 6, LabelFontStyle: plotLetters}
	opt.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	zero, one := 0.0, 1.0
	opt.YAxis = []charts.YAxisOption{{Min: &zero, Max: &one}}
	return p.LineChart(opt)
}
