package fault

import (
	"context"
	"fmt"
	"slices"

	"github.com/playhead-load/playhead/sim/target"
	"github.com/playhead-load/playhead/sim/target/wire"
)

var severed = wire.Conditions{Cut: true}

// lifts are what ends conditions that were imposed.
type lifts []func()

func (l lifts) all(context.Context) error {
	for _, lift := range l {
		lift()
	}
	return nil
}

// partition cuts wires.
func (s *step) partition(context.Context) (mend func(context.Context) error, err error) {
	switch s.plan.Shape {
	case ShapeOne:
		return append(s.cutOff(s.nodes), s.Cluster.ImposeOnClients(s.nodes[0], severed)).all, nil
	case ShapeLeaderFromPeers:
		return s.cutOff(s.nodes).all, nil
	case ShapeMajority:
		return s.cutOff(s.minorityWith(s.nodes[0])).all, nil
	case ShapeRing:
		return s.ring().all, nil
	case ShapeOneWay:
		var cut lifts
		for _, other := range s.Cluster.Others(s.nodes...) {
			cut = append(cut, s.Cluster.Impose(s.nodes[0], other, severed))
		}
		return cut.all, nil
	case ShapeFlapping:
		return s.repeat(func(context.Context) (func(context.Context) error, error) { return s.cutOff(s.nodes).all, nil })
	}
	return nil, fmt.Errorf("shape %q: expected one of docs/scenario.md", s.plan.Shape)
}

// cutOff cuts some nodes off from the others, both ways.
func (s *step) cutOff(some []*target.Node) (cut lifts) {
	for _, one := range some {
		for _, other := range s.Cluster.Others(some...) {
			cut = append(cut, s.Cluster.Impose(one, other, severed), s.Cluster.Impose(other, one, severed))
		}
	}
	return cut
}

// minorityWith is a node, and as many others as leave a majority.
func (s *step) minorityWith(node *target.Node) []*target.Node {
	others := s.Cluster.Others(node)
	s.random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append(others[:len(others)/2-1], node)
}

// ring leaves each node its neighbours in a ring, on both sides as many as make a majority
// with it: no two see the same.
func (s *step) ring() (cut lifts) {
	nodes := slices.Clone(s.Cluster.Nodes())
	s.random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	count := len(nodes)
	near := (count/2 + 1) / 2 // on each side
	for i := range nodes {
		for away := near + 1; away < count-near; away++ {
			cut = append(cut, s.Cluster.Impose(nodes[i], nodes[(i+away)%count], severed))
		}
	}
	return cut
}

// network makes what is said between nodes, or between them and their clients, come late.
func (s *step) network(context.Context) (mend func(context.Context) error, err error) {
	conditions := wire.Conditions{
		Delay: s.plan.Delay, Jitter: s.plan.Jitter, Loss: s.plan.Loss,
		Duplicate: s.plan.Duplicate, Reorder: s.plan.Reorder, Bandwidth: s.plan.BandwidthKbps * 1000 / 8,
	}
	var imposed lifts
	for _, node := range s.nodes {
		if s.plan.Between == BetweenClients {
			imposed = append(imposed, s.Cluster.ImposeOnClients(node, conditions))
			continue
		}
		for _, other := range s.Cluster.Others(node) {
			imposed = append(imposed, s.Cluster.Impose(node, other, conditions))
			if !slices.Contains(s.nodes, other) { // else it does so itself
				imposed = append(imposed, s.Cluster.Impose(other, node, conditions))
			}
		}
	}
	return imposed.all, nil
}

// repeat breaks something and mends it again and again, half of each period broken, until
// it is mended for good.
func (s *step) repeat(once breakOnce) (mend func(context.Context) error, err error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	heal, err := once(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	go func() {
		for {
			over := !sleep(ctx, s.plan.Period/2)
			if err := heal(context.Background()); err != nil || over {
				ended <- err
				return
			}
			if !sleep(ctx, s.plan.Period/2) {
				ended <- nil
				return
			}
			if heal, err = once(ctx); err != nil {
				ended <- err
				return
			}
		}
	}()
	return func(context.Context) error {
		stop()
		return <-ended
	}, nil
}

// breakOnce breaks something and returns what mends it.
type breakOnce func(context.Context) (mend func(context.Context) error, err error)
