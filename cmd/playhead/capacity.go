package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/capacity"
	"github.com/playhead-load/playhead/sim/population"
)

const (
	capacityFile = "capacity.json"
	shortestStep = 15 * time.Second // without the warm-up, unless the scenario is shorter
	longestStep  = 10 * time.Minute // likewise
	maxRepeats   = 100
)

// planned are the populations whose sizes are told.
var planned = []string{"netflix-2015", "netflix-2018", "netflix-2025"}

type capacityOptions struct {
	overrides overrideFlags
	highest   string
	repeats   int
	out       string
	quiet     bool
	json      bool
}

func newCapacity() *cobra.Command {
	var o capacityOptions
	c := &cobra.Command{
		Use:   "capacity SCENARIO.yaml",
		Short: "Find the highest load that keeps the scenario's thresholds, and what larger populations take",
		Long: `Find the highest rate of events at which a scenario's thresholds hold. Every step is a
run of the scenario without its faults, at another share of the population: doubled
until a step does not hold, bisected to 5 %, then up and down around the limit to
know how sure it is. A step lasts until the percentiles that it is judged by have 20
samples beyond them. The Universal Scalability Law is fitted to the loads that the
target kept up with and checked on one that it was not fitted to. docs/capacity.md
has the method, and what it assumes.

What is left behind: runs/<id>/ with capacity.json, written anew after each step, and
a run's folder for each step.

Exit codes: 0 found, or every load up to --max held · 1 it failed itself · 2 bad usage
or a bad scenario · 97 no verdict: interrupted, or the generator was unfit before the
limit was found; what was found is told · 98 an invariant was violated, which ends the
search · 99 no load keeps the thresholds, down to an eighth of the scenario's own.`,
		Example: `  playhead capacity scenarios/prime-time.yaml
  playhead capacity scenarios/prime-time.yaml --scale 1/2000 --duration 30s --json`,
		Args: oneScenario,
	}
	flags := c.Flags()
	flags.SortFlags = false
	o.overrides.add(flags)
	o.overrides.noFaults = true // a fault's cost is not the load's
	flags.Lookup("scale").Usage = "share of the population that the search begins with, as 1/N or a number"
	flags.Lookup("duration").Usage = "how long a step plays at least, on the clock on the wall (default 15s and the warm-up); the warm-up is at most a sixth of it"
	flags.StringVar(&o.highest, "max", "1", "largest share of the population to play, as 1/N or a number")
	flags.IntVar(&o.repeats, "repeats", 10, "steps around the limit; fewer know it less well")
	flags.StringVar(&o.out, "out", "", "directory of the results (default runs/<id>)")
	flags.BoolVar(&o.quiet, "quiet", false, "no progress, only the summary")
	flags.BoolVar(&o.json, "json", false, "print capacity.json instead of the summary")
	c.RunE = func(c *cobra.Command, args []string) error {
		scenario, err := o.overrides.load(c.Flags(), args[0])
		if err != nil {
			return err
		}
		if shortest := scenario.WarmUp + shortestStep; !c.Flags().Changed("duration") && shortest < scenario.Duration {
			if scenario, err = scenario.Override(scenarios.Overrides{Duration: &shortest, WarmUp: &scenario.WarmUp}); err != nil {
				return err
			}
		}
		search, err := o.search(scenario)
		if err != nil {
			return usageError{err}
		}
		return newSearcher(scenario, o, search, c.OutOrStdout(), c.ErrOrStderr()).run(c.Context())
	}
	return c
}

// search checks what is asked for.
func (o *capacityOptions) search(s *scenarios.Scenario) (*capacity.Search, error) {
	highest, ok := scenarios.ParseScale(o.highest)
	switch {
	case !ok:
		return nil, fmt.Errorf("--max: expected a fraction such as 1/100, or a number above 0, at most 1, got %q", o.highest)
	case highest < s.Population.Scale:
		return nil, fmt.Errorf("--max: %s is less than the scenario's population.scale, which the search begins with: lower that with --scale", o.highest)
	case o.repeats < 1 || o.repeats > maxRepeats:
		return nil, fmt.Errorf("--repeats: expected 1 to %d, got %d", maxRepeats, o.repeats)
	case len(s.Thresholds) == 0:
		return nil, errors.New("the scenario has no thresholds to keep, but for its faults' if it has such: add some")
	}
	return capacity.NewSearch(capacity.Options{First: s.Population.Scale, Highest: highest, Repeats: o.repeats}), nil
}

// searcher plays a search's steps.
type searcher struct {
	scenario *scenarios.Scenario // of the shortest step
	options  capacityOptions
	search   *capacity.Search
	out      io.Writer
	progress *progress
	dir      string
	report   *capacity.Report
	demands  []capacity.Demand

	counted  map[string]int64 // operations of the steps so far, by name
	scaledS  float64          // seconds that they were measured in, at scale 1
	stepTook time.Duration    // the last one, by the clock on the wall
}

