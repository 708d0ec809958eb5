// Package fault breaks a target on purpose, at moments of the run and in several places
// at once, mends it, and sees how long it takes to recover.
package fault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/target"
)

// Limits of a fault.
const (
	targetWait   = 15 * time.Second // for nodes that can be broken: an election may be on, or another fault
	restartReady = 30 * time.Second // from the restart of a node, or the end of all faults, until it is ready
	mendWait     = 30 * time.Second // for a node to take back what was broken
	recoveryWait = 15 * time.Second // after the fault, for the first write that succeeds
	convergeWait = 10 * time.Second // after all faults, for a write that succeeds
	pollInterval = 20 * time.Millisecond
)

// Driver plays against the target. It sees it recover: WatchRecovery begins a watch
// beside those that there are, and what it returns tells how long after that the first
// write succeeded that was sent after it. It tells apart what is measured while something
// is broken, from BeginPhase until end is called. And its devices can fall silent.
type Driver interface {
	NowUS() int64 // since the run began
	WatchRecovery() (recovered func() (time.Duration, bool))
	BeginPhase(name string) (end func())
	Vanish(share float64, seed uint64)
}

// Injector breaks a cluster by plan while a driver plays against it. The cluster must
// be rigged for the plans, see RigFor.
type Injector struct {
	Cluster *target.Cluster
	Driver  Driver
	Seed    uint64
	Tell    func(format string, args ...any) // a line for whoever watches the run; from any goroutine

	claims claims
}

// Damage is what was done.
type Damage struct {
	Faults           []results.Fault // in the order of their AtS
	ConvergedAfterMS *float64        // from the end of the last fault until a write succeeded; nil: none did, or there was no fault
}

// Run carries the plans out, each at its time whatever the others do. It returns when all
// are mended and the target has recovered from each, or too much time has passed: its
// RecoveredAfterMS is nil then. A fault that found no target to break is noted as skipped.
//
// When ctx ends, what was not due until then is left out, and what is broken is mended at
// once: the audit needs the cluster whole.
func (i *Injector) Run(ctx context.Context, plans []Plan) (Damage, error) {
	for _, plan := range plans {
		if kinds[plan.Kind] == nil {
			return Damage{}, fmt.Errorf("fault %q: expected one of docs/scenario.md", plan.Kind)
		}
	}
	plans = slices.SortedStableFunc(slices.Values(plans), func(a, b Plan) int { return cmp.Compare(a.At, b.At) })
	steps := make([]*step, len(plans))
	var mended, over sync.WaitGroup
	mended.Add(len(plans))
	for n, plan := range plans {
		steps[n] = &step{
			Injector: i, plan: plan, before: steps[:n], random: rand.New(rand.NewPCG(i.Seed, uint64(n))),
			mended: sync.OnceFunc(mended.Done), over: make(chan struct{}),
			fault: results.Fault{Kind: plan.Kind, Detail: plan.detail()},
		}
	}
	for _, s := range steps {
		over.Go(func() { s.err = s.carryOut(ctx) })
	}
	mended.Wait()
	damage, err := i.sum(ctx, steps)
	over.Wait()
	for _, s := range steps {
		err = errors.Join(err, s.err)
		if s.happened || s.fault.Skipped != "" {
			damage.Faults = append(damage.Faults, s.fault)
		}
	}
	slices.SortStableFunc(damage.Faults, func(a, b results.Fault) int { return cmp.Compare(a.AtS, b.AtS) })
	return damage, err
}

// sum sees the cluster converge once everything is mended. An error is of a node that is
// not ready although it has.
func (i *Injector) sum(ctx context.Context, steps []*step) (damage Damage, err error) {
	if !slices.ContainsFunc(steps, func(s *step) bool { return s.happened }) {
		return damage, nil
	}
	ctx = context.WithoutCancel(ctx)
	damage.ConvergedAfterMS = i.converge(ctx)
	if damage.ConvergedAfterMS == nil {
		return damage, nil // nor can any node be ready
	}
	var ready errgroup.Group
	for _, node := range i.Cluster.Nodes() {
		if node.Running() {
			ready.Go(func() error { return awaitReady(ctx, node) })
		}
	}
	if err := ready.Wait(); err != nil {
		return damage, fmt.Errorf("after the last fault: %w", err)
	}
	return damage, nil
}

// step is one plan being carried out.
type step struct {
	*Injector
	plan   Plan
	before []*step // those whose time was before
	random *rand.Rand
	nodes  []*target.Node // that are hit

	happened  bool
	recovered bool
	fault     results.Fault
	mended    func() // tells that nothing of it is broken any more
	over      chan struct{}
	err       error
}

// breaker breaks what a step is about and returns what mends it; nil: nothing does.
type breaker func(s *step, ctx context.Context) (mend func(context.Context) error, err error)

