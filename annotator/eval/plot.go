package eval

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
)

// Measures of the plot, in pixels.
const (
	columns     = 6
	panelWidth  = 170
	panelHeight = 150
	margin      = 24 // around the curves of a panel
	leastShare  = 1e-5
)

// curve is a receiver operating characteristic: points of false positives and
// recall, from none to all.
type curve [][2]float64

// roc returns the curve of attack scores against benign ones.
func roc(attack, benign *histogram) curve {
	points := curve{{0, 0}}
	var a, b uint64
	for i := len(attack.bins) - 1; i >= 0; i-- {
		if attack.bins[i] == 0 && benign.bins[i] == 0 {
			continue
		}
		a += attack.bins[i]
		b += benign.bins[i]
		points = append(points, [2]float64{share(b, benign.n), share(a, attack.n)})
	}
	return points
}

// WriteSVG draws recall over false positives, on a logarithmic scale from one
// in a hundred thousand to one, a panel for each kind of attack: verdicts in
// black, the box plot on gaps in blue, that on sizes in orange.
func (s *Summary) WriteSVG(w io.Writer) error {
	var b bytes.Buffer
	rows := (len(s.Attacks) + columns - 1) / columns
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="9">`+"\n",
		columns*panelWidth, rows*panelHeight+margin)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	for i := range s.Attacks {
		a := &s.Attacks[i]
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n", i%columns*panelWidth, i/columns*panelHeight)
		drawAxes(&b, a.Attack+", "+a.Origin)
		drawCurve(&b, a.curves[1], "#4477aa")
		drawCurve(&b, a.curves[2], "#ee7733")
		drawCurve(&b, a.curves[0], "black")
		b.WriteString("</g>\n")
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">recall over the share of benign packets that score as high: verdicts (black), box plots on gaps (blue) and sizes (orange)</text>`+"\n",
		margin, rows*panelHeight+margin/2)
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

func drawAxes(b *bytes.Buffer, title string) {
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" fill="none" stroke="#999999"/>`+"\n",
		margin, margin, panelWidth-2*margin, panelHeight-2*margin)
	fmt.Fprintf(b, `<text x="%d" y="%d">`, margin, margin-4)
	_ = xml.EscapeText(b, []byte(title)) // a bytes.Buffer takes everything
	b.WriteString("</text>\n")
	for _, share := range [...]float64{1e-5, 1e-3, 1e-1} {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", across(share), panelHeight-margin+10, share)
	}
	for _, recall := range [...]float64{0, 0.5, 1} {
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n", margin-3, down(recall)+3, recall)
	}
}

func drawCurve(b *bytes.Buffer, c curve, colour string) {
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" points="`, colour)
	lastX, lastY := math.Inf(-1), 0.0
	for i, p := range c {
		x, y := across(p[0]), down(p[1])
		if i < len(c)-1 && math.Abs(x-lastX)+math.Abs(y-lastY) < 0.5 {
			continue // nobody could see the difference
		}
		fmt.Fprintf(b, "%.1f,%.1f ", x, y)
		lastX, lastY = x, y
	}
	b.WriteString(`"/>` + "\n")
}

func across(share float64) float64 {
	part := 1 - math.Log10(max(share, leastShare))/math.Log10(leastShare)
	return margin + part*(panelWidth-2*margin)
}

func down(recall float64) float64 { return panelHeight - margin - recall*(panelHeight-2*margin) }
