// Package fault breaks a target on purpose, at a moment of the run, and sees how
// long it takes to recover.
package fault

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/target"
)

// KillLeader kills the process that leads (SIGKILL), and may start it again.
const KillLeader = "kill-leader"

// Plan is one fault of a run.
type Plan struct {
	Kind         string        // KillLeader
	At           time.Duration // from the beginning of the run
	RestartAfter time.Duration // from At on; 0: the node stays down
}

// Limits of a fault.
const (
	leaderWait   = 15 * time.Second // for a leader that can be killed: an election may be on
	restartReady = 30 * time.Second // from the restart of a node until it is ready
	recoveryWait = 15 * time.Second // after the fault, for the first write that succeeds
	pollInterval = 20 * time.Millisecond
)

// Watch sees the target recover: the driver does. Recovered is how long after
// WatchRecovery the first write succeeded that was sent after it.
type Watch interface {
	NowUS() int64 // since the run began
	WatchRecovery() (sinceUS int64)
	Recovered() (time.Duration, bool)
}

// Injector breaks a cluster by plan while a driver plays against it.
type Injector struct {
	Cluster *target.Cluster
	Watch   Watch
	Tell    func(format string, args ...any) // a line for whoever watches the run
}

// Run carries the plans out one after another, in the order of their At, and
// returns what was done. It ends early, with what was done until then, when ctx
// does; a node that is to be started again is started even so. A fault is over
// when the target has recovered, when the next is due, or when too much time has
// passed: RecoveredAfterMS is nil then.
func (i *Injector) Run(ctx context.Context, plans []Plan) ([]results.Fault, error) {
	plans = slices.SortedStableFunc(slices.Values(plans), func(a, b Plan) int { return cmp.Compare(a.At, b.At) })
	var done []results.Fault
	for n, plan := range plans {
		if !i.wait(ctx, plan.At) {
			break
		}
		fault, err := i.killLeader(ctx, plan)
		if fault == nil && ctx.Err() != nil {
			break
		}
		if fault != nil {
			next := time.Duration(math.MaxInt64)
			if n+1 < len(plans) {
				next = plans[n+1].At
			}
			i.awaitRecovery(ctx, fault, next)
			done = append(done, *fault)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// killLeader returns nil for the fault if nothing was killed.
func (i *Injector) killLeader(ctx context.Context, plan Plan) (*results.Fault, error) {
	if plan.Kind != KillLeader {
		return nil, fmt.Errorf("fault %q: expected %s", plan.Kind, KillLeader)
	}
	leader, err := i.leader(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plan.Kind, err)
	}
	fault := &results.Fault{AtS: seconds(i.Watch.NowUS()), Kind: plan.Kind, Target: leader.ID}
	if err := leader.Kill(); err != nil {
		return nil, fmt.Errorf("%s: %w", plan.Kind, err)
	}
	// Only now: what the leader still acknowledged before it was gone is no recovery.
	i.Watch.WatchRecovery()
	i.Tell("fault: killed the leader %s", leader.ID)
	if plan.RestartAfter > 0 {
		err = i.restart(ctx, leader, plan.At+plan.RestartAfter, fault)
	}
	return fault, err
}

// leader finds who leads, and waits for an election if nobody does.
func (i *Injector) leader(ctx context.Context) (*target.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	for {
		leader, err := i.Cluster.Leader(ctx)
		if err == nil {
			return leader, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pollInterval):
		}
	}
}

// awaitRecovery notes when the target recovered, and waits for it if it has not:
// until the run is as old as until says, or recoveryWait is over.
func (i *Injector) awaitRecovery(ctx context.Context, fault *results.Fault, until time.Duration) {
	until = min(until, i.now()+recoveryWait)
	for {
		if recovered, ok := i.Watch.Recovered(); ok {
			ms := float64(recovered.Microseconds()) / 1000
			fault.RecoveredAfterMS = &ms
			return
		}
		if i.now() >= until || !i.wait(ctx, i.now()+pollInterval) {
			return
		}
	}
}

func (i *Injector) now() time.Duration { return time.Duration(i.Watch.NowUS()) * time.Microsecond }

// restart starts the node again when its time has come and waits until it is
// ready, also when the run is being broken off: the audit needs the cluster whole.
func (i *Injector) restart(ctx context.Context, node *target.Node, at time.Duration, fault *results.Fault) error {
	i.wait(ctx, at)
	if err := node.Start(); err != nil {
		return err
	}
	restartedAt := seconds(i.Watch.NowUS())
	fault.RestartedAtS = &restartedAt
	ready, cancel := context.WithTimeout(context.WithoutCancel(ctx), restartReady)
	defer cancel()
	if err := node.WaitReady(ready); err != nil {
		return fmt.Errorf("after %s: %w", fault.Kind, err)
	}
	i.Tell("fault: %s is back", node.ID)
	return nil
}

// wait waits until the run is so old, and says whether ctx let it.
func (i *Injector) wait(ctx context.Context, at time.Duration) bool {
	timer := time.NewTimer(at - i.now())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

func seconds(us int64) float64 { return float64(us) / 1e6 }
