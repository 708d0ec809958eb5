package raft

import (
	"time"

	hraft "github.com/hashicorp/raft"
)

const (
	healthEvery = 100 * time.Millisecond
	// refusingFactor × ElectionTimeout: a transfer that refuses entries for
	// longer is stuck.
	refusingFactor = 4
)

// watchHealth makes a leader that cannot lead fall silent, so that its peers
// elect another. The library keeps sending heartbeats while an append to the
// disk hangs (hashicorp/raft 503), and can refuse every entry for ever after a
// transfer of leadership that was cut off (hashicorp/raft 696).
func (n *Node) watchHealth() {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-n.closing:
			return
		}
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
