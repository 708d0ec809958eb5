package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/capacity"
)

// allOperations is what a threshold on every operation together names.
const allOperations = "operations"

// enough is the share of the time a step needs that it must at least have measured.
const enough = 0.8

// step plays the scenario at another share of the population, with a seed of its own, so
// that steps at the same load are not the same traffic.
func (c *searcher) step(ctx context.Context, scale float64, phase capacity.Phase) (capacity.Step, error) {
	length, err := c.length(scale, phase)
	if err != nil {
		return capacity.Step{}, err
	}
	first, n := c.scaledS == 0, len(c.report.Steps)
	seed := (c.scenario.Seed + uint64(n)) % (scenarios.MaxSeed + 1)
	scenario, err := c.scenario.Override(scenarios.Overrides{
		Seed: &seed, Scale: &scale, Duration: &length, WarmUp: &c.scenario.WarmUp,
	})
	if err != nil {
		return capacity.Step{}, usageError{err}
	}
	step := capacity.Step{Phase: phase, Scale: scale, Seed: seed, Folder: fmt.Sprintf("step-%02d", n+1)}
	begun := time.Now()
	record, err := runStep(ctx, scenario, filepath.Join(c.dir, step.Folder))
	if err != nil {
		return capacity.Step{}, err
	}
	c.stepTook = time.Since(begun)
	measured, err := results.ReadMeasurements(record.Dir)
	if err != nil {
		return capacity.Step{}, err
	}
	step.DurationS, step.TargetPerS, step.AchievedPerS = record.DurationS, record.Load.TargetPerS, record.Load.AchievedPerS
	step.UnderWay, step.ConnectionsBusy = underWay(record, measured), record.Generator.ConnectionsBusy
	c.learn(record, scale)
	return step, c.judge(&step, record, first)
}

// runStep is run, told to nobody. A record with any verdict is no error.
func runStep(ctx context.Context, s *scenarios.Scenario, dir string) (*results.Run, error) {
	err := newRunner(s, runOptions{out: dir, quiet: true}, io.Discard, io.Discard).run(ctx)
	var verdict verdictError
	if err != nil && (!errors.As(err, &verdict) || verdict.trouble != nil && verdict.code != results.ExitViolated) {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	record, err := results.ReadRun(dir)
	if err == nil && record.Interrupted && record.ExitCode() != results.ExitViolated {
		err = ctx.Err()
	}
	return record, err
}

// judge says what became of a step. Only the first can be too short: of the others it is
// known beforehand how long they must be.
func (c *searcher) judge(step *capacity.Step, record *results.Run, first bool) error {
	switch needed, err := c.length(step.Scale, step.Phase); {
	case record.ExitCode() == results.ExitViolated:
		step.Outcome = capacity.Wrong
		step.Reason = fmt.Sprintf("%d wrong answers, see %s", record.Audit.Violations(), record.Dir)
	case !record.Generator.Fit:
		step.Outcome, step.Reason = capacity.Unfit, record.VoidReason
	case record.ExitCode() == results.ExitVoid:
		return usageError{fmt.Errorf("%s: %s", record.Dir, record.VoidReason)}
	case err != nil:
		return err
	case first && record.DurationS < enough*needed.Seconds():
		step.Outcome, step.Reason = capacity.TooShort, fmt.Sprintf("to be told it takes %v", needed)
	default:
		step.Outcome, step.Reason = heldOrWhy(record)
	}
	return nil
}

// heldOrWhy judges a step by the scenario's thresholds, and by whether the load was the
// one that was asked for.
func heldOrWhy(record *results.Run) (capacity.Outcome, string) {
	var why []string
	for _, t := range record.Thresholds {
		switch {
		case t.OK:
		case t.Value == nil:
			why = append(why, fmt.Sprintf("%s %s: %s", t.Metric, t.Expression, t.Note))
		default:
			why = append(why, fmt.Sprintf("%s %s is %.4g", t.Metric, t.Expression, *t.Value))
		}
	}
	if answered := record.Load.AchievedPerS / record.Load.TargetPerS; answered < capacity.KeepsUp {
		why = append(why, fmt.Sprintf("%.0f %% was answered by the end", 100*answered))
	}
	if len(why) == 0 {
		return capacity.Held, ""
	}
	if busy := record.Generator.ConnectionsBusy; busy > busyConnections {
		why = append(why, fmt.Sprintf("all connections were taken for %.0f %% of the requests", 100*busy))
	}
	return capacity.Crossed, strings.Join(why, "; ")
}

// busyConnections is the share of requests from which on load.connections may have been
// the limit.
const busyConnections = 0.05

// learn counts the operations, to know how often each occurs.
func (c *searcher) learn(record *results.Run, scale float64) {
	c.scaledS += record.MeasuredS * scale
	for name, o := range record.Operations {
		c.counted[name] += o.Count
		c.counted[allOperations] += o.Count
	}
}

// perS is how often an operation occurs at that scale, 0 if it is not known.
func (c *searcher) perS(name string, scale float64) float64 {
	if c.scaledS == 0 {
		return 0
	}
	return float64(c.counted[name]) / c.scaledS * scale
}

// length is how long a step at that scale plays, the warm-up included. What no threshold
// is judged by plays no longer than the shortest.
func (c *searcher) length(scale float64, phase capacity.Phase) (time.Duration, error) {
	length := c.scenario.Duration
	if phase == capacity.Sweep {
		return length, nil
	}
	for _, t := range c.scenario.Thresholds {
		owner, _, _ := strings.Cut(t.Metric, ".")
		needed := capacity.Needed(t, c.perS(owner, scale))
		if needed > longestStep {
			return 0, usageError{fmt.Errorf("thresholds.%s: %s takes a step of more than %v to be told at 1 account in %.0f: raise --scale, or judge by a lower percentile",
				t.Metric, t.Expression, longestStep, 1/scale)}
		}
		length = max(length, (c.scenario.WarmUp + needed + time.Second - 1).Truncate(time.Second))
	}
	return length, nil
}

// underWay is how many requests were under way on average, by Little's law.
func underWay(record *results.Run, measured results.Measurements) float64 {
	sum := 0.0
	for op, m := range measured {
		sum += record.Operations[op.String()].RatePerS * m.Service.Mean() / 1e6
	}
	return sum
}
