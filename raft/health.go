package raft

import (
	"fmt"
	"time"

	hraft "github.com/hashicorp/raft"
)

const (
	healthEvery = 100 * time.Millisecond
	// refusingFactor × ElectionTimeout: a transfer that refuses entries for
	// longer is stuck.
	refusingFactor = 4
	// refusedFactor × ElectionTimeout: for so long after its disk did not take an
	// append a node leaves the leadership to others, if there are any. Not for ever:
	// where all disks were full, nobody would try again.
	refusedFactor = 10
)

// watchHealth makes a leader that cannot lead fall silent, so that its peers
// elect another. The library keeps sending heartbeats while an append to the
// disk hangs (hashicorp/raft 503), and can refuse every entry for ever after a
// transfer of leadership that was cut off (hashicorp/raft 696).
func (n *Node) watchHealth() {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	var told *refusedAppend
	for {
		select {
		case <-tick.C:
		case <-n.closing:
			return
		}
		told = n.tellOfRefused(told)
		leading := n.raft.State() == hraft.Leader
		n.probe(leading)
		ill := n.illness()
		switch silent := n.mux.silent.Load(); {
		case !silent && leading && ill != "" && n.hasVotersBeside(n.cfg.NodeID):
			n.logger.Error("this leader falls silent so that another is elected", "reason", ill)
			n.mux.isolate(true)
			n.batcher.failWaiting(ErrNotLeader)
			n.changed.broadcast()
		case silent && !leading && n.store.stalledFor() < n.cfg.SlowDisk:
			n.logger.Warn("this node takes part again, no longer as the leader")
			n.refused.Store(nil)
			n.mux.isolate(false)
		}
	}
}

// illness says why this node should not lead; empty when it may.
func (n *Node) illness() string {
	if n.store.stalledFor() >= n.cfg.SlowDisk {
		return "an append to the log hangs on the disk"
	}
	if r := n.refused.Load(); r != nil && time.Since(r.since) >= refusingFactor*n.cfg.ElectionTimeout {
		return "a transfer of leadership is stuck and refuses every entry"
	}
	return ""
}

// tellOfRefused tells when the disk begins to refuse appends, and when it takes them
// again. told is what it returned before.
func (n *Node) tellOfRefused(told *refusedAppend) *refusedAppend {
	refused := n.store.refused.Load()
	switch {
	case refused != nil && told == nil:
		n.logger.Error("the disk does not take the log: this node acknowledges nothing and does not ask for votes until it does; make space on it, or mend it", "error", refused.err)
	case refused == nil && told != nil:
		n.logger.Warn("the disk takes the log again")
	}
	return refused
}

// mayLead refuses to stand for election after the disk refused an append: an election
// won would only end with the next entry.
func (n *Node) mayLead() error {
	if r := n.store.refused.Load(); r != nil && time.Since(r.at) < refusedFactor*n.cfg.ElectionTimeout {
		return fmt.Errorf("this node does not stand for election, its disk does not take the log: %w", r.err)
	}
	return nil
}

// refusal is the first entry refused because of a transfer of leadership.
type refusal struct {
	since   time.Time
	applied uint64 // index shown then; a later one means that entries are taken again
}

// probe finds out whether a transfer that refused an entry is over.
func (n *Node) probe(leading bool) {
	r := n.refused.Load()
	switch {
	case r == nil:
	case !leading || n.AppliedIndex() > r.applied:
		n.refused.CompareAndSwap(r, nil)
	default:
		n.mark()
	}
}

func (n *Node) hasVotersBeside(id string) bool {
	for _, s := range n.servers() {
		if s.Suffrage == hraft.Voter && string(s.ID) != id {
			return true
		}
	}
	return false
}
