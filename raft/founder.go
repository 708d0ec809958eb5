package raft

import (
	"errors"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
)

// strangerEvery is the least time between two lines about refused strangers.
const strangerEvery = time.Minute

var errOwnCluster = errors.New("this node founded a cluster of its own, in which the sender is not a member: remove the data directory of the one that is in the wrong place and start it with --bootstrap-expect 0")

// founderGuard keeps a cluster of one apart from every other cluster. A node
// that founded a cluster alone, lost its disk after the cluster had grown, and
// was started again with the same flags founds a second one; to its peers it
// is still the member of that name. Were it to listen to their leader, its log
// would be cut below what it has applied, and its state would be of neither.
type founderGuard struct {
	self    hraft.ServerID
	logger  *slog.Logger
	founded func() bool           // whether our log began with founding a cluster
	members func() []hraft.Server // the latest configuration
	told    atomic.Int64          // Unix nanoseconds of the last line
}

// refused answers a request of a node that we have not added.
func (g *founderGuard) refused(rpc hraft.RPC) bool {
	request, ok := rpc.Command.(hraft.WithRPCHeader)
	if !ok || !g.alone() {
		return false
	}
	sender := request.GetRPCHeader()
	if hraft.ServerID(sender.ID) == g.self {
		return false
	}
	g.tell(sender)
	if rpc.Reader == nil {
		rpc.Respond(nil, errOwnCluster)
		return true
	}
	// A snapshot: what follows on the connection has to be read first. It ends
	// with the connection.
	go func() {
		_, _ = io.Copy(io.Discard, rpc.Reader)
		rpc.Respond(nil, errOwnCluster)
	}()
	return true
}

// alone: without the founder's note a node that is catching up with the log of
// the cluster it once founded would pass through the same configuration.
func (g *founderGuard) alone() bool {
	members := g.members()
	return len(members) == 1 && members[0].ID == g.self && g.founded()
}

func (g *founderGuard) tell(sender hraft.RPCHeader) {
	now, last := time.Now().UnixNano(), g.told.Load()
	if now-last < int64(strangerEvery) || !g.told.CompareAndSwap(last, now) {
		return
	}
	g.logger.Error("another cluster counts this node as a member, but it founded a cluster of its own: if its disk was lost, stop it, remove the data directory, start with --bootstrap-expect 0",
		"sender_id", string(sender.ID), "sender_address", string(sender.Addr))
}
