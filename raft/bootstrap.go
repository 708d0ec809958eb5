package raft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	hraft "github.com/hashicorp/raft"
)

// discoverEvery is the pause between two rounds of asking the founding nodes.
const discoverEvery = 200 * time.Millisecond

// foundedIndex is the last index of a log that holds nothing but the founding
// configuration; a greater one belongs to a cluster that has had a leader.
const foundedIndex = 1

var (
	errNotYet   = errors.New("not every founding node has answered yet")
	errRunsElse = errors.New("a node of join belongs to a cluster already")
)

// bootstrapped reports whether this node has any log, term or snapshot.
func (n *Node) bootstrapped() bool { return n.raft.LastIndex() > 0 || n.raft.CurrentTerm() > 0 }

// hello is what this node says of itself.
func (n *Node) hello() helloAnswer {
	_, leaderID := n.raft.LeaderWithID()
	return helloAnswer{
		NodeID: n.cfg.NodeID, ClusterID: n.machine.clusterID().String(), RaftAddress: n.cfg.RaftAddress, HTTPAddress: n.cfg.HTTPAddress,
		Bootstrapped: n.bootstrapped(), LastIndex: n.raft.LastIndex(),
		Role: n.role(), LeaderID: string(leaderID),
		Snapshot: n.turn.Load() || len(n.taking) > 0 || n.WritesSnapshot(),
	}
}

func (n *Node) role() string {
	switch state := n.raft.State(); {
	case n.leads() != 0:
		return "leader"
	case state == hraft.Candidate:
		return "candidate"
	default: // a leader that has fallen silent included
		return "follower"
	}
}

// discover asks the nodes of join until all of them can found the cluster
// together, or one of them turns out to belong to a cluster.
func (n *Node) discover() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(discoverEvery)
	defer tick.Stop()
	told := time.Now()
	for {
		answers, silence := n.askFounders(ctx)
		founders, err := foundingNodes(answers)
		switch {
		case n.raft.LastIndex() > 0: // a leader found us first
			return
		case errors.Is(err, errNotYet):
			if time.Since(told) > repeatEvery {
				n.logger.Warn("not founding a cluster yet: waiting for all nodes of join to answer", "reason", silence)
				told = time.Now()
			}
		case err == nil:
			if err := n.found(founders); err != nil {
				n.logger.Error("founding the cluster failed", "error", err)
			}
			return
		default:
			n.logger.Warn("not founding a cluster: waiting for the leader to contact this node, or to be added", "reason", err)
			if errors.Is(err, errRunsElse) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-n.closing:
			return
		}
	}
}

// askFounders asks every node of join but ourselves; nil where none answered, and
// why. It found at an address the node that has it: nobody names another's.
func (n *Node) askFounders(ctx context.Context) (answers []*helloAnswer, silence error) {
	own := n.hello()
	others := slices.DeleteFunc(slices.Clone(n.cfg.Join), func(a string) bool { return a == n.cfg.RaftAddress })
	fresh := newPeerBook(n.cfg)
	answers = fresh.askAll(ctx, others)
	var reasons []error
	for i, answer := range answers {
		if answer == nil {
			known, _ := fresh.look(others[i])
			reasons = append(reasons, known.err)
		} else if answer.RaftAddress != others[i] {
			reasons = append(reasons, fmt.Errorf("%s answers at %s and says that it is at %s", answer.NodeID, others[i], answer.RaftAddress))
			answers[i] = nil
		}
	}
	return append(answers, &own), errors.Join(reasons...)
}

// foundingNodes decides from the answers of all nodes of join. Every node that
// decides to found gets the same nodes in the same order.
func foundingNodes(answers []*helloAnswer) ([]helloAnswer, error) {
	var founders []helloAnswer
	missing := false
	for _, a := range answers {
		if a == nil {
			missing = true
			continue
		}
		if a.LastIndex > foundedIndex || a.Bootstrapped && a.LastIndex == 0 {
			return nil, fmt.Errorf("%w: %s at %s", errRunsElse, a.NodeID, a.RaftAddress)
		}
		for _, b := range founders {
			if a.NodeID == b.NodeID || a.RaftAddress == b.RaftAddress {
				return nil, fmt.Errorf("join: %s at %s and %s at %s are not two nodes", a.NodeID, a.RaftAddress, b.NodeID, b.RaftAddress)
			}
		}
		founders = append(founders, *a)
	}
	if missing {
		return nil, errNotYet
	}
	slices.SortFunc(founders, func(a, b helloAnswer) int { return strings.Compare(a.NodeID, b.NodeID) })
	return founders, nil
}

// found writes the founding configuration. The founding nodes all write the
// same one, so that it does not matter which of them does so first.
func (n *Node) found(founders []helloAnswer) error {
	var configuration hraft.Configuration
	for _, f := range founders {
		configuration.Servers = append(configuration.Servers, hraft.Server{
			Suffrage: hraft.Voter, ID: hraft.ServerID(f.NodeID), Address: hraft.ServerAddress(f.RaftAddress),
		})
	}
	// First: a crash in between leaves an empty disk, which is guarded again.
	before, err := n.guard.lift()
	if err != nil {
		return err
	}
	err = n.raft.BootstrapCluster(configuration).Error()
	if errors.Is(err, hraft.ErrCantBootstrap) { // a leader found us first
		return n.guard.lower(before)
	}
	if err != nil {
		return fmt.Errorf("found the cluster: %w", err)
	}
	n.logger.Info("founded the cluster", "nodes", len(founders))
	return nil
}
