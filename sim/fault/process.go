package fault

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/playhead-load/playhead/sim/target"
)

// each does something with all of the step's nodes at once.
func (s *step) each(do func(*target.Node) error) error {
	var group errgroup.Group
	for _, node := range s.nodes {
		group.Go(func() error { return do(node) })
	}
	return group.Wait()
}

// kill kills the processes. They stay down, or are started again and awaited.
func (s *step) kill(context.Context) (mend func(context.Context) error, err error) {
	restart := func(ctx context.Context) error {
		if err := s.each((*target.Node).Start); err != nil {
			return err
		}
		restartedAtS := s.nowS()
		s.fault.RestartedAtS = &restartedAtS
		return s.each(func(n *target.Node) error { return awaitReady(ctx, n) })
	}
	if err := s.each((*target.Node).Kill); err != nil {
		return nil, err
	}
	if s.plan.For == 0 {
		return nil, nil
	}
	return restart, nil
}

func awaitReady(ctx context.Context, node *target.Node) error {
	ctx, cancel := context.WithTimeout(ctx, restartReady)
	defer cancel()
	return node.WaitReady(ctx)
}

// pause stops the processes where they are.
func (s *step) pause(context.Context) (mend func(context.Context) error, err error) {
	resume := func(context.Context) error { return s.each((*target.Node).Resume) }
	return resume, s.each((*target.Node).Pause)
}

// roll restarts one node after another, as soon as the one before is ready. It is all
// done by what mends it, but no node is begun with when the run is being broken off.
func (s *step) roll(run context.Context) (mend func(context.Context) error, err error) {
	return func(ctx context.Context) error {
		for _, node := range s.Cluster.Nodes() {
			if run.Err() != nil {
				return nil
			}
			if err := s.restart(ctx, node); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// restart ends a node as an operator would and starts it again, once nothing else breaks it.
func (s *step) restart(ctx context.Context, node *target.Node) error {
	one := []*target.Node{node}
	waiting, cancel := context.WithTimeout(ctx, mendWait)
	defer cancel()
	for !s.claims.take(one, ofProcess) {
		if !sleep(waiting, pollInterval) {
			return fmt.Errorf("restart %s: another fault breaks it", node.ID)
		}
	}
	defer s.claims.drop(one, ofProcess)
	if err := errors.Join(node.Terminate(), node.Start()); err != nil {
		return err
	}
	s.hit(append(s.nodes, node))
	return awaitReady(ctx, node)
}
