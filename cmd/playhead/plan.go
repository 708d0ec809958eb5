package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/pflag"

	"github.com/playhead-load/playhead/plan"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/population"
)

// overrideFlags are what the command line may change in a scenario.
type overrideFlags struct {
	seed      uint64
	scale     string
	duration  time.Duration
	timeScale float64
	noFaults  bool
}

func (o *overrideFlags) add(flags *pflag.FlagSet) {
	flags.Uint64Var(&o.seed, "seed", 0, "play other devices' lives than the scenario's seed gives")
	flags.StringVar(&o.scale, "scale", "", "share of the population that plays, as 1/N or a number")
	flags.DurationVar(&o.duration, "duration", 0, "how long to play, on the clock on the wall; the warm-up is at most a sixth of it")
	flags.Float64Var(&o.timeScale, "time-scale", 0, "population seconds in a wall second")
}

// load reads a scenario and changes it as the flags that were given say.
func (o *overrideFlags) load(flags *pflag.FlagSet, file string) (*scenarios.Scenario, error) {
	scenario, err := scenarios.Load(file, plan.ParameterBounds)
	if err != nil {
		return nil, usageError{err}
	}
	overrides := scenarios.Overrides{NoFaults: o.noFaults}
	if flags.Changed("seed") {
		overrides.Seed = &o.seed
	}
	if flags.Changed("scale") {
		scale, ok := scenarios.ParseScale(o.scale)
		if !ok {
			return nil, usageError{fmt.Errorf("--scale: expected a fraction such as 1/4000, or a number above 0, at most 1, got %q", o.scale)}
		}
		overrides.Scale = &scale
	}
	if flags.Changed("duration") {
		overrides.Duration = &o.duration
	}
	if flags.Changed("time-scale") {
		overrides.TimeScale = &o.timeScale
	}
	changed, err := scenario.Override(overrides)
	if err != nil {
		return nil, usageError{err}
	}
	return changed, nil
}

// segmentFlag is a share of the population's accounts, as in 2/8; empty is all of it.
type segmentFlag struct{ sim.Segment }

func (f *segmentFlag) add(flags *pflag.FlagSet) {
	flags.Var(f, "segment", "play only this part of the population's accounts: 2/8 is the second of eight equal parts")
}

// Set reads P/N.
func (f *segmentFlag) Set(text string) (err error) {
	f.Segment, err = sim.ParseSegment(text, sim.MaxSegments)
	return err
}

// Type names the value in the help and in mistakes.
func (f *segmentFlag) Type() string { return "P/N" }

func newFleet(s *scenarios.Scenario, segment sim.Segment, salt uint64, p *progress) (*sim.Fleet, error) {
	people, err := newPopulation(s)
	if err != nil {
		return nil, err
	}
	return fleetOf(people, s, segment, salt, p)
}

func newPopulation(s *scenarios.Scenario) (*population.Population, error) {
	people, err := plan.Population(s)
	if err != nil {
		return nil, usageError{err}
	}
	return people, nil
}

func fleetOf(people *population.Population, s *scenarios.Scenario, segment sim.Segment, salt uint64, p *progress) (*sim.Fleet, error) {
	fleet, err := plan.Fleet(people, s, segment, salt, p.share("population: who plays when it begins"))
	if err != nil {
		return nil, usageError{err}
	}
	return fleet, nil
}

func describePopulation(s *scenarios.Scenario, segment segmentFlag) string {
	part := ""
	if text := segment.String(); text != "" {
		part = " · part " + text + " of the accounts"
	}
	return fmt.Sprintf("%s, 1 account in %.0f, seed %d%s", s.Population.Model, math.Round(1/s.Population.Scale), s.Seed, part)
}
