package fit

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/viewing"
)

// Text writes the report for a person. It returns the first error of w.
func (r *Report) Text(w io.Writer) error {
	out := &strings.Builder{}
	r.head(out)
	fmt.Fprintf(out, "  %-36s %11s %15s %10s %10s     %s\n", "", "generated", "calibrated", "distance", "tolerance", "source of what is calibrated")
	group := ""
	for i := range r.Lines {
		line := &r.Lines[i]
		if line.Group != group {
			group = line.Group
			fmt.Fprintf(out, "\n  █ %s\n", strings.ToUpper(group))
		}
		fmt.Fprintln(out, line.text())
	}
	fmt.Fprintf(out, "\n  %d passed, %d failed, %d not judged\n", r.Count(Pass), r.Count(Fail), r.Count(NotJudged))
	fmt.Fprint(out, "  % is a relative error · KS and TV are Kolmogorov-Smirnov's distance and total variation, 0 to 1\n"+
		"  * the tolerance is what chance explains in a sample that small (--json and --html give each reason)\n"+
		"  V read in the source · D derived from one · R recalled, not read again · A assumed, no public figure\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(r)
}

// head says what was played.
func (r *Report) head(out *strings.Builder) {
	fmt.Fprintln(out, r.title())
	fmt.Fprintf(out, "\n  playing at once   mean %.0f, peak %d\n", r.Streams, r.PeakMinute)
	total := int64(0)
	for _, n := range r.Events {
		total += n
	}
	per := func(n int64) float64 { return float64(n) / max(1, r.PlayedS) }
	fmt.Fprintf(out, "  events            %d, %.1f a second of the plan\n", total, per(total))
	for _, t := range viewing.EventTypes {
		n := r.Events[t.String()]
		fmt.Fprintf(out, "    %-14s %10d %10.2f/s\n", t, n, per(n))
	}
	fmt.Fprintln(out)
}

func (r *Report) title() string {
	partial := ""
	if r.Partial {
		partial = "INTERRUPTED, only "
	}
	return fmt.Sprintf("%s · %s · %s%s from %s, simulated in %s", r.Scenario, r.Population, partial,
		duration(int64(r.PlayedS*1000)), r.From, time.Duration(r.TookS*float64(time.Second)).Round(time.Millisecond))
}

var signs = map[Verdict]string{Pass: "✓", Fail: "✗", NotJudged: "·"}

func (l *Line) text() string {
	if l.Verdict == NotJudged {
		return fmt.Sprintf("  %s %-34s %-51s  %s  %s", signs[l.Verdict], l.Name, "not judged: "+l.Why, l.Mark, l.Source)
	}
	generated, calibrated := "", ""
	if l.Figure != nil {
		generated, calibrated = l.Figure.texts()
	}
	distance, tolerance := l.distances()
	star := " "
	if l.Chance {
		star = "*"
	}
	return fmt.Sprintf("  %s %-34s %11s %15s %10s %10s%s  %s  %s", signs[l.Verdict], l.Name, generated, calibrated, distance, tolerance, star, l.Mark, l.Source)
}

func (l *Line) distances() (distance, tolerance string) {
	write := map[string]func(float64) string{
		relativeError: func(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" },
		ksDistance:    func(x float64) string { return "KS " + strconv.FormatFloat(x, 'f', 4, 64) },
		tvDistance:    func(x float64) string { return "TV " + strconv.FormatFloat(x, 'f', 4, 64) },
		hoursDistance: func(x float64) string { return strconv.FormatFloat(x, 'f', 2, 64) + " h" },
	}[l.Measure]
	return write(l.Distance), write(l.Tolerance)
}

func (c *Compared) texts() (generated, calibrated string) {
	generated, calibrated = amount(c.Generated, c.Unit), amount(c.Low, c.Unit)
	if c.Low != c.High {
		low, _, _ := strings.Cut(calibrated, " ")
		calibrated = low + "–" + amount(c.High, c.Unit)
	}
	return generated, calibrated
}

// amount writes a number to three digits with its unit; shares as percent, times of
// day as such.
func amount(x float64, unit string) string {
	switch unit {
	case "%":
		return number(100*x, 3) + " %"
	case "h":
		minutes := int(math.Round(x * 60))
		return fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60)
	case "ratio", "probability":
		unit = ""
	}
	prefix := ""
	switch {
	case x >= 1e6:
		x, prefix = x/1e6, "M"
	case x >= 1e4:
		x, prefix = x/1e3, "k"
	}
	return strings.TrimSuffix(number(x, 3)+" "+prefix+unit, " ")
}

// number writes significant digits.
func number(x float64, digits int) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Sprint(x)
	}
	decimals := max(0, digits-1-int(math.Floor(math.Log10(math.Abs(x)))))
	return strconv.FormatFloat(x, 'f', decimals, 64)
}
