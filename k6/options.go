package k6

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/grafana/sobek"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
)

// beside is how long a run may take beside what it plays: to tell the target its plans, to
// wait for the last answers, and to audit them.
const beside = 10 * time.Minute

// options turns a scenario file into k6's options: a scenario that plays it once, on one
// VU, and its thresholds, with three more: that the generator was fit, that no answer was
// wrong, and that there was an audit at all.
func (i *instance) options(text string) sobek.Value {
	rt := i.vu.Runtime()
	s, err := parseScenario("scenario", text)
	if err != nil {
		i.fail(fmt.Errorf("options: %w", err))
	}
	encoded, err := json.Marshal(optionsOf(s))
	if err != nil {
		i.fail(err)
	}
	value, err := i.parse(sobek.Undefined(), rt.ToValue(string(encoded)))
	if err != nil {
		i.fail(err)
	}
	return value
}

func optionsOf(s *scenarios.Scenario) map[string]any {
	thresholds := map[string][]string{
		"playhead_unfit":            {"count==0"},
		"playhead_violations":       {"count==0"},
		"playhead_audited_sessions": {"count>0"},
	}
	for _, t := range s.Thresholds {
		if metric, expression, ok := inK6(t); ok {
			thresholds[metric] = append(thresholds[metric], expression)
		}
	}
	name := strings.ReplaceAll(s.Name, ".", "_")
	return map[string]any{
		"scenarios": map[string]any{name: map[string]any{
			"executor": "per-vu-iterations", "vus": 1, "iterations": 1, "maxDuration": (s.Duration + beside).String(),
		}},
		"thresholds":        thresholds,
		"summaryTrendStats": []string{"avg", "min", "med", "max", "p(90)", "p(99)", "p(99.9)"},
	}
}

// inK6 is a scenario's threshold on k6's metrics; not ok if it is of faults.
func inK6(t results.Threshold) (metric, expression string, ok bool) {
	owner, field, _ := strings.Cut(t.Metric, ".")
	aggregation := strings.TrimSpace(t.Expression[:strings.IndexAny(t.Expression, "<>=!")])
	rest := t.Expression[strings.IndexAny(t.Expression, "<>=!"):]
	tagged := "{" + operationTag + ":" + owner + "}"
	if owner == "operations" {
		tagged = ""
	}
	switch {
	case owner == "faults":
		return "", "", false
	case owner == "load":
		return "playhead_achieved_ratio", "value" + rest, true
	case owner == "audit":
		for _, c := range auditCounts {
			if c.name == field {
				return c.metric, "count" + rest, true
			}
		}
		return "playhead_violations", "count" + rest, true // of nodes and replicas, which only who boots them sees
	case field == "response_ms" || field == "service_ms":
		return "playhead_" + field + tagged, t.Expression, true
	case aggregation == "rate":
		return map[string]string{"errors": "playhead_error_rate", "denied": "playhead_denied_rate"}[field] + tagged, "value" + rest, true
	}
	return "playhead_" + field + tagged, "count" + rest, true
}
