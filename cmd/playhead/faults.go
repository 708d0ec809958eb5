package main

import (
	"context"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/scenarios"
	"github.com/playhead-load/playhead/sim/fault"
)

// plansOfFaults tells the injector what the scenario says.
func plansOfFaults(faults []scenarios.Fault) []fault.Plan {
	plans := make([]fault.Plan, len(faults))
	for i, f := range faults {
		plans[i] = fault.Plan{
			Kind: string(f.Kind), Target: string(f.Target), At: f.At, Recovered: f.When == scenarios.WhenRecovered, For: f.For,
			Shape: string(f.Shape), Between: f.Between, Mode: f.Mode, Period: f.Period,
			Delay: f.Delay, Jitter: f.Jitter, Loss: f.Loss, Duplicate: f.Duplicate, Reorder: f.Reorder,
			BandwidthKbps: f.BandwidthKbps, Offset: f.Offset, Share: f.Share,
		}
	}
	return plans
}

type brokenTarget struct {
	fault.Damage
	err error
}

func (r *runner) breakTarget(ctx context.Context) (fault.Damage, error) {
	if r.cluster == nil || len(r.scenario.Faults) == 0 {
		return fault.Damage{}, nil
	}
	injector := fault.Injector{Cluster: r.cluster, Driver: r.driver, Seed: r.scenario.Seed, Tell: r.progress.say}
	return injector.Run(ctx, plansOfFaults(r.scenario.Faults))
}

// longestFault is for how long a node may hold what a device has given up: what waits in a
// stopped process, or on a wire that is cut, takes effect when it goes on.
func (r *runner) longestFault() (longest time.Duration) {
	if r.cluster == nil {
		return 0
	}
	for _, f := range r.scenario.Faults {
		switch f.Kind {
		case scenarios.Pause, scenarios.Partition, scenarios.Network, scenarios.Disk:
			longest = max(longest, f.For)
		}
	}
	return longest
}

// clocksOff is by how much a node's clock is set ahead or back at most.
func clocksOff(faults []scenarios.Fault) (most time.Duration) {
	for _, f := range faults {
		if f.Kind == scenarios.Clock {
			most = max(most, f.Offset.Abs())
		}
	}
	return most
}

// answering is where the target is asked once nothing is broken any more: not at nodes
// that a fault has left down.
func (r *runner) answering() []string {
	if r.cluster != nil {
		if running := r.cluster.RunningURLs(); len(running) > 0 {
			return running
		}
	}
	return r.urls
}

// audited is the trouble of the audit. That of a target that did not converge is its own,
// and fails the run by the threshold on that.
func (r *runner) audited(record *results.Run, trouble error) error {
	if trouble == nil || len(record.Faults) == 0 || record.ConvergedAfterMS != nil {
		return trouble
	}
	r.progress.say("the target did not converge after the last fault, and %v", trouble)
	return nil
}

// thresholds are the scenario's and, of a run with faults, that the target converged.
func (r *runner) thresholds(record *results.Run) []results.Threshold {
	if len(record.Faults) == 0 {
		return r.scenario.Thresholds
	}
	return results.WithConvergence(r.scenario.Thresholds)
}