// kinds are what is done for each kind of fault.
var kinds = map[string]breaker{
	Kill: (*step).kill, KillLeader: (*step).kill, Pause: (*step).pause, RollingRestart: (*step).roll,
	Partition: (*step).partition, Network: (*step).network, Disk: (*step).disk, Clock: (*step).clock,
	TransferLeadership: (*step).transfer, Membership: (*step).removeMember, Vanish: (*step).vanish,
}

// refused is why a step found nothing that it could break.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// carryOut waits for the step's time, breaks, mends, and waits for the target to recover.
func (s *step) carryOut(ctx context.Context) error {
	defer close(s.over)
	defer s.mended()
	if !s.wait(ctx, s.plan.At) {
		return nil
	}
	mend, err := s.begin(ctx)
	if why, ok := errors.AsType[refused](err); ok {
		s.fault.AtS, s.fault.Skipped = s.nowS(), why.Error()
		s.Tell("fault: %s did not happen: %v", s.plan.Kind, why)
		return nil
	}
	if err != nil {
		if mend != nil {
			err = errors.Join(err, mend(context.WithoutCancel(ctx)))
		}
		return fmt.Errorf("%s: %w", s.plan.Kind, err)
	}
	defer s.Driver.BeginPhase(s.plan.Kind)()
	// Only now: what was acknowledged before everything was broken is no recovery.
	recovered := s.Driver.WatchRecovery()
	s.tellOfBeginning()
	if mend != nil {
		s.wait(ctx, s.now()+s.plan.For)
		err := mend(context.WithoutCancel(ctx))
		s.release()
		if err != nil {
			return fmt.Errorf("mend what %s broke: %w", s.plan.Kind, err)
		}
		endedAtS := s.nowS()
		s.fault.EndedAtS = &endedAtS
		s.tellOfEnd()
	}
	s.mended()
	s.awaitRecovery(ctx, recovered)
	return nil
}

// begin waits until the step may happen, chooses its target and breaks that.
func (s *step) begin(ctx context.Context) (mend func(context.Context) error, err error) {
	if err := s.awaitOthers(ctx); err != nil {
		return nil, err
	}
	if err := s.choose(ctx); err != nil {
		return nil, err
	}
	s.fault.AtS = s.nowS()
	mend, err = kinds[s.plan.Kind](s, ctx)
	if err != nil {
		s.release()
		return mend, err
	}
	s.happened = true
	return mend, nil
}

// awaitOthers waits until what is before the step is over, if it is to.
func (s *step) awaitOthers(ctx context.Context) error {
	if !s.plan.Recovered {
		return nil
	}
	for _, other := range s.before {
		select {
		case <-other.over:
		case <-ctx.Done():
			return refused{fmt.Errorf("%s was not over before the end", other.plan.Kind)}
		}
		if !other.recovered {
			return refused{fmt.Errorf("the target did not recover from %s", other.plan.Kind)}
		}
	}
	return nil
}

// awaitRecovery notes when the target recovered, and waits for it if it has not.
func (s *step) awaitRecovery(ctx context.Context, recovered func() (time.Duration, bool)) {
	until := s.now() + recoveryWait
	for {
		after, ok := recovered()
		if ok {
			ms := float64(after.Microseconds()) / 1000
			s.fault.RecoveredAfterMS, s.recovered = &ms, true
			return
		}
		if s.now() >= until || !s.wait(ctx, s.now()+pollInterval) {
			return
		}
	}
}

func (s *step) tellOfBeginning() {
	switch {
	case s.plan.Kind == KillLeader, s.plan.Kind == Kill && s.plan.Target == Leader:
		s.Tell("fault: killed the leader %s", s.fault.Target)
	case s.plan.Kind == Kill:
		s.Tell("fault: killed %s", s.fault.Target)
	default:
		s.Tell("fault: %s begins", s.title())
	}
}

func (s *step) tellOfEnd() {
	if s.fault.RestartedAtS != nil {
		s.Tell("fault: %s is back", s.fault.Target)
		return
	}
	s.Tell("fault: %s ends", s.title())
}

// title is kind, target and detail.
func (s *step) title() string {
	title := strings.TrimSpace(s.plan.Kind + " " + s.fault.Target)
	if s.fault.Detail != "" {
		title += " (" + s.fault.Detail + ")"
	}
	return title
}

func (i *Injector) now() time.Duration { return time.Duration(i.Driver.NowUS()) * time.Microsecond }

func (i *Injector) nowS() float64 { return float64(i.Driver.NowUS()) / 1e6 }

// wait waits until the run is so old, and says whether ctx let it.
func (i *Injector) wait(ctx context.Context, at time.Duration) bool {
	return sleep(ctx, at-i.now())
}

// sleep says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}
