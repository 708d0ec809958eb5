package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/fit"
	"github.com/playhead-load/playhead/viewing"
)

type simulateOptions struct {
	overrides  overrideFlags
	segment    segmentFlag
	trace      string
	json       bool
	html, svg  string
	parameters bool
}

func newSimulate() *cobra.Command {
	var o simulateOptions
	c := &cobra.Command{
		Use:   "simulate SCENARIO.yaml",
		Short: "Play the same devices on a virtual clock, without a server: does the traffic fit?",
		Long: `Play a scenario's devices on a virtual clock, as fast as the machine allows and
without a server, and compare the traffic they make with what the population is
calibrated against: each marginal with its distance, its tolerance, and the source
of what it should be. What the scenario is too short or too small to judge says so.
The same seed gives the same events, byte for byte. Every start is taken as admitted.

With --trace the events are written instead, one JSON object a line, for run --replay
and for any other program. With --segment several machines share the work: the parts
have no account in common, and together are the whole.

Exit codes: 0 nothing that could be judged is out of tolerance · 1 it failed itself ·
2 bad usage or a bad scenario · 97 no verdict: interrupted, the report is of what was
played · 99 a marginal is out of its tolerance.`,
		Example: `  playhead simulate scenarios/netflix-2015-day.yaml
  playhead simulate scenarios/netflix-2015-day.yaml --html fit.html
  playhead simulate scenarios/prime-time.yaml --trace - | head -3
  playhead simulate scenarios/prime-time.yaml --trace friday.ndjson.zst
  playhead simulate scenarios/prime-time.yaml --trace part-2.ndjson.zst --segment 2/8`,
		Args: oneScenario,
	}
	flags := c.Flags()
	flags.SortFlags = false
	o.overrides.add(flags)
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	flags.StringVar(&o.html, "html", "", "also write the report with its plots to this file, one page that loads nothing")
	flags.StringVar(&o.svg, "svg", "", "also write the plots alone to this file, one picture")
	flags.BoolVar(&o.parameters, "parameters", false, "also list every parameter of the population with its source")
	o.segment.add(flags)
	flags.StringVar(&o.trace, "trace", "", "write the events as NDJSON to this file instead of the report: compressed if its name ends in .zst, - for standard output")
	o.overrides.noFaults = true // a virtual clock has nothing to break
	c.RunE = func(c *cobra.Command, args []string) error {
		scenario, err := o.overrides.load(c.Flags(), args[0])
		if err != nil {
			return err
		}
		if err := o.check(); err != nil {
			return err
		}
		if o.trace != "" {
			return traceOf(c.Context(), scenario, o.segment, o.trace, c.OutOrStdout(), c.ErrOrStderr())
		}
		return simulate(c.Context(), scenario, o, c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

// check refuses flags of which one would be ignored.
func (o *simulateOptions) check() error {
	switch {
	case o.trace != "" && (o.json || o.html != "" || o.svg != "" || o.parameters):
		return usageError{errors.New("--trace writes events instead of a report: leave out --json, --html, --svg and --parameters")}
	case o.trace == "" && o.segment.Segment != sim.Segment{}:
		return usageError{errors.New("--segment is for --trace: the report is of the whole population")}
	case o.json && o.parameters:
		return usageError{errors.New("--parameters is for reading: leave out --json")}
	}
	return errors.Join(hasPlace("--html", o.html), hasPlace("--svg", o.svg), hasPlace("--trace", o.trace))
}

// hasPlace refuses a file for which there is no directory: what is to be written takes
// minutes to make.
func hasPlace(flag, path string) error {
	if path == "" || path == "-" {
		return nil
	}
	dir := filepath.Dir(path)
	switch at, err := os.Stat(dir); {
	case err != nil:
		return usageError{fmt.Errorf("%s %s: %w: make the directory, or name another file", flag, path, err)}
	case !at.IsDir():
		return usageError{fmt.Errorf("%s %s: %s is no directory: name another file", flag, path, dir)}
	}
	return nil
}

// endOfPlan is the virtual moment at which a scenario is over.
func endOfPlan(s *scenarios.Scenario) viewing.Millis {
	return plan.StartMS(s) + viewing.Millis(float64(s.Duration.Milliseconds())*s.TimeScale)
}

// countedFrom is the first whole minute of the plan after its warm-up.
func countedFrom(s *scenarios.Scenario) viewing.Millis {
	const minute = int64(time.Minute / time.Millisecond)
	from := int64(plan.StartMS(s)) + plan.WarmUpMS(s)
	return viewing.Millis((from + minute - 1) / minute * minute)
}

// simulate plays the plan, judges what it saw, and tells it.
func simulate(ctx context.Context, s *scenarios.Scenario, o simulateOptions, out, trouble io.Writer) error {
	begun := time.Now()
	people, err := newPopulation(s)
	if err != nil {
		return err
	}
	shown := newProgress(trouble, false)
	fleet, err := fleetOf(people, s, sim.Segment{}, 0, shown)
	if err != nil {
		return err
	}
	sample := fit.Watch(ctx, fleet, fit.Options{
		From: countedFrom(s), Until: endOfPlan(s), KeepaliveMS: s.Target.Keepalive.Milliseconds(),
		Progress: share(shown, begun, s),
	})
	shown.end()
	report := fit.Judge(sample, people)
	report.Scenario, report.Population, report.From = s.Name, describePopulation(s, o.segment), clockTime(countedFrom(s))
	report.TookS = time.Since(begun).Seconds()
	if err := o.tell(report, out); err != nil {
		return err
	}
	if o.parameters {
		printModel(out, people.Model(), s.Population.SharedAccounts)
	}
	return verdictOf(report)
}

// verdictOf is the exit code that a report ends the program with, as an error.
func verdictOf(report *fit.Report) error {
	switch {
	case report.Partial:
		return verdictError{code: results.ExitVoid}
	case report.Failed():
		return verdictError{code: results.ExitFail}
	}
	return nil
}

// share returns a function that shows how much of the plan was played.
func share(shown *progress, begun time.Time, s *scenarios.Scenario) func(viewing.Millis, int64) {
	from, plan := plan.StartMS(s), float64(endOfPlan(s)-plan.StartMS(s))
	return func(at viewing.Millis, events int64) {
		if took := time.Since(begun); took > quietFor {
			shown.update(fmt.Sprintf("%3.0f %% of the plan  %s  %.1f million events", 100*float64(at-from)/plan, clockTime(at), float64(events)/1e6))
		}
	}
}

func clockTime(at viewing.Millis) string { return time.UnixMilli(int64(at)).UTC().Format("15:04") }

// tell prints the report, and writes the files that were asked for.
func (o *simulateOptions) tell(report *fit.Report, out io.Writer) error {
	print := report.Text
	if o.json {
		print = report.JSON
	}
	if err := print(out); err != nil {
		return err
	}
	return errors.Join(writeFile(o.html, report.HTML), writeFile(o.svg, report.SVG))
}

// writeFile writes a file if it has a name.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}
