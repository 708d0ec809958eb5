package raft

import (
	"errors"
	"fmt"
	"math"
	"sync"

	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// keyVoteFrom holds the commit index a node has to reach before it votes.
var keyVoteFrom = []byte("PlayheadVoteFrom")

// voteUnknown: no leader has told yet where the cluster's log ends.
const voteUnknown = math.MaxUint64

// voteGuard keeps a node that began with an empty disk from voting, and from
// standing for election, before it holds everything that was committed when a
// leader first spoke to it. Without it a wiped node could, under its old name,
// vote away entries it had once acknowledged.
type voteGuard struct {
	stable      hraft.StableStore
	commitIndex func() uint64

	mu   sync.Mutex
	from uint64 // 0: may vote
}

func openVoteGuard(stable hraft.StableStore, hasState bool) (*voteGuard, error) {
	g := &voteGuard{stable: stable}
	if !hasState {
		return g, g.set(voteUnknown)
	}
	from, err := stable.GetUint64(keyVoteFrom)
	if err != nil && !errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, fmt.Errorf("read whether this node may vote: %w", err)
	}
	g.from = from
	return g, nil
}

// set writes to disk first; the lock is held or the guard not yet shared.
func (g *voteGuard) set(from uint64) error {
	if err := g.stable.SetUint64(keyVoteFrom, from); err != nil {
		return fmt.Errorf("write whether this node may vote: %w", err)
	}
	g.from = from
	return nil
}

// lift lets a founding node vote.
func (g *voteGuard) lift() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.set(0)
}

// heard notes the leader's commit index.
func (g *voteGuard) heard(commitIndex uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.from == voteUnknown && commitIndex > 0 {
		_ = g.set(commitIndex) // a failure leaves the stricter rule
	}
}

func (g *voteGuard) mayVote() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.from == 0 {
		return true
	}
	return g.from != voteUnknown && g.commitIndex() >= g.from && g.set(0) == nil
}

var errMayNotVote = errors.New("this node began with an empty disk and has not caught up yet: it does not take part in elections")

// transport is hashicorp/raft's with the guard before it.
type transport struct {
	*hraft.NetworkTransport
	guard *voteGuard
	rpcs  <-chan hraft.RPC

	heartbeats sync.RWMutex // held while one is handled
	ended      bool
}

// newTransport filters incoming requests only for a node that may not vote yet.
func newTransport(inner *hraft.NetworkTransport, guard *voteGuard, closing <-chan struct{}) *transport {
	t := &transport{NetworkTransport: inner, guard: guard, rpcs: inner.Consumer()}
	if guard.from != 0 {
		guarded := make(chan hraft.RPC)
		t.rpcs = guarded
		go t.filter(guarded, closing)
	}
	return t
}

// Consumer implements hraft.Transport.
func (t *transport) Consumer() <-chan hraft.RPC { return t.rpcs }

// SetHeartbeatHandler implements hraft.Transport. Heartbeats are handled in the
// goroutines of connections, which the library does not wait for when it shuts
// down, and may write to the disk.
func (t *transport) SetHeartbeatHandler(handle func(hraft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(func(rpc hraft.RPC) {
		t.heartbeats.RLock()
		defer t.heartbeats.RUnlock()
		if t.ended {
			rpc.Respond(nil, ErrClosed)
			return
		}
		handle(rpc)
	})
}

// end waits for heartbeats being handled and refuses later ones.
func (t *transport) end() {
	t.heartbeats.Lock()
	defer t.heartbeats.Unlock()
	t.ended = true
}

func (t *transport) filter(out chan<- hraft.RPC, closing <-chan struct{}) {
	for {
		select {
		case rpc := <-t.NetworkTransport.Consumer():
			if t.refused(rpc) {
				continue
			}
			select {
			case out <- rpc:
			case <-closing:
				rpc.Respond(nil, ErrClosed)
				return
			}
		case <-closing:
			return
		}
	}
}

func (t *transport) refused(rpc hraft.RPC) bool {
	switch request := rpc.Command.(type) {
	case *hraft.AppendEntriesRequest:
		t.guard.heard(request.LeaderCommitIndex)
		return false
	case *hraft.RequestVoteRequest, *hraft.RequestPreVoteRequest, *hraft.TimeoutNowRequest:
		if t.guard.mayVote() {
			return false
		}
		rpc.Respond(nil, errMayNotVote)
		return true
	}
	return false
}

// RequestVote implements hraft.Transport.
func (t *transport) RequestVote(id hraft.ServerID, to hraft.ServerAddress, request *hraft.RequestVoteRequest, answer *hraft.RequestVoteResponse) error {
	if !t.guard.mayVote() {
		return errMayNotVote
	}
	return t.NetworkTransport.RequestVote(id, to, request, answer)
}

// RequestPreVote implements hraft.WithPreVote.
func (t *transport) RequestPreVote(id hraft.ServerID, to hraft.ServerAddress, request *hraft.RequestPreVoteRequest, answer *hraft.RequestPreVoteResponse) error {
	if !t.guard.mayVote() {
		return errMayNotVote
	}
	return t.NetworkTransport.RequestPreVote(id, to, request, answer)
}
