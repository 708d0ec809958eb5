package capacity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/playhead-load/playhead/sim/capacity"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var demands = []capacity.Demand{
	{Population: "netflix-2015", PeakPerS: 121_000, Streams: 6_800_000, Hour: 20, ByType: map[string]float64{"keepalive": 109_000}, Sample: 0.001},
	{Population: "netflix-2025", PeakPerS: 655_000, Streams: 37_200_000, Hour: 21, ByType: map[string]float64{"keepalive": 590_000}, Sample: 0.0002},
}

// report is one of a search against a system that answers by the law, up to 5,000/s.
func report(t *testing.T, options capacity.Options) *capacity.Report {
	t.Helper()
	r := &capacity.Report{
		Scenario: "prime-time", Seed: 1, Model: "netflix-2015", TimeScale: 60, Keepalive: "1m0s",
		Target: capacity.Target{Design: "raft", Nodes: 3, Processors: 2}, TookS: 725, Dir: "runs/20261123-203000-prime-time-capacity",
		StartedAt: time.Date(2026, time.November, 23, 20, 30, 0, 0, time.UTC),
	}
	law := capacity.Law{Lambda: 250, Sigma: 0.02, Kappa: 0.0001}
	s := capacity.NewSearch(options)
	for {
		load, phase, ok := s.Next()
		if !ok {
			break
		}
		step := capacity.Step{
			Phase: phase, Scale: load, Seed: uint64(len(r.Steps) + 1), DurationS: 20, TargetPerS: load * 7.2e6,
			Outcome: capacity.Held,
		}
		for step.UnderWay = 0.01; law.PerS(step.UnderWay) < step.TargetPerS && step.UnderWay < 90; {
			step.UnderWay += 0.01
		}
		step.AchievedPerS = min(step.TargetPerS, law.PerS(step.UnderWay))
		if step.TargetPerS > 5000 {
			step.Outcome, step.Reason = capacity.Crossed, "start.response_ms p(99)<100 is 213.1"
		}
		r.Steps = append(r.Steps, step)
		s.Tell(step.Outcome)
	}
	r.Ending = s.Ending()
	r.Conclude(demands)
	return r
}

func reports(t *testing.T) map[string]*capacity.Report {
	options := capacity.Options{First: 1. / 8000, Highest: 1. / 100, Repeats: 10}
	found := report(t, options)

	held := options
	held.Highest = 1. / 2000
	allHeld := report(t, held)

	unfit := report(t, held)
	unfit.Ending = capacity.GeneratorLimit
	unfit.Reason = "at 1 account in 2000: one request in 100 was sent 113ms late or more (limit 100ms): give the driver more processor time, or lower population.scale"
	last := &unfit.Steps[len(unfit.Steps)-1]
	last.Outcome, last.Reason = capacity.Unfit, strings.TrimPrefix(unfit.Reason, "at 1 account in 2000: ")
	unfit.Conclude(demands)

	unsure := report(t, options)
	unsure.Ending, unsure.Reason = capacity.GeneratorLimit, unfit.Reason
	unsure.Conclude(demands)

	violated := report(t, held)
	violated.Ending, violated.Reason = capacity.Violated, "3 wrong answers, see runs/20261123-203000-prime-time-capacity/step-03"
	last = &violated.Steps[len(violated.Steps)-1]
	last.Outcome, last.Reason = capacity.Wrong, violated.Reason
	violated.Conclude(demands)

	none := report(t, capacity.Options{First: 1. / 100, Highest: 1, Repeats: 10})
	none.Reason = "at 1 account in 800: start.response_ms p(99)<100 is 213.1"

	interrupted := report(t, options)
	interrupted.Steps = interrupted.Steps[:6]
	interrupted.Ending = capacity.Interrupted
	interrupted.Conclude(demands)
	return map[string]*capacity.Report{
		"found": found, "all-held": allHeld, "generator-limit": unfit, "generator-late": unsure, "violated": violated, "none-held": none, "interrupted": interrupted,
	}
}

func TestTextGolden(t *testing.T) {
	for name, r := range reports(t) {
		var text bytes.Buffer
		if err := r.Text(&text); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 110 {
				t.Errorf("%s: a line of %d columns: %s", name, n, line)
			}
		}
		path := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), text.String()); diff != "" {
			t.Errorf("%s (-want +got; -update rewrites it):\n%s", path, diff)
		}
	}
}

