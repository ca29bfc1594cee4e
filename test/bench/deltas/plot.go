package deltas

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
)

// Measures of the plot, in pixels.
const (
	plotWidth  = 860
	plotLeft   = 360 // where the axis begins
	plotRight  = 836 // where it ends
	rowHeight  = 22
	legendLine = 20
	perLine    = 4 // names in a line of the legend
)

// plotStyle draws on a ground of its own, so that it can be read on any page; it follows the
// reader's choice of light or dark.
const plotStyle = `<style>
text{font:11px system-ui,sans-serif}
.ground{fill:#fff}.band{fill:#f6f8fa}.grid{stroke:#d1d9e0}.text{fill:#1f2328}.faint{fill:#59636e}
.c0{fill:#0969da}.c1{fill:#8c959f}.c2{fill:#b8860b}.c3{fill:#009e73}.c4{fill:#d55e00}.c5{fill:#c65b94}.c6{fill:#7b61d9}
.mark{fill:none;stroke:#59636e;stroke-width:1.6}
@media (prefers-color-scheme:dark){
.ground{fill:#0d1117}.band{fill:#151b23}.grid{stroke:#3d444d}.text{fill:#f0f6fc}.faint{fill:#9198a1}
.c0{fill:#58a6ff}.mark{stroke:#9198a1}
}
</style>
`

// shapes tell tools apart where colours do not: the first is larger. The last two are those of marks.
func shapes() []string {
	return []string{
		"M0-7 7 0 0 7-7 0Z", "M-4-4H4V4H-4Z", "M0-5 5 4H-5Z", "M0 5 5-4H-5Z", "M-4-1.5H-1.5V-4H1.5V-1.5H4V1.5H1.5V4H-1.5V1.5H-4Z",
		"M-5 0 0-4 5 0 0 4Z", "M-4 0A4 4 0 1 0 4 0 4 4 0 1 0-4 0Z",
		"M-4 0A4 4 0 1 0 4 0 4 4 0 1 0-4 0Z", "M-4-4H4V4H-4Z",
	}
}

// plot is an SVG that is being drawn.
type plot struct {
	bytes.Buffer
	names    []string // of the tools, then of the marks
	tools    int
	low, top float64 // decades at the ends of the axis
}

// Plot draws the bytes that travel as SVG: a row a pair, a sign a tool, on an axis of decades.
func (r Report) Plot() []byte {
	p := &plot{names: slices.Clone(r.Tools), tools: len(r.Tools), low: math.Inf(1), top: math.Inf(-1)}
	for _, row := range r.Rows {
		for _, result := range row.Results {
			p.reach(result.Bytes)
		}
		for _, m := range row.Marks {
			p.reach(m.Bytes)
			if !slices.Contains(p.names, m.Tool) {
				p.names = append(p.names, m.Tool)
			}
		}
	}
	lines := (len(p.names) + perLine - 1) / perLine
	top := 26 + lines*legendLine
	height := top + len(r.Rows)*rowHeight + 34
	fmt.Fprintf(p, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", plotWidth, height, plotWidth, height)
	p.WriteString("<title>Bytes that travel, by pair of releases and tool</title>\n" + plotStyle + "<defs>")
	for i := range p.names {
		fmt.Fprintf(p, `<path id="s%d" d="%s"/>`, i, shapes()[p.sign(i)])
	}
	fmt.Fprintf(p, "</defs>\n<rect class=\"ground\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", plotWidth, height)
	p.legend()
	p.axis(top, height-34)
	for i, row := range r.Rows {
		p.row(row, i, top+i*rowHeight)
	}
	p.WriteString("</svg>\n")
	return p.Bytes()
}

// reach widens the axis so that a number lies on it.
func (p *plot) reach(n int64) {
	l := math.Log10(float64(max(n, 1)))
	p.low, p.top = min(p.low, math.Floor(l)), max(p.top, math.Ceil(l))
}

// sign is the shape, and the class, of a name; tools have theirs whether or not others are missing.
func (p *plot) sign(i int) int {
	if i >= p.tools {
		return 7 + (i-p.tools)%2
	}
	return slices.IndexFunc(tools(), func(t tool) bool { return t.name == p.names[i] })
}

func (p *plot) draw(i int, x, y float64) {
	class := fmt.Sprintf("c%d", p.sign(i))
	if i >= p.tools {
		class = "mark"
	}
	fmt.Fprintf(p, `<use href="#s%d" class="%s" x="%.1f" y="%.1f"/>`, i, class, x, y)
}

func (p *plot) text(class, anchor string, x, y float64, text string) {
	fmt.Fprintf(p, "<text class=%q text-anchor=%q x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, anchor, x, y, html.EscapeString(text))
}

func (p *plot) legend() {
	for i, name := range p.names {
		x, y := 24+float64(i%perLine)*205, 24+float64(i/perLine)*legendLine
		p.draw(i, x, y-4)
		if i >= p.tools {
			name += " (fixed mark)"
		}
		p.text("text", "start", x+12, y, name)
	}
}

func (p *plot) x(n int64) float64 {
	return plotLeft + (math.Log10(float64(max(n, 1)))-p.low)/max(p.top-p.low, 1)*(plotRight-plotLeft)
}

func (p *plot) axis(top, bottom int) {
	for decade := p.low; decade <= p.top; decade++ {
		n := int64(math.Pow(10, decade))
		x := p.x(n)
		fmt.Fprintf(p, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", x, x, top-4, bottom+2)
		p.text("faint", "middle", x, float64(bottom+18), round(n))
	}
}

// round names a power of ten.
func round(n int64) string {
	switch {
	case n >= 1_000_000:
		return thousands(n/1_000_000) + " MB"
	case n >= 1000:
		return thousands(n/1000) + " KB"
	}
	return thousands(n) + " B"
}

func (p *plot) row(row Row, i, y int) {
	if i%2 == 0 {
		fmt.Fprintf(p, "<rect class=\"band\" x=\"8\" width=\"%d\" y=\"%d\" height=\"%d\" opacity=\".6\"/>\n", plotWidth-16, y, rowHeight)
	}
	middle := float64(y) + rowHeight/2
	p.text("text", "start", 16, middle+4, row.Name)
	for _, m := range row.Marks {
		p.draw(slices.Index(p.names[p.tools:], m.Tool)+p.tools, p.x(m.Bytes), middle)
	}
	for tool, result := range slices.Backward(row.Results) { // Uplevel's above the others
		p.draw(tool, p.x(result.Bytes), middle)
	}
	p.WriteByte('\n')
}
