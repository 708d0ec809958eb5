// Package plan turns a scenario into what the simulator plays: its population, when that
// begins, and how a driver is to play it. Everything that plays scenarios shares it.
package plan

import (
	"fmt"
	"time"

	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim"
	"github.com/playhead-load/playhead/sim/driver"
	"github.com/playhead-load/playhead/sim/population"
	"github.com/playhead-load/playhead/viewing"
)

// day is the one on whose clock every plan runs, so that a seed gives the same events
// whenever it is played: a Friday of 2015.
var day = time.Date(2015, time.November, 20, 0, 0, 0, 0, time.UTC)

// Midnight is the plan's clock at the beginning of that day.
func Midnight() viewing.Millis { return viewing.Millis(day.UnixMilli()) }

// StartMS is the plan's clock at the beginning.
func StartMS(s *scenarios.Scenario) viewing.Millis {
	return Midnight() + viewing.Millis(s.StartAt.Milliseconds())
}

// WarmUpMS is the warm-up on the plan's clock.
func WarmUpMS(s *scenarios.Scenario) int64 {
	return int64(float64(s.WarmUp.Milliseconds()) * s.TimeScale)
}

// Keepalive and Lease are, on the clock on the wall, what the scenario gives in the
// population's time.
func Keepalive(s *scenarios.Scenario) time.Duration { return scaled(s, s.Target.Keepalive) }

// Lease is as Keepalive.
func Lease(s *scenarios.Scenario) time.Duration { return scaled(s, s.Target.Lease) }

func scaled(s *scenarios.Scenario, d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.TimeScale).Round(time.Millisecond)
}

// ParameterBounds is scenarios.ParameterBounds of the populations there are.
func ParameterBounds(model string) map[string][2]float64 {
	m, err := population.Named(model)
	if err != nil {
		return nil // the scenario's reader has said so
	}
	return m.Bounds()
}

// Population is who watches. An error is of the scenario.
func Population(s *scenarios.Scenario) (*population.Population, error) {
	model, err := population.Named(s.Population.Model)
	if err != nil {
		return nil, err
	}
	if err := model.Set(s.Population.Parameters); err != nil {
		return nil, fmt.Errorf("population.parameters: %w", err)
	}
	people, err := population.New(model, population.Options{
		Seed: s.Seed, Scale: s.Population.Scale, SharedAccounts: s.Population.SharedAccounts,
	})
	if err != nil {
		return nil, fmt.Errorf("population: %w", err)
	}
	return people, nil
}

// Fleet is the devices of a segment of the people, ready to play. An error is of the
// scenario; progress may be nil.
func Fleet(people *population.Population, s *scenarios.Scenario, segment sim.Segment, salt uint64, progress func(float64)) (*sim.Fleet, error) {
	options := sim.FleetOptions{
		Progress: progress,
		Seed:     s.Seed, Salt: salt, Segment: segment, StartMS: StartMS(s), KeepaliveMS: s.Target.Keepalive.Milliseconds(),
		WarmUpMS: WarmUpMS(s), Positions: s.Load.Batch > 1, // of which a batch tells nothing
	}
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("the scenario's population cannot be played: %w", err)
	}
	return sim.NewFleet(people, options), nil
}

// Driver is how the scenario's devices reach a target. What is played, against what and
// where it is noted is the caller's to add.
func Driver(s *scenarios.Scenario) driver.Config {
	return driver.Config{
		StartMS: StartMS(s), Connections: s.Load.Connections, Timeout: s.Load.Timeout,
		TimeScale: s.TimeScale, Duration: s.Duration, WarmUp: s.WarmUp, Lease: Lease(s),
		Executor: executorOf(&s.Load), Batch: batchOf(&s.Load), Unasked: 1 - s.Load.Reads,
		Retry: driver.Retry(s.Load.Retry), Flaws: flawsOf(s),
	}
}

func executorOf(l *scenarios.Traffic) driver.Executor {
	e := driver.Executor{Rate: l.Rate, VUs: l.VUs}
	if l.Executor != scenarios.ByPopulation {
		e.Name = driver.ExecutorName(l.Executor)
	}
	for _, s := range l.Stages {
		e.Stages = append(e.Stages, driver.Stage{Duration: s.Duration, Rate: s.Target})
	}
	return e
}

func batchOf(l *scenarios.Traffic) driver.Batch {
	return driver.Batch{Events: l.Batch, Aggregators: l.Aggregators, Linger: l.Linger, Binary: l.Encoding == "binary"}
}

func flawsOf(s *scenarios.Scenario) driver.Flaws {
	l := &s.Load
	ahead := max(0, driver.AheadLimit-clocksBack(s.Faults))
	return driver.Flaws{Seed: s.Seed, Skewed: l.Skewed, Skew: l.Skew, Ahead: ahead, Repeated: l.Repeated, Delayed: l.Delayed}
}

// clocksBack is by how much a node's clock is set back at most.
func clocksBack(faults []scenarios.Fault) (most time.Duration) {
	for _, f := range faults {
		if f.Kind == scenarios.Clock {
			most = max(most, -f.Offset)
		}
	}
	return most
}
