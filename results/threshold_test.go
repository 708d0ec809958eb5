package results

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseThreshold(t *testing.T) {
	for expression, want := range map[string]Threshold{
		"p(99)<500":        {Aggregation: "p", Percentile: 99, Operator: "<", Bound: 500},
		"p(99.95) <= 1e3":  {Aggregation: "p", Percentile: 99.95, Operator: "<=", Bound: 1000},
		" avg > -0.5 ":     {Aggregation: "avg", Operator: ">", Bound: -0.5},
		"min>=0":           {Aggregation: "min", Operator: ">=", Bound: 0},
		"max==1":           {Aggregation: "max", Operator: "==", Bound: 1},
		"med===1":          {Aggregation: "med", Operator: "===", Bound: 1},
		"count!=0":         {Aggregation: "count", Operator: "!=", Bound: 0},
		"rate<0.01":        {Aggregation: "rate", Operator: "<", Bound: 0.01},
		"value\t==\t.25":   {Aggregation: "value", Operator: "==", Bound: 0.25},
		"p( 50 )<1":        {Aggregation: "p", Percentile: 50, Operator: "<", Bound: 1},
		"p(0)<1":           {Aggregation: "p", Percentile: 0, Operator: "<", Bound: 1},
		"p(100)<1":         {Aggregation: "p", Percentile: 100, Operator: "<", Bound: 1},
		"count<1000000000": {Aggregation: "count", Operator: "<", Bound: 1e9},
	} {
		want.Expression = expression
		got, err := ParseThreshold(expression)
		if err != nil {
			t.Errorf("%q: %v", expression, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", expression, diff)
		}
	}
}

func TestParseThresholdSaysWhatWasExpected(t *testing.T) {
	for _, expression := range []string{
		"", "p(99)", "p(99)<", "<500", "p99<500", "p(99<500", "p()<500", "p(x)<5", "p95(99)<500", "P(99)<5", "mean<5",
		"p(99)=500", "p(99)!500", "p(99)=<500", "p(99)<>500", "p(99)<500ms", "p(99)<500 5", "avg<NaN", "avg<Inf", "avg<1e999", "avg====1", "avg<5<6",
	} {
		_, err := ParseThreshold(expression)
		if err == nil || !strings.HasPrefix(err.Error(), "expected an aggregation such as p(99)") {
			t.Errorf("%q: error %v, want one that says what was expected", expression, err)
		}
	}
	for _, expression := range []string{"p(101)<5", "p(-1)<5", "p(NaN)<5"} {
		_, err := ParseThreshold(expression)
		if err == nil || !strings.HasPrefix(err.Error(), "expected a percentile from 0 to 100") {
			t.Errorf("%q: error %v, want one about the percentile", expression, err)
		}
	}
}

func TestThresholdHolds(t *testing.T) {
	for expression, want := range map[string][3]bool{ // at 4, 5 and 6
		"value<5": {true, false, false}, "value<=5": {true, true, false}, "value>5": {false, false, true},
		"value>=5": {false, true, true}, "value==5": {false, true, false}, "value===5": {false, true, false}, "value!=5": {true, false, true},
	} {
		th, err := ParseThreshold(expression)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]bool{th.Holds(4), th.Holds(5), th.Holds(6)}; got != want {
			t.Errorf("%s holds at 4, 5, 6: %v, want %v", expression, got, want)
		}
	}
}

