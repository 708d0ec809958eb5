package fit

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Sizes of a panel, in its own units.
const (
	panelWidth, panelHeight         = 400, 250
	marginLeft, marginRight         = 50, 12
	marginTop, marginBottom         = 42, 42
	plotWidth, plotHeight   float64 = panelWidth - marginLeft - marginRight, panelHeight - marginTop - marginBottom
)

// chart draws one panel.
type chart struct {
	out        strings.Builder
	p          *Panel
	x0, x1, y1 float64 // what the axes span; the vertical one begins at 0
}

// svg is the panel as elements of an SVG of panelWidth × panelHeight.
func (p *Panel) svg() string {
	c := &chart{p: p}
	c.span()
	c.text("title", marginLeft, 16, "start", p.Title)
	c.text("", marginLeft, 33, "start", p.Y)
	if p.X != "" {
		c.text("", marginLeft+plotWidth/2, panelHeight-8, "middle", p.X)
	}
	for _, y := range ticks(c.y1) {
		c.line(marginLeft, c.y(y), marginLeft+plotWidth, c.y(y))
		c.text("", marginLeft-7, c.y(y)+4, "end", strconv.FormatFloat(y, 'g', 4, 64))
	}
	if p.Labels != nil {
		c.bars()
		return c.out.String()
	}
	c.xTicks()
	c.curve("calibrated", p.Calibrated)
	c.curve("generated", p.Generated)
	return c.out.String()
}

func (c *chart) span() {
	points := append(append([]Point{}, c.p.Calibrated...), c.p.Generated...)
	c.x0, c.x1 = 0, 1e-9
	if c.p.LogX {
		c.x0 = math.Inf(1)
	}
	for _, at := range points {
		c.x0, c.x1 = min(c.x0, at.X), max(c.x1, at.X)
		if !math.IsNaN(at.Y) {
			c.y1 = max(c.y1, at.Y)
		}
	}
	if c.p.Step > 0 {
		c.x1 = math.Ceil(c.x1/c.p.Step) * c.p.Step
	}
	marks := ticks(max(c.y1, 1e-9))
	c.y1 = marks[len(marks)-1]
}

func (c *chart) x(v float64) float64 {
	at := (v - c.x0) / (c.x1 - c.x0)
	if c.p.LogX {
		at = math.Log(v/c.x0) / math.Log(c.x1/c.x0)
	}
	return marginLeft + plotWidth*at
}

func (c *chart) y(v float64) float64 { return marginTop + plotHeight*(1-v/c.y1) }

func (c *chart) xTicks() {
	var marks []float64
	switch {
	case c.p.LogX:
		for mark := math.Pow(10, math.Ceil(math.Log10(c.x0))); mark <= c.x1; mark *= 10 {
			marks = append(marks, mark)
		}
	case c.p.Step > 0:
		for mark := 0.0; mark <= c.x1; mark += c.p.Step {
			marks = append(marks, mark)
		}
	default:
		for _, mark := range ticks(c.x1) {
			if mark <= c.x1 {
				marks = append(marks, mark)
			}
		}
	}
	for _, mark := range marks {
		c.line(c.x(mark), c.y(0), c.x(mark), c.y(0)+4)
		c.text("", c.x(mark), c.y(0)+17, "middle", strconv.FormatFloat(mark, 'f', -1, 64))
	}
}

// curve leaves out points that would lie within a unit of the one before.
func (c *chart) curve(class string, points []Point) {
	fmt.Fprintf(&c.out, `<polyline class="%s" points="`, class)
	lastX, lastY := math.Inf(-1), math.Inf(-1)
	for i, at := range points {
		x, y := c.x(at.X), c.y(at.Y)
		if math.IsNaN(y) || math.Hypot(x-lastX, y-lastY) < 1 && i < len(points)-1 {
			continue
		}
		fmt.Fprintf(&c.out, "%.1f,%.1f ", x, y)
		lastX, lastY = x, y
	}
	c.out.WriteString(`"/>`)
}

func (c *chart) bars() {
	slot := plotWidth / float64(len(c.p.Labels))
	width := min(slot*0.36, 34)
	for i, label := range c.p.Labels {
		middle := marginLeft + slot*(float64(i)+0.5)
		c.bar("calibrated", middle-width-1, width, c.p.Calibrated[i].Y)
		c.bar("generated", middle+1, width, c.p.Generated[i].Y)
		c.text("", middle, c.y(0)+17, "middle", label)
	}
}

func (c *chart) bar(class string, x, width, y float64) {
	if !math.IsNaN(y) {
		fmt.Fprintf(&c.out, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, c.y(y), width, c.y(0)-c.y(y))
	}
}

func (c *chart) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(&c.out, `<line class="grid" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, x1, y1, x2, y2)
}

func (c *chart) text(class string, x, y float64, anchor, text string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(&c.out, `<text%s x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, template.HTMLEscapeString(text))
}

// ticks are round numbers from 0 up to most or just above, four to seven of them.
func ticks(most float64) []float64 {
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, finer := range []float64{1, 0.5, 0.2, 0.1} {
		if most/(step*finer) > 3 {
			step *= finer
			break
		}
	}
	var marks []float64
	for n := 0.0; ; n++ {
		marks = append(marks, math.Round(n*step*1e9)/1e9)
		if n*step >= most*(1-1e-9) {
			return marks
		}
	}
}
