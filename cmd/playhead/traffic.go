package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/spf13/pflag"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/sim/trace"
	"github.com/playhead-load/playhead/viewing"
)

// traffic is what a run plays: a population, or a trace.
type traffic struct {
	fleet   driver.Fleet
	startMS viewing.Millis         // the fleet's clock at the beginning
	limits  iter.Seq2[uint64, int] // of every account that plays: streams at once
	trouble func() error           // that kept the fleet from playing all of its plan
	close   func() error
	tell    func(*results.Run) // notes in the record what was played
}

// checkReplay refuses flags that mean a population where a trace is played.
func (o *runOptions) checkReplay(flags *pflag.FlagSet) error {
	if o.replay == "" {
		return nil
	}
	for _, name := range []string{"seed", "scale", "segment"} {
		if flags.Changed(name) {
			return fmt.Errorf("--%s is of the population, in place of which --replay plays a trace: leave one of them out", name)
		}
	}
	return nil
}

func (r *runner) openTraffic(ctx context.Context) (*traffic, error) {
	if r.options.replay != "" {
		return r.openTrace(ctx)
	}
	r.progress.stage("population: %s", describePopulation(r.scenario, r.options.segment))
	fleet, err := newFleet(r.scenario, r.options.segment.Segment, r.salt(), r.progress)
	if err != nil {
		return nil, err
	}
	limits := plansOf(fleet)
	if streams, one := fleet.OnePlan(); one && streams == r.scenario.Target.DefaultStreams && len(r.options.targets) == 0 {
		limits = func(func(uint64, int) bool) {} // who is not told of has the default
	}
	return &traffic{
		fleet: fleet, startMS: plan.StartMS(r.scenario), limits: limits,
		trouble: func() error { return nil },
		close:   func() error { return nil },
		tell: func(record *results.Run) {
			record.Model, record.Scale = r.scenario.Population.Model, r.scenario.Population.Scale
			record.Segment = r.options.segment.String()
		},
	}, nil
}

func plansOf(fleet *sim.Fleet) iter.Seq2[uint64, int] {
	return func(yield func(uint64, int) bool) {
		for _, account := range fleet.Accounts() {
			if !yield(account.ID, account.MaxStreams) {
				return
			}
		}
	}
}

// openTrace looks at the trace that will be played, and has the run end with it.
func (r *runner) openTrace(ctx context.Context) (*traffic, error) {
	if r.scenario.Load.Batch > 1 {
		return nil, usageError{errors.New("--replay: the starts of a trace ask where to play from, which a batch is not told: set load.batch to 1")}
	}
	path, begun := r.options.replay, time.Now()
	player, err := trace.OpenPlayer(ctx, path, trace.PlayerOptions{
		Salt: r.salt(), LengthMS: int64(endOfPlan(r.scenario) - plan.StartMS(r.scenario)),
		Progress: func(events int64) {
			if time.Since(begun) > quietFor {
				r.progress.update(fmt.Sprintf("trace: looking at %s, %s events", path, results.FormatCount(events)))
			}
		},
	})
	if err != nil {
		if ctx.Err() == nil {
			err = usageError{err}
		}
		return nil, fmt.Errorf("--replay: %w", err)
	}
	if r.scenario, err = endWith(r.scenario, player.LengthMS()); err != nil {
		return nil, usageError{errors.Join(fmt.Errorf("--replay: the run ends with %s: %w", path, err), player.Close())}
	}
	accounts := player.Accounts()
	r.progress.stage("trace: %s, %s events on %s devices of %s accounts", path,
		results.FormatCount(player.Events()), results.FormatCount(player.Devices()), results.FormatCount(len(accounts)))
	return &traffic{
		fleet: player, startMS: player.StartMS(), trouble: player.Err, close: player.Close,
		limits: func(yield func(uint64, int) bool) {
			for account := range accounts {
				if !yield(account, r.scenario.Target.DefaultStreams) {
					return
				}
			}
		},
		tell: func(record *results.Run) { record.Trace = path },
	}, nil
}

// endWith is the scenario of a run that ends, to the next second, with a trace of that
// length, if it does not end before.
func endWith(s *scenarios.Scenario, lengthMS int64) (*scenarios.Scenario, error) {
	seconds := math.Floor(float64(lengthMS)/1000/s.TimeScale) + 1
	if seconds >= s.Duration.Seconds() {
		return s, nil
	}
	length := time.Duration(seconds) * time.Second
	return s.Override(scenarios.Overrides{Duration: &length})
}