func threshold(t *testing.T, metric, expression string) Threshold {
	t.Helper()
	th, err := ParseThreshold(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	th.Metric = metric
	return th
}

func TestValidateMetric(t *testing.T) {
	fitting := map[string]string{"_ms": "avg min max med p(99)", ".errors": "rate count", ".denied": "rate count"}
	for _, metric := range Metrics() {
		takes := "count value" // the audit's
		for suffix, aggregations := range fitting {
			if strings.HasSuffix(metric, suffix) {
				takes = aggregations
			}
		}
		switch metric {
		case "faults.recovered_after_ms":
			takes = "max value"
		case "load.achieved_ratio", "faults.converged_after_ms":
			takes = "value"
		}
		for _, aggregation := range strings.Fields("avg min max med p(99) count rate value") {
			err := ValidateMetric(metric, threshold(t, metric, aggregation+"<1"))
			fits := strings.Contains(" "+takes+" ", " "+aggregation+" ")
			if fits != (err == nil) {
				t.Errorf("%s of %s: %v", aggregation, metric, err)
			}
		}
	}
	for metric, want := range map[string]string{
		"start.latency":     `unknown metric "start.latency"; expected audit.events_lost, `,
		"begin.response_ms": `with an operation of operations, start, keepalive, `,
		"":                  `unknown metric ""`,
		"audit":             `unknown metric "audit"`,
	} {
		err := ValidateMetric(metric, threshold(t, metric, "p(99)<1"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", metric, err, want)
		}
	}
	err := ValidateMetric("start.errors", threshold(t, "", "p(99.9)<1"))
	if want := "metric start.errors takes rate or count, not p(99.9)"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestEvaluate(t *testing.T) {
	r := NewRecorder(0, 0)
	for i := int64(1); i <= 100; i++ { // starts of 2 … 101 ms, serviced in 1 … 100 ms; 10 errors, 20 denials
		result := ResultOK
		if i <= 10 {
			result = ResultError
		} else if i <= 30 {
			result = ResultDenied
		}
		r.Record(OpStart, 0, 1000, 1000+i*1000, result)
		r.Record(OpStop, 0, 0, 1000, ResultOK)
	}
	after := 900.0
	slower := 1200.0
	run := &Run{
		Operations: r.Operations(1),
		Load:       Load{TargetPerS: 1000, AchievedPerS: 990},
		Audit:      Audit{Sessions: 5, EventsLost: 3},
		Faults:     []Fault{{Kind: "kill-leader", RecoveredAfterMS: &slower}, {Kind: "kill-leader", RecoveredAfterMS: &after}},
	}
	for _, tc := range []struct {
		metric, expression string
		value              float64
		ok                 bool
	}{
		{"start.response_ms", "p(99)<500", 100, true},
		{"start.response_ms", "max<101", 101, false},
		{"start.service_ms", "min>=1", 1, true},
		{"start.service_ms", "med<50", 50, false},
		{"start.service_ms", "avg<51", 50.5, true},
		{"stop.response_ms", "p(50)==1", 1, true},
		{"operations.response_ms", "p(50)<2", 1, true},
		{"operations.service_ms", "max<50", 100, false},
		{"start.errors", "rate<0.1", 0.1, false},
		{"start.errors", "count==10", 10, true},
		{"start.denied", "rate<=0.2", 0.2, true},
		{"operations.errors", "rate<0.1", 0.05, true},
		{"operations.denied", "count<20", 20, false},
		{"audit.events_lost", "count<1", 3, false},
		{"audit.over_admissions", "value==0", 0, true},
		{"faults.recovered_after_ms", "max<1000", 1200, false},
		{"faults.recovered_after_ms", "value<2000", 1200, true},
		{"load.achieved_ratio", "value>0.98", 0.99, true},
	} {
		got := Evaluate(run, r.Measurements(), []Threshold{threshold(t, tc.metric, tc.expression)})[0]
		if got.Value == nil {
			t.Errorf("%s %s: no value: %s", tc.metric, tc.expression, got.Note)
			continue
		}
		if d := *got.Value - tc.value; d > tc.value/1000 || d < -tc.value/1000 {
			t.Errorf("%s %s: value %v, want %v", tc.metric, tc.expression, *got.Value, tc.value)
		}
		if got.OK != tc.ok || got.Metric != tc.metric || got.Expression != tc.expression {
			t.Errorf("%s %s: %+v, want ok %v", tc.metric, tc.expression, got, tc.ok)
		}
	}
}

func TestEvaluateFailsWithNothingToMeasure(t *testing.T) {
	down := &Run{Faults: []Fault{{AtS: 30, Kind: "kill-leader"}}}
	for _, tc := range []struct {
		run                      *Run
		metric, expression, note string
	}{
		{&Run{}, "start.response_ms", "p(99)<500", "no start occurred"},
		{&Run{}, "operations.response_ms", "p(99)<500", "no operation occurred"},
		{&Run{}, "operations.errors", "rate<0.01", "no operation occurred"},
		{&Run{}, "stop.denied", "count==0", "no stop occurred"},
		{&Run{}, "audit.events_lost", "count==0", "nothing was audited"},
		{&Run{}, "faults.recovered_after_ms", "max<900", "no fault was injected"},
		{down, "faults.recovered_after_ms", "max<900", "kill-leader at 30s: not recovered before the end"},
		{&Run{}, "load.achieved_ratio", "value>0", "no load was planned"},
		{&Run{}, "start.errors", "p(99)<1", "metric start.errors takes rate or count, not p(99)"},
	} {
		got := Evaluate(tc.run, NewRecorder(0, 0).Measurements(), []Threshold{threshold(t, tc.metric, tc.expression)})[0]
		if got.OK || got.Value != nil || got.Note != tc.note {
			t.Errorf("%s %s: %+v, want a failure noted %q", tc.metric, tc.expression, got, tc.note)
		}
	}
}
