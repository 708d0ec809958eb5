package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/capacity"
)

func capacityScenario(t *testing.T, thresholds string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("capacity.yaml", []byte(`
name: capacity
population: {model: netflix-2015, scale: 1/8000}
duration: 20s
warm_up: 3s
thresholds: `+thresholds))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// capacityRun is a run in which everything held.
func capacityRun() *results.Run {
	value := 31.2
	return &results.Run{
		DurationS: 20, MeasuredS: 17, Dir: "out/step-01",
		Load:       results.Load{TargetPerS: 1000, OfferedPerS: 1000, AchievedPerS: 999},
		Operations: map[string]results.Operation{"start": {Count: 850}, "keepalive": {Count: 16_150}},
		Generator:  results.Generator{Fit: true},
		Thresholds: []results.ThresholdResult{{Metric: "start.response_ms", Expression: "p(99)<50", Value: &value, OK: true}},
	}
}

func TestCapacityJudges(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*results.Run)
		outcome capacity.Outcome
		reason  string
	}{
		"it held":             {func(*results.Run) {}, capacity.Held, ""},
		"a threshold crossed": {func(r *results.Run) { r.Thresholds[0].OK = false }, capacity.Crossed, "start.response_ms p(99)<50 is 31.2"},
		"nothing to judge by": {func(r *results.Run) {
			r.Thresholds[0] = results.ThresholdResult{Metric: "start.response_ms", Expression: "p(99)<50", Note: "no start occurred"}
		}, capacity.Crossed, "start.response_ms p(99)<50: no start occurred"},
		"it fell behind": {func(r *results.Run) { r.Load.AchievedPerS = 940 }, capacity.Crossed, "94 % was answered by the end"},
		"it fell behind, for want of connections": {func(r *results.Run) {
			r.Load.AchievedPerS, r.Generator.ConnectionsBusy = 940, 0.6
		}, capacity.Crossed, "94 % was answered by the end; all connections were taken for 60 % of the requests"},
		"the generator was late": {func(r *results.Run) {
			r.Generator.Fit, r.VoidReason, r.Thresholds[0].OK = false, "it was late", false
		}, capacity.Unfit, "it was late"},
		"an answer was wrong, and all else too": {func(r *results.Run) {
			r.Audit.EventsLost, r.Generator.Fit, r.Thresholds[0].OK = 3, false, false
		}, capacity.Wrong, "3 wrong answers, see out/step-01"},
	} {
		t.Run(name, func(t *testing.T) {
			record := capacityRun()
			c.change(record)
			search := searcher{scenario: capacityScenario(t, `{start.response_ms: ["p(90)<50"]}`), counted: map[string]int64{}}
			search.learn(record, 1./8000)
			step := capacity.Step{Scale: 1. / 8000, Phase: capacity.Ramp}
			if err := search.judge(&step, record, true); err != nil {
				t.Fatal(err)
			}
			if step.Outcome != c.outcome || step.Reason != c.reason {
				t.Errorf("%s %q, want %s %q", step.Outcome, step.Reason, c.outcome, c.reason)
			}
		})
	}
}

// TestCapacityWithoutAVerdict: a run that was void for another reason than its generator
// says nothing of any load.
func TestCapacityWithoutAVerdict(t *testing.T) {
	record := capacityRun()
	record.VoidReason = "nothing was due in the measured time"
	search := searcher{scenario: capacityScenario(t, `{start.response_ms: ["p(90)<50"]}`), counted: map[string]int64{}}
	if err := search.judge(&capacity.Step{Scale: 1. / 8000}, record, true); !errors.As(err, &usageError{}) {
		t.Errorf("got %v, want that the scenario is not fit for it", err)
	}
}

