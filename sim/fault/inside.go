package fault

import (
	"context"
	"fmt"

	"github.com/playhead-load/playhead/sim/target"
)

// disk makes the nodes' disks slow, full or hang.
func (s *step) disk(ctx context.Context) (mend func(context.Context) error, err error) {
	command := "disk " + s.plan.Mode
	if s.plan.Delay > 0 {
		command += " " + s.plan.Delay.String()
	}
	return func(ctx context.Context) error { return s.tellNodes(ctx, "disk ok") }, s.tellNodes(ctx, command)
}

// clock sets the nodes' clocks wrong, for all the time or again and again.
func (s *step) clock(ctx context.Context) (mend func(context.Context) error, err error) {
	set := func(ctx context.Context) (func(context.Context) error, error) {
		right := func(ctx context.Context) error { return s.tellNodes(ctx, "clock 0s") }
		return right, s.tellNodes(ctx, fmt.Sprintf("clock %v", s.plan.Offset))
	}
	if s.plan.Mode == Strobe {
		return s.repeat(set)
	}
	return set(ctx)
}

// tellNodes tells the step's nodes what is broken of them from now on. One that another
// fault has stopped is told when it goes on; one that is down has nothing broken.
func (s *step) tellNodes(ctx context.Context, command string) error {
	ctx, cancel := context.WithTimeout(ctx, mendWait)
	defer cancel()
	return s.each(func(n *target.Node) error {
		for {
			err := n.Break(ctx, command)
			switch {
			case err == nil, !n.Running():
				return nil
			case !sleep(ctx, pollInterval):
				return err
			}
		}
	})
}