// TestJSONIsTheReport: what is written is read back the same, whatever the ending.
func TestJSONIsTheReport(t *testing.T) {
	for name, r := range reports(t) {
		var data bytes.Buffer
		if err := r.JSON(&data); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var back capacity.Report
		if err := json.Unmarshal(data.Bytes(), &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back.Dir = r.Dir
		if diff := cmp.Diff(r, &back); diff != "" || back.Schema != capacity.Schema {
			t.Errorf("%s, schema %q (-written +read):\n%s", name, back.Schema, diff)
		}
	}
}

// TestSizesCarryTheInterval: the fewest shards are those of its high end, the most of its
// low end, and each has all of the nodes.
func TestSizesCarryTheInterval(t *testing.T) {
	r := reports(t)["found"]
	for i, s := range r.Sizes {
		want := capacity.SizeOf(demands[i], 3, r.Capacity.LowPerS, r.Capacity.HighPerS)
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if len(r.Sizes) != len(demands) {
		t.Errorf("%d sizes of %d demands", len(r.Sizes), len(demands))
	}
	for _, c := range []struct {
		peak, low, high float64
		fewest, most    int
	}{
		{1000, 100, 125, 8, 10},
		{1001, 100, 125, 9, 11},
		{10, 100, 125, 1, 1},
	} {
		s := capacity.SizeOf(capacity.Demand{PeakPerS: c.peak}, 5, c.low, c.high)
		if s.ShardsLow != c.fewest || s.ShardsHigh != c.most || s.NodesLow != 5*c.fewest || s.NodesHigh != 5*c.most {
			t.Errorf("%v of %v to %v each: %+v, want %d to %d", c.peak, c.low, c.high, s, c.fewest, c.most)
		}
	}
}

// TestSizesWithoutAnInterval are by the highest rate that held below all that did not, not
// by one that held once and then did not.
func TestSizesWithoutAnInterval(t *testing.T) {
	step := func(perS float64, outcome capacity.Outcome) capacity.Step {
		return capacity.Step{Phase: capacity.Ramp, Scale: perS / 7.2e6, TargetPerS: perS, AchievedPerS: perS, Outcome: outcome}
	}
	for name, c := range map[string]struct {
		steps []capacity.Step
		most  int // shards of 121,000/s
	}{
		"all held":             {[]capacity.Step{step(1000, capacity.Held), step(2000, capacity.Held)}, 61},
		"one did not":          {[]capacity.Step{step(1000, capacity.Held), step(2000, capacity.Held), step(4000, capacity.Crossed)}, 61},
		"they do not agree":    {[]capacity.Step{step(1000, capacity.Held), step(2000, capacity.Held), step(1500, capacity.Crossed)}, 121},
		"the lowest did not":   {[]capacity.Step{step(1000, capacity.Crossed), step(2000, capacity.Held)}, 0},
		"one was never judged": {[]capacity.Step{step(1000, capacity.Held), step(2000, capacity.Unfit)}, 121},
	} {
		r := capacity.Report{Target: capacity.Target{Nodes: 3}, Steps: c.steps, Ending: capacity.Interrupted}
		r.Conclude(demands)
		most := 0
		if len(r.Sizes) > 0 {
			most = r.Sizes[0].ShardsHigh
		}
		if most != c.most || r.Capacity != nil {
			t.Errorf("%s: at most %d shards, want %d (capacity %+v)", name, most, c.most, r.Capacity)
		}
	}
}

// TestSweepIsNotJudged: a step of the sweep may be too short for its thresholds, and
// changes nothing of the estimate.
func TestSweepIsNotJudged(t *testing.T) {
	r := reports(t)["found"]
	want, swept := *r.Capacity, 0
	for i := range r.Steps {
		if s := &r.Steps[i]; s.Phase == capacity.Sweep {
			swept++
			s.Outcome, s.Reason = capacity.Crossed, "start.response_ms p(99)<100 is 213.1"
		}
	}
	r.Conclude(demands)
	if swept == 0 || r.Capacity == nil || *r.Capacity != want || r.LowestCrossedPerS < 5000 {
		t.Errorf("%d steps swept; got %+v, the lowest crossed %v, want %+v", swept, r.Capacity, r.LowestCrossedPerS, want)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken pipe")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestReportReturnsTheWritersError(t *testing.T) {
	r := reports(t)["found"]
	if err := errors.Join(r.Text(brokenWriter{}), r.JSON(brokenWriter{})); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
}
