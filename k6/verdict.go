package k6

import (
	"context"

	"go.k6.io/k6/lib"
	"go.k6.io/k6/metrics"

	"github.com/playhead-load/playhead/results"
)

// zero pushes the counts of the audit as they are before there was one: a threshold on them
// is judged also where the script never comes to audit.
func (m *meter) zero(ctx context.Context) {
	for _, metric := range append(m.metrics.countsOfAudit(), m.metrics.unsent, m.metrics.errors, m.metrics.denied) {
		m.add(metric, m.tags, 0)
	}
	m.flush(ctx, 0, false)
}

func (s *metricSet) countsOfAudit() []*metrics.Metric {
	all := []*metrics.Metric{s.sessions, s.violations, s.unfit}
	for _, a := range s.audited {
		all = append(all, a.metric)
	}
	return all
}

// unsent counts what was due and never sent.
func (m *meter) unsent(n int64) { m.add(m.metrics.unsent, m.tags, float64(n)) }

// audited counts what the audit found, and whether the generator was fit.
func (m *meter) audited(ctx context.Context, run *results.Run) {
	for _, a := range m.metrics.audited {
		m.add(a.metric, m.tags, float64(a.count(&run.Audit)))
	}
	m.add(m.metrics.sessions, m.tags, float64(run.Audit.Sessions))
	m.add(m.metrics.violations, m.tags, float64(run.Audit.Violations()))
	unfit := 0.0
	if !run.Generator.Fit || run.VoidReason != "" {
		unfit = 1
	}
	m.add(m.metrics.unfit, m.tags, unfit)
	if run.Load.TargetPerS > 0 {
		m.add(m.metrics.achieved, m.tags, run.Load.AchievedPerS/run.Load.TargetPerS)
	}
	m.flush(ctx, 0, true)
}

// tell hands k6 what a part came to, and says what is wrong of it. What no threshold of the
// script's is on makes the test one that has failed: nothing wrong passes in silence.
func (f *fleet) tell(ctx context.Context, state *lib.State, run *results.Run) {
	f.part.meter.audited(ctx, run)
	wrong := run.Audit.Violations()
	var watched []string // of what is wrong
	if wrong > 0 {
		watched = append(watched, "playhead_violations")
	}
	for _, c := range auditCounts {
		if c.count(&run.Audit) > 0 {
			watched = append(watched, c.metric)
		}
	}
	if reason := run.VoidReason; reason != "" {
		state.Logger.Errorf("Fleet: there is no verdict: %s", reason)
		watched = append(watched, "playhead_unfit")
	}
	if wrong > 0 {
		state.Logger.Errorf("Fleet: %d answers were wrong", wrong)
	}
	for _, e := range run.Audit.Examples[:min(len(run.Audit.Examples), examplesTold)] {
		state.Logger.Errorf("Fleet: %s: account %d: %s", e.Kind, e.AccountID, e.Detail)
	}
	if wrong > 0 || run.VoidReason != "" {
		failUnless(state, watched...)
	}
}

// examplesTold bounds what is logged of wrong answers; the folder of the run has more.
const examplesTold = 5

// failUnless marks the test as failed, unless a threshold is on one of the metrics, which
// then says so with its own exit code.
func failUnless(state *lib.State, names ...string) {
	for _, name := range names {
		if _, ok := state.Options.Thresholds[name]; ok {
			return
		}
	}
	if state.TestStatus != nil {
		state.TestStatus.MarkFailed()
	}
}
