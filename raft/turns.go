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
)

// watchLog takes this node's snapshots: one each time that the log has grown by the
// threshold, and each node at another entry, so that none is at it with another as long as
// one takes no more than its share of the threshold. The library would have all of them take theirs within seconds.
func (n *Node) watchLog() {
	for !pause(turnEvery, n.closing) {
		place, nodes := n.place()
		if !isTurn(n.AppliedIndex(), n.snapshots.lastIndex(), n.cfg.SnapshotThreshold, place, nodes) {
			continue
		}
		err := n.TakeSnapshot(context.Background()) // until the node closes
		if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNothingToSnapshot) {
			n.logger.Warn("a snapshot was not taken, the log grows", "error", err, "next_try", snapshotTriedNext)
			pause(snapshotTriedNext, n.closing)
		}
	}
}

// place is this node's among the members, by their ids.
func (n *Node) place() (place, nodes int) {
	servers := n.servers()
	place = slices.IndexFunc(servers, func(s hraft.Server) bool { return string(s.ID) == n.cfg.NodeID })
	return max(place, 0), max(len(servers), 1)
}

// isTurn reports whether a node that has applied so many entries, and whose last snapshot
// is of an earlier one, is to take the next. It is where the entries pass a multiple of the
// threshold, shifted for each node by its place, unless the last one is less than half of
// the threshold ago.
func isTurn(applied, last, threshold uint64, place, nodes int) bool {
	shift := threshold / uint64(nodes) * uint64(place)
	return applied-min(last, applied) >= (threshold+1)/2 && (applied+shift)/threshold > (last+shift)/threshold
}
