package fit

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed chart.css
var chartStyle string

//go:embed page.css
var pageStyle string

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// HTML writes the report with its panels as one page that loads nothing.
func (r *Report) HTML(w io.Writer) error {
	var plots []template.HTML
	for i := range r.Panels {
		plots = append(plots, template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img">%s</svg>`, panelWidth, panelHeight, r.Panels[i].svg())))
	}
	return pageTemplate.Execute(w, map[string]any{
		"Report": r, "Title": r.title(), "Style": template.CSS(chartStyle + pageStyle), "Plots": plots, "Rows": r.rows(),
		"Passed": r.Count(Pass), "Failed": r.Count(Fail), "NotJudged": r.Count(NotJudged),
	})
}

// row is a line of the page's table; Group is of the first of a group.
type row struct {
	Group, Class, Sign, Name, Generated, Calibrated, Distance, Tolerance, Reason, Mark, Source string
}

func (r *Report) rows() []row {
	var rows []row
	group := ""
	for i := range r.Lines {
		line := &r.Lines[i]
		next := row{Class: string(line.Verdict), Sign: signs[line.Verdict], Name: line.Name, Mark: line.Mark, Source: line.Source}
		if line.Group != group {
			group = line.Group
			next.Group = group
		}
		if line.Verdict == NotJudged {
			next.Class, next.Reason = "", "not judged: "+line.Why
			rows = append(rows, next)
			continue
		}
		if line.Figure != nil {
			next.Generated, next.Calibrated = line.Figure.texts()
		}
		next.Distance, next.Tolerance = line.distances()
		next.Reason = line.Reason
		rows = append(rows, next)
	}
	return rows
}

const (
	columns = 3 // of panels in the picture
	gap     = 20
	headed  = 56 // height of the picture's own head
)

// SVG writes the panels as one picture.
func (r *Report) SVG(w io.Writer) error {
	rows := (len(r.Panels) + columns - 1) / columns
	width, height := columns*(panelWidth+gap)+gap, headed+rows*(panelHeight+gap)
	out := &strings.Builder{}
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">`+"\n", width, height, width, height)
	fmt.Fprintf(out, "<style>%s</style>\n<rect class=\"paper\" width=\"100%%\" height=\"100%%\"/>\n", chartStyle)
	fmt.Fprintf(out, `<text class="title" x="%d" y="24">%s</text>`+"\n", gap, template.HTMLEscapeString(r.Scenario+" · "+r.Population))
	fmt.Fprintf(out, `<polyline class="generated" points="%d,42 %d,42"/><text x="%d" y="46">generated</text>`, gap, gap+24, gap+30)
	fmt.Fprintf(out, `<polyline class="calibrated" points="%d,42 %d,42"/><text x="%d" y="46">calibrated</text>`+"\n", gap+100, gap+124, gap+130)
	for i := range r.Panels {
		x, y := gap+i%columns*(panelWidth+gap), headed+i/columns*(panelHeight+gap)
		fmt.Fprintf(out, "<g transform=\"translate(%d %d)\">%s</g>\n", x, y, r.Panels[i].svg())
	}
	out.WriteString("</svg>\n")
	_, err := io.WriteString(w, out.String())
	return err
}
