package results

import (
	"fmt"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// allOperations stands for every operation together in a metric's name.
const allOperations = "operations"

// The fields of an operation that a threshold can name.
const (
	fieldResponse = "response_ms"
	fieldService  = "service_ms"
	fieldErrors   = "errors"
	fieldDenied   = "denied"
)

var operationFields = []string{fieldResponse, fieldService, fieldErrors, fieldDenied}

// The metrics that are not an operation's.
const (
	metricRecovery  = "faults.recovered_after_ms"
	metricConverged = "faults.converged_after_ms"
	metricAchieved  = "load.achieved_ratio"
)

type auditMetric struct {
	name  string
	count func(*Audit) int64
}

// auditMetrics are the counts of the audit, in the order people read them in.
var auditMetrics = []auditMetric{
	{"audit.events_lost", func(a *Audit) int64 { return a.EventsLost }},
	{"audit.over_admissions", func(a *Audit) int64 { return a.OverAdmissions }},
	{"audit.false_denials", func(a *Audit) int64 { return a.FalseDenials }},
	{"audit.position_mismatches", func(a *Audit) int64 { return a.PositionMismatches }},
	{"audit.history_mismatches", func(a *Audit) int64 { return a.HistoryMismatches }},
	{"audit.stale_reads", func(a *Audit) int64 { return a.StaleReads }},
	{"audit.position_regressions", func(a *Audit) int64 { return a.PositionRegressions }},
	{"audit.events_rejected", func(a *Audit) int64 { return a.EventsRejected }},
	{"audit.node_crashes", func(a *Audit) int64 { return a.NodeCrashes }},
	{"audit.replica_mismatches", func(a *Audit) int64 { return a.ReplicaMismatches }},
}

// Metrics lists every metric a threshold can name.
func Metrics() []string {
	var names []string
	for _, owner := range operationNames() {
		for _, field := range operationFields {
			names = append(names, owner+"."+field)
		}
	}
	return append(names, otherMetrics()...)
}

func operationNames() []string {
	names := []string{allOperations}
	return append(names, opNames[:]...)
}

func otherMetrics() []string {
	var names []string
	for _, m := range auditMetrics {
		names = append(names, m.name)
	}
	return append(names, metricRecovery, metricConverged, metricAchieved)
}

// aggregationsOf lists what fits a metric; nil for a metric that is not known.
func aggregationsOf(metric string) []string {
	if owner, field, ok := strings.Cut(metric, "."); ok && slices.Contains(operationNames(), owner) {
		switch field {
		case fieldResponse, fieldService:
			return []string{"avg", "min", "max", "med", "p"}
		case fieldErrors, fieldDenied:
			return []string{"rate", "count"}
		}
		return nil
	}
	switch {
	case metric == metricRecovery:
		return []string{"max", "value"}
	case metric == metricAchieved, metric == metricConverged:
		return []string{"value"}
	case slices.ContainsFunc(auditMetrics, func(m auditMetric) bool { return m.name == metric }):
		return []string{"count", "value"}
	}
	return nil
}

// ValidateMetric tells whether metric is known and t's aggregation fits it. The
// error names what is.
func ValidateMetric(metric string, t Threshold) error {
	fitting := aggregationsOf(metric)
	if fitting == nil {
		return fmt.Errorf("unknown metric %q; expected %s, or <operation>.%s with an operation of %s",
			metric, strings.Join(otherMetrics(), ", "), OneOf(operationFields), OneOf(operationNames()))
	}
	if !slices.Contains(fitting, t.Aggregation) {
		shown := slices.Clone(fitting)
		if i := slices.Index(shown, "p"); i >= 0 {
			shown[i] = "p(N)"
		}
		return fmt.Errorf("metric %s takes %s, not %s", metric, OneOf(shown), t.aggregation())
	}
	return nil
}

func (t Threshold) aggregation() string {
	if t.Aggregation == "p" {
		return fmt.Sprintf("p(%v)", t.Percentile)
	}
	return t.Aggregation
}

// OneOf joins names as a sentence does: a, b or c.
func OneOf(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Evaluate judges thresholds against a run and its histograms, in the order
// given. Of run it reads Operations, Audit, Faults,
// ConvergedAfterMS and Load. A rate is a share
// of the operations, 0 … 1. A threshold with nothing to measure fails, with a
// note that says what was missing.
func Evaluate(run *Run, measured Measurements, thresholds []Threshold) []ThresholdResult {
	judged := make([]ThresholdResult, 0, len(thresholds))
	for _, t := range thresholds {
		result := ThresholdResult{Metric: t.Metric, Expression: t.Expression}
		value, err := measure(run, measured, t)
		if err != nil {
			result.Note = err.Error()
		} else {
			result.Value, result.OK = &value, t.Holds(value)
		}
		judged = append(judged, result)
	}
	return judged
}

// measure returns a threshold's value, or an error that says why there is none.
func measure(run *Run, measured Measurements, t Threshold) (float64, error) {
	if err := ValidateMetric(t.Metric, t); err != nil {
		return 0, err
	}
	switch t.Metric {
	case metricRecovery:
		return slowestRecovery(run.Faults)
	case metricConverged:
		return convergence(run)
	case metricAchieved:
		if run.Load.TargetPerS <= 0 {
			return 0, fmt.Errorf("no load was planned")
		}
		return run.Load.AchievedPerS / run.Load.TargetPerS, nil
	}
	for _, m := range auditMetrics {
		if m.name != t.Metric {
			continue
		}
		if run.Audit.Sessions == 0 {
			return 0, fmt.Errorf("nothing was audited")
		}
		return float64(m.count(&run.Audit)), nil
	}
	owner, field, _ := strings.Cut(t.Metric, ".")
	if field == fieldErrors || field == fieldDenied {
		return share(run.Operations, owner, field, t.Aggregation)
	}
	return trend(measured, owner, field, t)
}

// share counts the errors or denials of one operation or of all together.
func share(operations map[string]Operation, owner, field, aggregation string) (float64, error) {
	var of, all int64
	for name, operation := range operations {
		if owner != allOperations && owner != name {
			continue
		}
		all += operation.Count
		if field == fieldErrors {
			of += operation.Errors
		} else {
			of += operation.Denied
		}
	}
	if all == 0 {
		return 0, errNoSamples(owner)
	}
	if aggregation == "count" {
		return float64(of), nil
	}
	return float64(of) / float64(all), nil
}

// trend aggregates the times of one operation or of all together, in milliseconds.
func trend(measured Measurements, owner, field string, t Threshold) (float64, error) {
	merged := newHistogram()
	for op, m := range measured {
		if owner != allOperations && owner != op.String() {
			continue
		}
		if field == fieldResponse {
			merged.Merge(m.Response)
		} else {
			merged.Merge(m.Service)
		}
	}
	if merged.TotalCount() == 0 {
		return 0, errNoSamples(owner)
	}
	return round3(aggregate(merged, t) / 1000), nil
}

func errNoSamples(owner string) error {
	if owner == allOperations {
		return fmt.Errorf("no operation occurred")
	}
	return fmt.Errorf("no %s occurred", owner)
}

func aggregate(h *hdrhistogram.Histogram, t Threshold) float64 {
	switch t.Aggregation {
	case "avg":
		return h.Mean()
	case "min":
		return float64(h.Min())
	case "max":
		return float64(h.Max())
	case "med":
		return float64(h.ValueAtPercentile(50))
	}
	return float64(h.ValueAtPercentile(t.Percentile))
}