func newSearcher(s *scenarios.Scenario, o capacityOptions, search *capacity.Search, stdout, stderr io.Writer) *searcher {
	begun := time.Now()
	c := &searcher{
		scenario: s, options: o, search: search, out: stdout, progress: newProgress(stderr, o.quiet), dir: o.out,
		counted: map[string]int64{}, stepTook: s.Duration,
		report: &capacity.Report{
			Version: results.Version(), Scenario: s.Name, Seed: s.Seed, Model: s.Population.Model,
			TimeScale: s.TimeScale, Keepalive: s.Target.Keepalive.String(), StartedAt: begun,
			Target: capacity.Target{Design: s.Target.Design, Nodes: s.Target.Nodes, Processors: runtime.NumCPU()},
		},
	}
	if c.dir == "" {
		c.dir = filepath.Join("runs", begun.Format("20060102-150405")+"-"+s.Name+"-capacity")
	}
	c.report.Dir = c.dir
	return c
}

func (c *searcher) run(ctx context.Context) error {
	if err := c.makeDir(); err != nil {
		return err
	}
	stopTelling := context.AfterFunc(ctx, func() {
		c.progress.say("interrupted: the step is audited, and what was found is told; once more ends it at once")
	})
	defer stopTelling()
	trouble := c.lookAtPeaks(ctx)
	if trouble == nil {
		c.progress.stage("search: some %d steps, and one more each time the load is doubled; a step plays %v or longer, beside its start and audit: %v or more",
			c.search.Left(), c.scenario.Duration, c.left())
		trouble = c.play(ctx)
	}
	if trouble != nil && ctx.Err() != nil {
		c.report.Ending, trouble = capacity.Interrupted, nil
	}
	trouble = errors.Join(trouble, c.write())
	c.progress.end()
	if trouble != nil {
		return trouble
	}
	tell := c.report.Text
	if c.options.json {
		tell = c.report.JSON
	}
	if err := tell(c.out); err != nil {
		return fmt.Errorf("write the summary: %w", err)
	}
	if code := capacityCode(c.report.Ending); code != exitOK {
		return verdictError{code: code}
	}
	return nil
}

func capacityCode(ending capacity.Ending) int {
	switch ending {
	case capacity.Found, capacity.AllHeld:
		return exitOK
	case capacity.Violated:
		return results.ExitViolated
	case capacity.NoneHeld:
		return results.ExitFail
	}
	return results.ExitVoid
}

// makeDir makes the folder, but not over another search's.
func (c *searcher) makeDir() error {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fmt.Errorf("make the search's directory (--out names another): %w", err)
	}
	switch _, err := os.Stat(filepath.Join(c.dir, capacityFile)); {
	case err == nil:
		return usageError{fmt.Errorf("%s holds a search already: name another directory with --out, or remove it", c.dir)}
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("look into the search's directory: %w", err)
	}
	return nil
}

// lookAtPeaks plays a day of each population that is planned for, before anything is
// measured that it could disturb.
func (c *searcher) lookAtPeaks(ctx context.Context) error {
	for _, name := range planned {
		c.progress.update("peaks: a day of " + name + " on a virtual clock")
		model, err := population.Named(name)
		if err != nil {
			return err
		}
		demand, err := capacity.DemandOf(ctx, model, capacity.DemandOptions{
			Seed: c.scenario.Seed, SharedAccounts: c.scenario.Population.SharedAccounts,
			KeepaliveMS: c.scenario.Target.Keepalive.Milliseconds(), Midnight: plan.Midnight(),
		})
		if err != nil {
			return err
		}
		c.demands = append(c.demands, demand)
	}
	return nil
}

// play plays one step after another until the search has ended. After each of them
// capacity.json says what was found.
func (c *searcher) play(ctx context.Context) error {
	for {
		scale, phase, ok := c.search.Next()
		if !ok {
			c.report.Ending = c.search.Ending()
			c.report.Reason = c.reason()
			return nil
		}
		c.progress.update(fmt.Sprintf("step %d, %s, 1 account in %.0f · steps left: about %d, in %v",
			len(c.report.Steps)+1, phase, 1/scale, c.search.Left(), c.left()))
		step, err := c.step(ctx, scale, phase)
		if err != nil {
			return err
		}
		c.report.Steps = append(c.report.Steps, step)
		c.progress.stage("%2d %s", len(c.report.Steps), step.Text())
		switch step.Outcome {
		case capacity.Wrong:
			c.report.Ending, c.report.Reason = capacity.Violated, step.Reason
			return nil
		case capacity.TooShort:
		default:
			c.search.Tell(step.Outcome)
		}
		c.report.Ending = capacity.Interrupted // unless it goes on
		if err := c.write(); err != nil {
			return err
		}
	}
}

// left is how long what is left of the search takes if every step takes as long as the
// last one.
func (c *searcher) left() time.Duration {
	return (time.Duration(c.search.Left()) * c.stepTook).Round(time.Second)
}

// reason is why the search ended, where the last step that did not hold has it.
func (c *searcher) reason() string {
	if ending := c.search.Ending(); ending != capacity.NoneHeld && ending != capacity.GeneratorLimit {
		return ""
	}
	for i := len(c.report.Steps) - 1; i >= 0; i-- {
		if s := &c.report.Steps[i]; s.Outcome == capacity.Crossed || s.Outcome == capacity.Unfit {
			return fmt.Sprintf("at 1 account in %.0f: %s", 1/s.Scale, s.Reason)
		}
	}
	return ""
}

func (c *searcher) write() error {
	c.report.TookS = time.Since(c.report.StartedAt).Seconds()
	c.report.Conclude(c.demands)
	return writeFile(filepath.Join(c.dir, capacityFile), c.report.JSON)
}
