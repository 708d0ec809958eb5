package fault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/playhead-load/playhead/sim/target"
)

// What of a node two faults may not break at once.
const (
	ofProcess = "process"
	ofDisk    = "disk"
	ofClock   = "clock"
	ofFleet   = "fleet" // of no node
)

// claims are what is being broken, so that no fault mends what another broke.
type claims struct {
	mu    sync.Mutex
	taken map[claim]bool
}

type claim struct {
	node *target.Node
	what string
}

// free are the nodes of which it can be broken: a process that is down has no disk.
func (c *claims) free(nodes []*target.Node, what string) []*target.Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(nodes), func(n *target.Node) bool {
		return c.taken[claim{n, ofProcess}] || c.taken[claim{n, what}]
	})
}

// take claims it of all these nodes, or of none.
func (c *claims) take(nodes []*target.Node, what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == nil {
		c.taken = map[claim]bool{}
	}
	for _, n := range nodes {
		if c.taken[claim{n, ofProcess}] || c.taken[claim{n, what}] {
			return false
		}
	}
	for _, n := range nodes {
		c.taken[claim{n, what}] = true
	}
	return true
}

func (c *claims) drop(nodes []*target.Node, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range nodes {
		delete(c.taken, claim{n, what})
	}
}

// breaks is what the step breaks of its nodes; empty: others may break the same.
func (s *step) breaks() string {
	switch s.plan.Kind {
	case Kill, KillLeader, Pause, Membership: // a removed node that is restarted knows of no cluster to be added to
		return ofProcess
	case Disk:
		return ofDisk
	case Clock:
		return ofClock
	case Vanish:
		return ofFleet
	}
	return ""
}

// target is which nodes the step hits; empty: none, or each in turn.
func (s *step) target() string {
	switch {
	case s.plan.Kind == KillLeader, s.plan.Kind == TransferLeadership, s.plan.Shape == ShapeLeaderFromPeers:
		return Leader
	case s.plan.Shape == ShapeRing:
		return All
	}
	return s.plan.Target
}

// choose picks the nodes that are hit, and claims them. It waits for them for a while.
func (s *step) choose(ctx context.Context) error {
	if s.target() == "" && s.breaks() == "" {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, targetWait)
	defer cancel()
	for {
		nodes, err := s.pick(waiting)
		if err == nil && (s.breaks() == "" || s.claims.take(nodes, s.breaks())) {
			s.hit(nodes)
			return nil
		}
		if err == nil {
			err = errors.New("another fault breaks the same")
		}
		if !sleep(waiting, pollInterval) {
			return refused{err}
		}
	}
}

// hit notes which nodes are hit.
func (s *step) hit(nodes []*target.Node) {
	var ids []string
	for _, n := range nodes {
		if n != nil {
			ids = append(ids, n.ID)
		}
	}
	s.nodes, s.fault.Target = nodes, strings.Join(ids, " ")
}

// release lets others break the step's nodes.
func (s *step) release() {
	if what := s.breaks(); what != "" {
		s.claims.drop(s.nodes, what)
	}
}

// pick picks nodes that nothing else breaks. It fails while there are too few.
func (s *step) pick(ctx context.Context) ([]*target.Node, error) {
	all := s.Cluster.Nodes()
	free := s.claims.free(all, s.breaks())
	switch s.target() {
	case "": // the fleet
		return []*target.Node{nil}, nil
	case Leader, Follower:
		leader, err := s.Cluster.Leader(ctx)
		if err != nil {
			return nil, err
		}
		if s.target() == Leader {
			if !slices.Contains(free, leader) {
				return nil, fmt.Errorf("another fault breaks the leader, %s", leader.ID)
			}
			return []*target.Node{leader}, nil
		}
		return s.some(slices.DeleteFunc(free, func(n *target.Node) bool { return n == leader }), 1)
	case Random:
		return s.some(free, 1)
	case Minority:
		return s.some(free, (len(all)-1)/2)
	case Majority:
		return s.some(free, len(all)/2+1)
	case All:
		if s.breaks() == "" { // what is down now is hit when it is back
			return all, nil
		}
		return s.some(free, len(all))
	}
	return nil, fmt.Errorf("target %q: expected one of docs/scenario.md", s.target())
}

// some picks so many by the seed, in the order of their names.
func (s *step) some(of []*target.Node, count int) ([]*target.Node, error) {
	if len(of) < count {
		return nil, fmt.Errorf("%d nodes that nothing else breaks, expected %d", len(of), count)
	}
	s.random.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return slices.SortedFunc(slices.Values(of[:count]), func(a, b *target.Node) int { return strings.Compare(a.ID, b.ID) }), nil
}
