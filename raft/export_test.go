package raft

import "time"

// PretendAppending makes the log look as if an append had begun then; the zero
// time ends that.
func (n *Node) PretendAppending(since time.Time) {
	if since.IsZero() {
		n.store.appendingSince.Store(0)
		return
	}
	n.store.appendingSince.Store(since.UnixNano())
}

// LastLogIndexes tells the first and last index of the log on disk.
func (n *Node) LastLogIndexes() (first, last uint64) {
	first, _ = n.store.FirstIndex()
	last, _ = n.store.LastIndex()
	return first, last
}

// MayVote reports whether the node takes part in elections.
func (n *Node) MayVote() bool { return n.guard.mayVote() }

// RefusedStrangers reports whether another cluster's node was refused.
func (n *Node) RefusedStrangers() bool { return n.trans.founder.told.Load() != 0 }

// StopObserving makes the node miss every change of leadership from now on.
func (n *Node) StopObserving() { n.raft.DeregisterObserver(n.observer) }
