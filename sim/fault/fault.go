// Package fault breaks a target on purpose, at a moment of the run, and sees how
// long it takes to recover.
package fault

import (
	"context"
	"fmt"
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

// restartReady bounds how long a restarted node may take to be ready again.
const restartReady = 30 * time.Second

// Watch sees the target recover: the driver does.
type Watch interface {
	NowUS() int64
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
// does; a node that is to be started again is started even so.
func (i *Injector) Run(ctx context.Context, plans []Plan) ([]results.Fault, error) {
	var done []results.Fault
	for _, plan := range plans {
		if !i.wait(ctx, plan.At) {
			break
		}
		fault, err := i.killLeader(ctx, plan)
		if fault != nil {
			done = append(done, *fault)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (i *Injector) killLeader(ctx context.Context, plan Plan) (*results.Fault, error) {
	leader, err := i.Cluster.Leader(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", plan.Kind, err)
	}
	sinceUS := i.Watch.WatchRecovery()
	if err := leader.Kill(); err != nil {
		return nil, fmt.Errorf("%s: %w", plan.Kind, err)
	}
	i.Tell("fault: killed the leader %s", leader.ID)
	fault := &results.Fault{AtS: seconds(sinceUS), Kind: plan.Kind, Target: leader.ID}
	if plan.RestartAfter > 0 {
		err = i.restart(ctx, leader, plan.At+plan.RestartAfter, fault)
	}
	if recovered, ok := i.Watch.Recovered(); ok {
		ms := float64(recovered.Microseconds()) / 1000
		fault.RecoveredAfterMS = &ms
	}
	return fault, err
}

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
	timer := time.NewTimer(at - time.Duration(i.Watch.NowUS())*time.Microsecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func seconds(us int64) float64 { return float64(us) / 1e6 }
