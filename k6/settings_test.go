package k6

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestAWrongOptionIsNamedInOneLine(t *testing.T) {
	t.Parallel()
	const target = "http://127.0.0.1:8080"
	for name, tc := range map[string]struct {
		options map[string]any
		want    []string
	}{
		"no target":     {map[string]any{}, []string{"target", "URL"}},
		"no URL":        {map[string]any{"target": "localhost"}, []string{"target", "localhost"}},
		"one no URL":    {map[string]any{"target": []any{target, "x"}}, []string{"target", `"x"`}},
		"unknown":       {map[string]any{"target": target, "polulation": "x"}, []string{"polulation", "no such option"}},
		"population":    {map[string]any{"target": target, "population": "netflix"}, []string{"population", "netflix-2015"}},
		"scale":         {map[string]any{"target": target, "scale": 2}, []string{"scale", "1/"}},
		"seed":          {map[string]any{"target": target, "seed": -1}, []string{"seed"}},
		"connections":   {map[string]any{"target": target, "connections": 0}, []string{"connections:"}},
		"batch":         {map[string]any{"target": target, "batch": "many"}, []string{"batch:"}},
		"rate":          {map[string]any{"target": target, "rate": 0}, []string{"rate:"}},
		"warm-up":       {map[string]any{"target": target, "warmUp": "soon"}, []string{"warmUp:"}},
		"duration":      {map[string]any{"target": target, "duration": "long"}, []string{"duration:"}},
		"segment":       {map[string]any{"target": target, "segment": "3/2"}, []string{"segment:", "P/N"}},
		"out":           {map[string]any{"target": target, "out": 7}, []string{"out:"}},
		"audit":         {map[string]any{"target": target, "audit": "no"}, []string{"audit:"}},
		"scenario":      {map[string]any{"target": target, "scenario": "name: x\npopulation: {model: netflix-2015}\nseeed: 1\n"}, []string{"scenario:3:1", "seeed"}},
		"no scenario":   {map[string]any{"target": target, "scenario": 1}, []string{"scenario:", "open()"}},
		"two at once":   {map[string]any{"target": target, "seed": -1, "batch": 0}, []string{"seed", "batch", "; "}},
		"parameters":    {map[string]any{"target": target, "parameters": "x"}, []string{"parameters"}},
		"defaultStream": {map[string]any{"target": target, "defaultStreams": 1.5}, []string{"defaultStreams"}},
	} {
		_, err := readSettings(tc.options)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q, want a word of %q", name, err, want)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than a line: %q", name, err)
		}
	}
}

func TestAFleetPlaysTheScenarioThatItsOptionsMake(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../scenarios/prime-time.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSettings(map[string]any{
		"target": "http://a:1/,https://b:2", "scenario": string(text), "scale": "1/50000", "seed": int64(9), "duration": "6s",
		"batch": int64(100), "rate": 50.5, "segment": "2/3", "audit": false,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := s.scenario
	if got.Name != "prime-time" || got.Seed != 9 || got.Population.Scale != 1.0/50000 || got.Duration != 6*time.Second ||
		got.WarmUp != time.Second || got.Load.Batch != 100 || got.Load.Rate != 50.5 || got.TimeScale != 60 || len(got.Faults) != 0 {
		t.Errorf("got %+v", got)
	}
	if len(s.targets) != 2 || s.targets[0] != "http://a:1" || s.segment.Part != 2 || s.audited {
		t.Errorf("got %+v", s)
	}
	again, err := readSettings(map[string]any{
		"target": "http://a:1", "scenario": string(text), "scale": "1/50000", "seed": int64(9), "duration": "6s",
		"batch": int64(100), "rate": 50.5,
	})
	if err != nil || string(again.scenario.Raw) != string(got.Raw) {
		t.Errorf("the same options make another scenario, which could not be joined with the first: %v", err)
	}
}

func TestAScenarioBecomesOptions(t *testing.T) {
	t.Parallel()
	s, err := parseScenario("scenario", `name: a.b
population: {model: netflix-2015}
duration: 30s
thresholds:
  start.response_ms: ["p(99)<50", "max<=1000"]
  operations.service_ms: ["p(99.9) < 80"]
  operations.errors: ["rate<0.01"]
  stop.errors: ["count==0"]
  start.denied: ["rate<0.5"]
  audit.over_admissions: ["count==0"]
  audit.replica_mismatches: ["value==0"]
  load.achieved_ratio: ["value>0.99"]
`)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.MarshalIndent(optionsOf(s), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Scenarios  map[string]map[string]any
		Thresholds map[string][]string
	}
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if got.Scenarios["a_b"]["maxDuration"] != "10m30s" {
		t.Errorf("scenarios %v", got.Scenarios)
	}
	want := map[string]string{
		"playhead_response_ms{operation:start}": "p(99)<50,max<=1000", "playhead_service_ms": "p(99.9) < 80",
		"playhead_error_rate": "value<0.01", "playhead_errors{operation:stop}": "count==0",
		"playhead_denied_rate{operation:start}": "value<0.5", "playhead_over_admissions": "count==0",
		"playhead_violations": "count==0,count==0", "playhead_achieved_ratio": "value>0.99",
		"playhead_unfit": "count==0", "playhead_audited_sessions": "count>0",
	}
	for metric, expressions := range want {
		if told := strings.Join(got.Thresholds[metric], ","); told != expressions {
			t.Errorf("%s: %q, want %q", metric, told, expressions)
		}
	}
	if len(got.Thresholds) != len(want) {
		t.Errorf("thresholds %v", got.Thresholds)
	}
}
