package results

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	summaryWidth    = 100 // columns that free text is wrapped to
	leaderWidth     = 24  // columns of a name with its dotted leader
	examplesPerKind = 3   // shown of each kind of violation; run.json has them all
)

// Summary writes what a person reads at the end of a run, in the manner of
// k6's summary, at most 110 columns wide. color adds ANSI colours; the text is
// the same without them.
func Summary(w io.Writer, run *Run, color bool) error {
	p := &printer{color: color}
	p.header(run)
	p.thresholds(run.Thresholds)
	p.operations(run)
	p.timeline(run)
	p.load(run)
	p.faults(run)
	p.audit(&run.Audit, run.Target.Design)
	p.parts(run)
	if run.Dir != "" {
		p.line("")
		p.line("  %s %s", p.dim("run folder"), run.Dir)
	}
	p.line("")
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

type printer struct {
	buf   bytes.Buffer
	color bool
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(&p.buf, format+"\n", args...) }

func (p *printer) paint(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) bold(s string) string   { return p.paint("1", s) }
func (p *printer) dim(s string) string    { return p.paint("2", s) }
func (p *printer) red(s string) string    { return p.paint("31", s) }
func (p *printer) green(s string) string  { return p.paint("32", s) }
func (p *printer) yellow(s string) string { return p.paint("33", s) }

func (p *printer) mark(ok bool) string {
	if ok {
		return p.green("✓")
	}
	return p.red("✗")
}

func (p *printer) section(title string) {
	p.line("")
	p.line("  %s %s", p.dim("█"), p.bold(title))
	p.line("")
}

// leader fills a name with dots: "start ................:".
func (p *printer) leader(name string) string {
	dots := max(leaderWidth-utf8.RuneCountInString(name)-2, 1)
	return name + " " + p.dim(strings.Repeat(".", dots)+":")
}

func (p *printer) header(run *Run) {
	nodes := "nodes"
	if run.Target.Nodes == 1 {
		nodes = "node"
	}
	p.line("")
	length := formatMS(run.DurationS * 1000)
	if run.Interrupted {
		length = "interrupted after " + length
	}
	plan := fmt.Sprintf("seed %d", run.Seed)
	switch {
	case run.Trace != "":
		plan = "trace " + run.Trace
	case run.Segment != "":
		plan += ", part " + run.Segment
	case len(run.Parts) > 0:
		plan += fmt.Sprintf(", joined of %d parts", len(run.Parts))
	}
	design := run.Target.Design
	if run.Target.LogStore == "wal" {
		design += " on wal"
	}
	p.line("  %s %s", p.bold(run.Scenario), p.dim(fmt.Sprintf("· %s, %d %s · %s · %s",
		design, run.Target.Nodes, nodes, length, plan)))
	if run.Sabotage != "" {
		p.line("  %s", p.yellow("sabotaged on purpose: "+run.Sabotage))
	}
	p.line("")
	switch run.ExitCode() {
	case ExitPass:
		held, right := "every threshold held", "every answer was right"
		if len(run.Thresholds) == 0 {
			held = "no threshold was set"
		}
		if run.Audit.Sessions == 0 {
			right = "nothing was audited"
		}
		p.verdict(p.green, "✓ PASSED", held+", "+right)
	case ExitFail:
		crossed := 0
		for _, t := range run.Thresholds {
			if !t.OK {
				crossed++
			}
		}
		p.verdict(p.red, "✗ FAILED", fmt.Sprintf("%d of %s crossed", crossed, plural(int64(len(run.Thresholds)), "threshold")))
	case ExitViolated:
		p.verdict(p.red, "✗ VIOLATED", fmt.Sprintf("the audit found %s", plural(run.Audit.Violations(), "wrong answer")))
	default:
		reason := run.VoidReason
		if reason == "" {
			reason = "the generator was unfit to measure"
		}
		p.verdict(p.yellow, "! VOID", reason)
	}
}

func (p *printer) verdict(paint func(string) string, word, text string) {
	lines := Wrap(text, summaryWidth-2-utf8.RuneCountInString(word)-2)
	indent := strings.Repeat(" ", utf8.RuneCountInString(word))
	for i, l := range lines {
		if i == 0 {
			p.line("  %s  %s", paint(word), l)
			continue
		}
		p.line("  %s  %s", indent, l)
	}
}

func (p *printer) thresholds(thresholds []ThresholdResult) {
	if len(thresholds) == 0 {
		return
	}
	p.section("THRESHOLDS")
	var previous string
	for i, t := range thresholds {
		if t.Metric != previous {
			if i > 0 {
				p.line("")
			}
			p.line("    %s", t.Metric)
			previous = t.Metric
		}
		actual := p.dim(t.Note)
		if t.Value != nil {
			aggregation := t.Expression
			if at := strings.IndexAny(aggregation, "<>=!"); at > 0 {
				aggregation = strings.TrimSpace(aggregation[:at])
			}
			actual = aggregation + "=" + formatMetric(t.Metric, aggregation, *t.Value)
		}
		p.line("    %s '%s' %s", p.mark(t.OK), t.Expression, actual)
	}
}

// formatMetric gives a threshold's value the unit of its metric.
func formatMetric(metric, aggregation string, value float64) string {
	switch {
	case strings.HasSuffix(metric, "_ms"):
		return formatMS(value)
	case aggregation == "rate", metric == metricAchieved:
		return formatShare(value)
	}
	return formatNumber(value)
}

func (p *printer) operations(run *Run) {
	p.section("OPERATIONS")
	if len(run.Operations) == 0 {
		p.line("    none occurred")
		return
	}
	p.line("    %s", p.dim(fmt.Sprintf("%-*s%11s%10s%9s%9s%9s%9s%9s%13s", leaderWidth, "",
		"count", "rate", "p50", "p90", "p99", "p99.9", "max", "service p99")))
	for _, name := range operationsInOrder(run.Operations) {
		o := run.Operations[name]
		r := o.ResponseMS
		p.line("    %s%11s%10s%9s%9s%s%9s%9s%s", p.leader(name), FormatCount(o.Count), formatRate(o.RatePerS),
			formatMS(r.P50), formatMS(r.P90), p.bold(fmt.Sprintf("%9s", formatMS(r.P99))), formatMS(r.P999), formatMS(r.Max),
			p.dim(fmt.Sprintf("%13s", formatServed(o.ServiceMS))))
		if beside := p.besides(o); len(beside) > 0 {
			p.line("    %*s%s", leaderWidth+3, "", strings.Join(beside, p.dim(" · ")))
		}
	}
}

// formatServed is the p99 of what was sent, if anything was.
func formatServed(service Percentiles) string {
	if service == (Percentiles{}) {
		return "–"
	}
	return formatMS(service.P99)
}

// windowsToTell are as many windows of a run as a person reads: more are in run.json.
const windowsToTell = 60

// timeline tells how it went phase by phase and window by window, where there is more
// than one.
func (p *printer) timeline(run *Run) {
	if len(run.Windows) < 2 {
		return
	}
	p.section("OVER THE RUN")
	if len(run.Phases) > 1 {
		for _, name := range slices.Sorted(maps.Keys(run.Phases)) {
			p.phase(name, run.Phases[name])
		}
		p.line("")
	}
	if len(run.Windows) > windowsToTell {
		p.line("    %d windows are in %s", len(run.Windows), RunFile)
		return
	}
	p.windows("p99", run.Windows, func(w *Window) string {
		if w.Count == 0 {
			return "none"
		}
		return formatMS(w.ResponseMS.P99)
	})
	if slices.ContainsFunc(run.Windows, func(w Window) bool { return w.Stolen != nil }) {
		p.windows("stolen by the host", run.Windows, func(w *Window) string {
			if w.Stolen == nil {
				return "?"
			}
			return fmt.Sprintf("%.1f%%", 100**w.Stolen)
		})
	}
}

// phase tells of all operations of a phase together.
func (p *printer) phase(name string, of Phase) {
	var all Operation
	for _, o := range of.Operations {
		all.Count += o.Count
		all.Errors += o.Errors
		all.Denied += o.Denied
		all.RatePerS += o.RatePerS
	}
	text := fmt.Sprintf("%s, %s", formatMS(of.Seconds*1000), plural(all.Count, "operation"))
	if all.Count > 0 {
		text += fmt.Sprintf(", %s, p50 %s, p99 %s", formatRate(all.RatePerS), formatMS(of.ResponseMS.P50), p.bold(formatMS(of.ResponseMS.P99)))
		text += strings.Join(append([]string{""}, p.besides(all)...), p.dim(" · "))
	}
	p.line("    %s %s", p.leader(name), text)
}

// windows is a line of one figure of each, broken where it is too long.
func (p *printer) windows(name string, windows []Window, figure func(*Window) string) {
	figures := make([]string, len(windows))
	for i := range windows {
		figures[i] = figure(&windows[i])
	}
	lines := Wrap(strings.Join(figures, " "), summaryWidth-leaderWidth-5)
	for i, line := range lines {
		if i == 0 {
			p.line("    %s %s", p.leader(name), line)
			continue
		}
		p.line("    %*s %s", leaderWidth, "", line)
	}
}

// besides tells what a plain row leaves out.
func (p *printer) besides(o Operation) []string {
	var beside []string
	if o.Errors > 0 {
		beside = append(beside, p.red(fmt.Sprintf("%s (%s)", plural(o.Errors, "error"), formatShare(float64(o.Errors)/float64(o.Count)))))
	}
	if o.Denied > 0 {
		beside = append(beside, fmt.Sprintf("%s denied (%s)", FormatCount(o.Denied), formatShare(float64(o.Denied)/float64(o.Count))))
	}
	if o.Clipped > 0 {
		beside = append(beside, p.yellow(fmt.Sprintf("%s clipped to the histograms' range", FormatCount(o.Clipped))))
	}
	return beside
}

func operationsInOrder(operations map[string]Operation) []string {
	names := make([]string, 0, len(operations))
	for name := range operations {
		names = append(names, name)
	}
	rank := func(name string) int {
		if op, err := ParseOp(name); err == nil {
			return int(op)
		}
		return int(OpCount)
	}
	slices.SortFunc(names, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	return names
}

// busyWorthTelling is the share of requests from which on the number of connections
// may have bounded the load.
const busyWorthTelling = 0.05

func (p *printer) load(run *Run) {
	p.section("LOAD")
	l := run.Load
	p.line("    %s target %s, offered %s, achieved %s", p.leader("events"),
		formatRate(l.TargetPerS), formatRate(l.OfferedPerS), formatRate(l.AchievedPerS))
	p.line("    %s %s at the peak", p.leader("active sessions"), FormatCount(l.ActiveSessionsPeak))
	if l.Retries > 0 {
		p.line("    %s %s tries after the first", p.leader("retries"), FormatCount(l.Retries))
	}
	if l.Unsent > 0 {
		p.line("    %s %s, each an error, and as late as the run's end", p.leader("unsent"), p.yellow(plural(l.Unsent, "planned operation")))
	}
	if l.Backlog > 0 {
		p.line("    %s %s under way when the plan had ended", p.leader("backlog"), plural(l.Backlog, "request"))
	}
	g := run.Generator
	fit := p.green("fit")
	if !g.Fit {
		fit = p.yellow("unfit")
	}
	p.line("    %s %s, sent %s after due at p99 (%s at most), %s of the processors", p.leader("generator"), fit,
		formatMS(g.SendLagMS.P99), formatMS(g.SendLagMS.Max), formatShare(g.CPU))
	if g.ConnectionsBusy > busyWorthTelling {
		p.line("    %s all were taken for %s of the requests: raise load.connections if the target does not explain it",
			p.leader("connections"), p.yellow(formatShare(g.ConnectionsBusy)))
	}
}

// parts tells what a joined run was made of.
func (p *printer) parts(run *Run) {
	if len(run.Parts) == 0 {
		return
	}
	p.section("PARTS")
	for _, part := range run.Parts {
		p.line("    %s %s, began after %s, %s, %s by itself", p.leader(part.Segment), part.Folder,
			formatMS(float64(part.StartedAt.Sub(run.StartedAt).Microseconds())/1000), formatMS(part.DurationS*1000), part.Verdict)
	}
	p.line("    %s rates are added, active sessions second by second; the generator's figures are the worst part's", p.dim("·"))
}

func (p *printer) faults(run *Run) {
	if len(run.Faults) == 0 {
		return
	}
	p.section("FAULTS")
	for i := range run.Faults {
		p.fault(&run.Faults[i])
	}
	if run.ConvergedAfterMS != nil {
		p.line("    %s %s a write succeeded %s after the last", p.mark(true), p.leader("converged"), p.bold(formatMS(*run.ConvergedAfterMS)))
	}
}

// fault draws one on the time line of the run.
func (p *printer) fault(f *Fault) {
	if f.Skipped != "" {
		p.line("    %s %s at %s, did not happen: %s", p.mark(false), p.leader(f.Kind), formatMS(f.AtS*1000), f.Skipped)
		return
	}
	name := strings.TrimSpace(f.Kind + " " + f.Target)
	when := "at " + formatMS(f.AtS*1000)
	switch {
	case f.RestartedAtS != nil:
		when += ", restarted at " + formatMS(*f.RestartedAtS*1000)
	case f.EndedAtS != nil:
		when += " … " + formatMS(*f.EndedAtS*1000)
	}
	recovery := p.red("not recovered before the end")
	if f.RecoveredAfterMS != nil {
		recovery = "recovered after " + p.bold(formatMS(*f.RecoveredAfterMS))
	}
	if f.WithinAfterMS != nil {
		recovery += ", within thresholds after " + formatMS(*f.WithinAfterMS)
	}
	p.line("    %s %s %s, %s", p.mark(f.RecoveredAfterMS != nil), p.leader(name), when, recovery)
	if f.Detail != "" {
		p.line("      %s", p.dim(f.Detail))
	}
}
