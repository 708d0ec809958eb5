package raft

import (
	"context"
	"errors"
	"slices"
	"time"

	hraft "github.com/hashicorp/raft"
)

const (
	turnEvery         = time.Second      // between two looks whether it is a node's turn
	snapshotTriedNext = 30 * time.Second // after one that was not taken
	turnRestsAtMost   = 2 * time.Minute  // after one that was: the log must not grow for ever
	turnWaitsAtMost   = 5 * time.Minute  // for snapshots of the others, likewise
	turnAskWithin     = 2 * time.Second  // a node that is busy with one answers late
)

// watchLog takes this node's snapshots: one each time that the log has grown by the
// threshold, each node at another entry, and none while one is being written already, here
// or elsewhere, be it one that was asked for or that a leader sends. The library would have
// all nodes take theirs within seconds.
func (n *Node) watchLog() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { <-n.closing; cancel() }()
	var due time.Time // since when it is this node's turn; zero: it is not
	for !pause(turnEvery, n.closing) {
		place, nodes := n.place()
		if n.WritesSnapshot() || !isTurn(n.AppliedIndex(), n.snapshots.lastIndex(), n.cfg.SnapshotThreshold, place, nodes) {
			due = time.Time{}
			continue
		}
		first := due.IsZero()
		if first {
			due = time.Now()
		}
		n.turn.Store(true) // before it asks: of two at once at least one gives way, and maybe both
		if other := n.writingElsewhere(ctx); other != "" && time.Since(due) < turnWaitsAtMost {
			n.turn.Store(false)
			if first {
				n.logger.Info("a snapshot waits for another node's", "writing", other, "at_most", turnWaitsAtMost)
			}
			pause(turnEvery*time.Duration(place)/time.Duration(nodes), n.closing) // who gave way to each other ask at different times
			continue
		}
		due = time.Time{}
		begun := time.Now()
		err := n.TakeSnapshot(context.Background()) // until the node closes
		n.turn.Store(false)
		switch {
		case err == nil:
			pause(restAfter(time.Since(begun), nodes), n.closing)
		case !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNothingToSnapshot):
			n.logger.Warn("a snapshot was not taken, the log grows", "error", err, "next_try", snapshotTriedNext)
			pause(snapshotTriedNext, n.closing)
		}
	}
}

// writingElsewhere is the id of another node that says that it writes a snapshot, or is
// about to; empty: none that answers does.
func (n *Node) writingElsewhere(ctx context.Context) (nodeID string) {
	var addresses []string
	for _, s := range n.servers() {
		if string(s.ID) != n.cfg.NodeID {
			addresses = append(addresses, string(s.Address))
		}
	}
	for _, answer := range n.peers.askNow(ctx, turnAskWithin, addresses) {
		if answer != nil && answer.Snapshot {
			return answer.NodeID
		}
	}
	return ""
}

// restAfter is how long a node takes no snapshot of its own accord after one that took so
// long: the others' turns, and two minutes at most, since its log grows meanwhile. A node
// alone does not rest.
func restAfter(took time.Duration, nodes int) time.Duration {
	return min(took*time.Duration(nodes-1), turnRestsAtMost)
}

// place is this node's among the members, by their ids.
func (n *Node) place() (place, nodes int) {
	servers := n.servers()
	place = slices.IndexFunc(servers, func(s hraft.Server) bool { return string(s.ID) == n.cfg.NodeID })
	return max(place, 0), max(len(servers), 1)
}

// isTurn reports whether a node that has applied so many entries, and whose last snapshot
// is of an earlier one, is to take the next. It is where the entries pass a multiple of the
// threshold, shifted for each node by its place, unless the last one is less than a node's
// share of the threshold ago.
//
// In these turns no node waits for another's, as long as one takes no more than a node's
// share of the threshold.
func isTurn(applied, last, threshold uint64, place, nodes int) bool {
	share := max(threshold/uint64(nodes), 1)
	shift := share * uint64(place)
	return applied-min(last, applied) >= share && (applied+shift)/threshold > (last+shift)/threshold
}
