package raft

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	hraft "github.com/hashicorp/raft"
)

var (
	// keyVoteFrom holds the commit index a node has to reach before it votes.
	keyVoteFrom = []byte("PlayheadVoteFrom")
	// keyFounded holds 1 on a node whose log began with founding a cluster.
	keyFounded = []byte("PlayheadFounded")
)

// voteUnknown: no leader has told yet where the cluster's log ends.
const voteUnknown = math.MaxUint64

// voteGuard keeps a node that began with an empty disk from voting, and from
// standing for election, before it holds everything that was committed when a
// leader first spoke to it. Without it a wiped node could, under its old name,
// vote away entries it had once acknowledged.
type voteGuard struct {
	stable      hraft.StableStore
	commitIndex func() uint64

	mu      sync.Mutex
	from    uint64 // 0: may vote
	founded bool   // this disk's log began with founding a cluster
}

func openVoteGuard(stable hraft.StableStore, hasState bool) (*voteGuard, error) {
	g := &voteGuard{stable: stable}
	if !hasState {
		return g, g.lower(voteUnknown)
	}
	from, err := stable.GetUint64(keyVoteFrom)
	if err != nil {
		return nil, fmt.Errorf("read whether this node may vote: %w", err)
	}
	founded, err := stable.GetUint64(keyFounded)
	if err != nil {
		return nil, fmt.Errorf("read whether this node founded a cluster: %w", err)
	}
	g.from, g.founded = from, founded != 0
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

// lift lets a founding node vote. It returns what lower takes to undo that.
func (g *voteGuard) lift() (before uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before = g.from
	if err := g.setFounded(true); err != nil {
		return before, err
	}
	return before, g.set(0)
}

// lower guards a node that has not founded a cluster.
func (g *voteGuard) lower(from uint64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.set(from), g.setFounded(false))
}

func (g *voteGuard) setFounded(founded bool) error {
	var value uint64
	if founded {
		value = 1
	}
	if err := g.stable.SetUint64(keyFounded, value); err != nil {
		return fmt.Errorf("write whether this node founded a cluster: %w", err)
	}
	g.founded = founded
	return nil
}

func (g *voteGuard) hasFounded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.founded
}

// heard notes the leader's commit index.
func (g *voteGuard) heard(commitIndex uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.from == voteUnknown && commitIndex > 0:
		_ = g.set(commitIndex) // a failure leaves the stricter rule
	case g.caughtUp():
		// On disk before the next election: after a restart of all nodes nobody
		// could tell how far the log is committed, and so nobody would vote.
		_ = g.set(0)
	}
}

// caughtUp reports that a guarded node need be guarded no longer; with the lock.
func (g *voteGuard) caughtUp() bool {
	return g.from != 0 && g.from != voteUnknown && g.commitIndex() >= g.from
}

func (g *voteGuard) mayVote() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.from == 0 || g.caughtUp() && g.set(0) == nil
}

var errMayNotVote = errors.New("this node began with an empty disk and has not caught up yet: it does not take part in elections")

// transport is hashicorp/raft's with the guards before it.
type transport struct {
	*hraft.NetworkTransport
	guard   *voteGuard
	founder *founderGuard
	mayLead func() error
	cut     func() // closes the connections of the raft port
	rpcs    chan hraft.RPC

	heartbeats sync.RWMutex // held while one is handled
	ended      bool
}

func newTransport(inner *hraft.NetworkTransport, guard *voteGuard, founder *founderGuard, mayLead func() error, cut func(), closing <-chan struct{}) *transport {
	t := &transport{NetworkTransport: inner, guard: guard, founder: founder, mayLead: mayLead, cut: cut, rpcs: make(chan hraft.RPC)}
	go t.filter(closing)
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
		if t.founder.refused(rpc) {
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

func (t *transport) filter(closing <-chan struct{}) {
	for {
		select {
		case rpc := <-t.NetworkTransport.Consumer():
			if t.founder.refused(rpc) || t.refused(rpc) {
				continue
			}
			if _, ok := rpc.Command.(*hraft.InstallSnapshotRequest); ok {
				rpc.Reader = impatientReader{rpc.Reader, t.cut}
			}
			select {
			case t.rpcs <- rpc:
			case <-closing:
				rpc.Respond(nil, ErrClosed)
				return
			}
		case <-closing:
			return
		}
	}
}

// sentWithin is how long a leader that sends a snapshot may send nothing of it.
const sentWithin = 10 * time.Second

// impatientReader reads a snapshot that a leader sends, and cuts the connections, this one
// among them, when nothing comes of it. The library reads it in the goroutine that also
// votes: with the leader frozen, the others would never have another.
type impatientReader struct {
	io.Reader
	cut func()
}

func (r impatientReader) Read(p []byte) (int, error) {
	impatience := time.AfterFunc(sentWithin, r.cut)
	defer impatience.Stop()
	return r.Reader.Read(p)
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

func (t *transport) mayStand() error {
	if !t.guard.mayVote() {
		return errMayNotVote
	}
	return t.mayLead()
}

// RequestVote implements hraft.Transport.
func (t *transport) RequestVote(id hraft.ServerID, to hraft.ServerAddress, request *hraft.RequestVoteRequest, answer *hraft.RequestVoteResponse) error {
	if err := t.mayStand(); err != nil {
		return err
	}
	return t.NetworkTransport.RequestVote(id, to, request, answer)
}

// RequestPreVote implements hraft.WithPreVote.
func (t *transport) RequestPreVote(id hraft.ServerID, to hraft.ServerAddress, request *hraft.RequestPreVoteRequest, answer *hraft.RequestPreVoteResponse) error {
	if err := t.mayStand(); err != nil {
		return err
	}
	return t.NetworkTransport.RequestPreVote(id, to, request, answer)
}
