package results

import (
	"slices"
	"strings"
	"time"
)

// Part is one of those that a joined run was made of.
type Part struct {
	Segment   string    `json:"segment"` // as 2/8
	Folder    string    `json:"folder"`  // as it was named
	ID        string    `json:"id"`
	StartedAt time.Time `json:"started_at"`
	DurationS float64   `json:"duration_s"`
	Verdict   Verdict   `json:"verdict"`        // its own, of its share of the load
	Salt      string    `json:"salt,omitempty"` // as in Target
}

// Join makes one run of all its parts: those that several generators played at the same
// time against one target, each its segment of the accounts. Counts are added, and
// histograms merged without loss. Rates are added, which is their sum while all play.
// Active sessions are added second by second, and the peak is the highest of those sums.
// The generator's figures are those of the worst part. Thresholds are judged anew, on
// the whole.
//
// The error says in one sentence why the folders are not the parts of one run. What was
// given is left as it is; the whole may share memory with it.
func Join(folders []*Folder) (*Folder, error) {
	parts, err := jointsOf(folders)
	if err != nil {
		return nil, err
	}
	thresholds, err := thresholdsOf(parts[0].Run)
	if err != nil {
		return nil, err
	}
	first := parts[0].Run
	run := &Run{
		Schema: Schema, Version: first.Version, ID: first.ID, Scenario: first.Scenario, Seed: first.Seed,
		Model: first.Model, Scale: first.Scale, TimeScale: first.TimeScale,
	}
	whole := &Folder{Run: run, Files: Files{Scenario: parts[0].Files.Scenario}}
	for _, p := range parts {
		run.add(p)
	}
	run.voidBy(parts)
	whole.joinOperations(parts)
	whole.joinSeries(parts)
	if err := whole.joinWindows(parts); err != nil {
		return nil, err
	}
	run.Thresholds = Evaluate(run, whole.Files.Measurements, thresholds)
	run.Verdict = run.Judge()
	return whole, nil
}

// thresholdsOf are those that a run was judged by.
func thresholdsOf(run *Run) ([]Threshold, error) {
	var thresholds []Threshold
	for _, result := range run.Thresholds {
		t, err := ParseThreshold(result.Expression)
		if err != nil {
			return nil, inFile(run, RunFile, err)
		}
		t.Metric = result.Metric
		thresholds = append(thresholds, t)
	}
	return thresholds, nil
}

// add counts a part of the run, but for its operations and its course.
func (r *Run) add(p *joint) {
	part := p.Run
	if r.StartedAt.IsZero() || part.StartedAt.Before(r.StartedAt) {
		r.StartedAt = part.StartedAt
	}
	r.DurationS = max(r.DurationS, round3(p.beginS+part.DurationS))
	r.MeasuredS = max(r.MeasuredS, part.MeasuredS)
	r.Interrupted = r.Interrupted || part.Interrupted
	r.Parts = append(r.Parts, Part{
		Segment: part.Segment, Folder: part.Dir, ID: part.ID, StartedAt: part.StartedAt, DurationS: part.DurationS,
		Verdict: part.Verdict, Salt: part.Target.Salt,
	})
	r.Target.add(&part.Target)
	r.Load.add(&part.Load)
	r.Generator.add(&part.Generator, len(r.Parts) == 1)
	r.Audit.add(&part.Audit, len(r.Parts) == 1)
}

// voidBy says why there is no verdict on the whole, if there is none on a part.
func (r *Run) voidBy(parts []*joint) {
	var reasons []string
	for _, p := range parts {
		reason := p.Run.VoidReason
		switch {
		case reason != "":
		case p.Run.ExitCode() == ExitVoid:
			reason = "the generator was unfit to measure"
		case p.Run.Audit.Sessions == 0 && r.Audit.Sessions > 0:
			reason = "nothing was audited"
		default:
			continue
		}
		reasons = append(reasons, "part "+p.Run.Segment+": "+reason)
	}
	r.VoidReason = strings.Join(reasons, "; ")
}

func (t *Target) add(part *Target) {
	t.Design = part.Design
	for _, url := range part.URLs {
		if !slices.Contains(t.URLs, url) {
			t.URLs = append(t.URLs, url)
		}
	}
	t.Nodes = len(t.URLs)
}

// add leaves the peak out: it is no sum of peaks.
func (l *Load) add(part *Load) {
	l.TargetPerS += part.TargetPerS
	l.OfferedPerS += part.OfferedPerS
	l.AchievedPerS += part.AchievedPerS
	l.Unsent += part.Unsent
	l.Retries += part.Retries
	l.Backlog += part.Backlog
}

// add keeps the worst of each figure: the lag's percentile of all parts is at most that.
func (g *Generator) add(part *Generator, first bool) {
	g.Fit = part.Fit && (first || g.Fit)
	g.SendLagMS.P99 = max(g.SendLagMS.P99, part.SendLagMS.P99)
	g.SendLagMS.Max = max(g.SendLagMS.Max, part.SendLagMS.Max)
	g.CPU = max(g.CPU, part.CPU)
	g.ConnectionsBusy = max(g.ConnectionsBusy, part.ConnectionsBusy)
}

// joinOperations merges the histograms of each operation, and takes its figures from them.
func (f *Folder) joinOperations(parts []*joint) {
	f.Run.Operations, f.Files.Measurements = map[string]Operation{}, Measurements{}
	for _, op := range Ops() {
		var all tally
		var ratePerS float64
		for _, p := range parts {
			o, m := p.Run.Operations[op.String()], p.Files.Measurements[op]
			all.add(&tally{response: m.Response, service: m.Service, count: o.Count, errors: o.Errors, denied: o.Denied, clipped: o.Clipped})
			ratePerS += o.RatePerS
		}
		if all.count == 0 {
			continue
		}
		joined := all.operation(0, 0)
		joined.RatePerS = round3(ratePerS)
		f.Run.Operations[op.String()] = joined
		f.Files.Measurements[op] = Measurement{Response: all.response, Service: all.service}
	}
}