// TestCapacityStepLength: a step lasts until the rarest operation that is judged can be,
// but one of the sweep, which is not.
func TestCapacityStepLength(t *testing.T) {
	for name, c := range map[string]struct {
		thresholds string
		times      float64 // the load that 50 starts/s and 950 keepalives/s were counted at
		phase      capacity.Phase
		want       time.Duration
	}{
		"the shortest is enough":        {`{start.response_ms: ["p(90)<50"]}`, 1, capacity.Ramp, 20 * time.Second},
		"the rarest decides":            {`{start.response_ms: ["p(99)<50"], keepalive.response_ms: ["p(99)<50"]}`, 1, capacity.Ramp, 43 * time.Second},
		"twice the load, half the time": {`{start.response_ms: ["p(99)<50"]}`, 2, capacity.Bisect, 23 * time.Second},
		"all operations together":       {`{operations.errors: ["rate<0.0005"]}`, 1, capacity.Confirm, 43 * time.Second},
		"nothing is judged":             {`{start.response_ms: ["p(99)<50"]}`, 1, capacity.Sweep, 20 * time.Second},
		"a kind that does not occur":    {`{stop.response_ms: ["p(99)<50"]}`, 1, capacity.Ramp, 20 * time.Second},
	} {
		search := searcher{scenario: capacityScenario(t, c.thresholds), counted: map[string]int64{}}
		search.learn(capacityRun(), 1./8000)
		if got, err := search.length(c.times/8000, c.phase); err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}

// TestCapacityTooShort: the first step cannot know how long it must be, and is played
// again when it was not; the others are not.
func TestCapacityTooShort(t *testing.T) {
	search := searcher{scenario: capacityScenario(t, `{start.response_ms: ["p(99)<50"]}`), counted: map[string]int64{}}
	record := capacityRun()
	search.learn(record, 1./8000)
	for _, c := range []struct {
		first bool
		want  capacity.Outcome
	}{{true, capacity.TooShort}, {false, capacity.Held}} {
		step := capacity.Step{Scale: 1. / 8000, Phase: capacity.Ramp}
		if err := search.judge(&step, record, c.first); err != nil || step.Outcome != c.want {
			t.Errorf("first %v: %s, %v, want %s", c.first, step.Outcome, err, c.want)
		}
	}
}

func TestCapacityCode(t *testing.T) {
	for ending, want := range map[capacity.Ending]int{
		capacity.Found: 0, capacity.AllHeld: 0, capacity.NoneHeld: 99, capacity.Violated: 98,
		capacity.GeneratorLimit: 97, capacity.Unbounded: 97, capacity.Interrupted: 97,
	} {
		if got := capacityCode(ending); got != want {
			t.Errorf("%s: exit code %d, want %d", ending, got, want)
		}
	}
}

// TestCapacityInterrupted: Ctrl-C in the midst of a search leaves and tells what was found.
func TestCapacityInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "long.yaml")
	const long = `
name: long
population: {model: netflix-2015, scale: 1/40000}
time_scale: 60
duration: 2s
warm_up: 200ms
target: {nodes: 1}
thresholds: {operations.errors: ["rate<1"]}
`
	if err := os.WriteFile(file, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, rest, code := interrupted(t, func(line string) bool { return strings.Contains(line, " 1 ramp ") },
		"capacity", file, "--out", filepath.Join(dir, "out"))
	if code != results.ExitVoid {
		t.Fatalf("exit code %d, want %d\n%s%s", code, results.ExitVoid, stdout, rest)
	}
	if !strings.Contains(stdout, "INTERRUPTED at least ") || !strings.Contains(rest, "interrupted: ") {
		t.Errorf("it does not tell what was found:\n%s%s", stdout, rest)
	}
	data, err := os.ReadFile(filepath.Join(dir, "out", capacityFile))
	if err != nil {
		t.Fatal(err)
	}
	var report capacity.Report
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if report.Ending != capacity.Interrupted || len(report.Steps) == 0 || report.HighestHeldPerS == 0 {
		t.Errorf("capacity.json: %+v", report)
	}
}
