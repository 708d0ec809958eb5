package k6

import (
	"fmt"

	"go.k6.io/k6/metrics"

	"github.com/playhead-load/playhead/results"
)

// operationTag tells the operations apart; allOperations stands for all together, in the
// gauges of shares.
const (
	operationTag  = "operation"
	allOperations = "all"
)

// metricSet is what the extension measures, in k6's registry.
type metricSet struct {
	response, service     *metrics.Metric
	events, reads, unsent *metrics.Metric
	errors, denied        *metrics.Metric
	errorRate, deniedRate *metrics.Metric
	active, achieved      *metrics.Metric
	sessions, unfit       *metrics.Metric
	violations            *metrics.Metric
	audited               []auditedMetric
}

// auditedMetric is a count of the audit's.
type auditedMetric struct {
	name   string // after audit. in a scenario's thresholds
	metric *metrics.Metric
	count  func(*results.Audit) int64
}

// auditCounts are the audit's counts by their names in a scenario, and k6's names.
var auditCounts = []struct {
	name, metric string
	count        func(*results.Audit) int64
}{
	{"events_lost", "playhead_lost", func(a *results.Audit) int64 { return a.EventsLost }},
	{"over_admissions", "playhead_over_admissions", func(a *results.Audit) int64 { return a.OverAdmissions }},
	{"false_denials", "playhead_false_denials", func(a *results.Audit) int64 { return a.FalseDenials }},
	{"position_mismatches", "playhead_position_mismatches", func(a *results.Audit) int64 { return a.PositionMismatches }},
	{"history_mismatches", "playhead_history_mismatches", func(a *results.Audit) int64 { return a.HistoryMismatches }},
	{"stale_reads", "playhead_stale_reads", func(a *results.Audit) int64 { return a.StaleReads }},
	{"position_regressions", "playhead_position_regressions", func(a *results.Audit) int64 { return a.PositionRegressions }},
	{"events_rejected", "playhead_events_rejected", func(a *results.Audit) int64 { return a.EventsRejected }},
}

// registerMetrics registers them, or finds those that another VU has registered.
func registerMetrics(registry *metrics.Registry) (*metricSet, error) {
	set := &metricSet{}
	for _, one := range []struct {
		into **metrics.Metric
		name string
		kind metrics.MetricType
		of   metrics.ValueType
	}{
		{&set.response, "playhead_response_ms", metrics.Trend, metrics.Time},
		{&set.service, "playhead_service_ms", metrics.Trend, metrics.Time},
		{&set.events, "playhead_events", metrics.Counter, metrics.Default},
		{&set.reads, "playhead_reads", metrics.Counter, metrics.Default},
		{&set.unsent, "playhead_unsent", metrics.Counter, metrics.Default},
		{&set.errors, "playhead_errors", metrics.Counter, metrics.Default},
		{&set.denied, "playhead_denied", metrics.Counter, metrics.Default},
		{&set.errorRate, "playhead_error_rate", metrics.Gauge, metrics.Default},
		{&set.deniedRate, "playhead_denied_rate", metrics.Gauge, metrics.Default},
		{&set.active, "playhead_active_sessions", metrics.Gauge, metrics.Default},
		{&set.achieved, "playhead_achieved_ratio", metrics.Gauge, metrics.Default},
		{&set.sessions, "playhead_audited_sessions", metrics.Counter, metrics.Default},
		{&set.unfit, "playhead_unfit", metrics.Counter, metrics.Default},
		{&set.violations, "playhead_violations", metrics.Counter, metrics.Default},
	} {
		m, err := registry.NewMetric(one.name, one.kind, one.of)
		if err != nil {
			return nil, fmt.Errorf("register %s: %w", one.name, err)
		}
		*one.into = m
	}
	for _, c := range auditCounts {
		m, err := registry.NewMetric(c.metric, metrics.Counter, metrics.Default)
		if err != nil {
			return nil, fmt.Errorf("register %s: %w", c.metric, err)
		}
		set.audited = append(set.audited, auditedMetric{c.name, m, c.count})
	}
	return set, nil
}

// isRead says whether an operation asks something, rather than tell an event.
func isRead(op results.Op) bool {
	switch op {
	case results.OpPosition, results.OpHistory, results.OpContinueWatching, results.OpActiveSessions:
		return true
	}
	return false
}
