package raft

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hashicorp/go-hclog"
	hraft "github.com/hashicorp/raft"
)

// Recovered is what [Recover] made of a data directory.
type Recovered struct {
	Index   uint64 // of the last entry that it held: the new cluster goes on after it
	Before  string // id of the cluster that the node was of
	Cluster string // id of the new one
}

// CanRecover says why there is nothing for [Recover] in a data directory.
func CanRecover(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if _, err := os.Stat(treeFile(cfg.DataDir, cfg.LogStore)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data_dir: %s holds no node that keeps its log in %s", cfg.DataDir, cmp.Or(cfg.LogStore, LogStoreBoltDB))
	}
	return nil
}

// Recover makes the node of a data directory the only member of a new cluster, after
// the majority of its own is gone for good. The new one begins with all that this disk
// holds, also what was never committed, and without what only the others had. It has an
// id of its own, so that a node with data of the old one is not taken in again.
//
// No process may use the directory. What fails, or breaks off, can be done again.
func Recover(cfg Config, sm StateMachine) (done Recovered, err error) {
	if err := CanRecover(cfg); err != nil {
		return done, err
	}
	cfg = cfg.withDefaults()
	closing := make(chan struct{})
	defer close(closing)
	logger := newLibraryLogger(cfg.Logger.With("node_id", cfg.NodeID), closing)
	store, err := openDiskStore(cfg, logger)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	n := &Node{cfg: cfg, store: store}
	snapshots, err := openSnapshots(cfg.DataDir, store.promise, logger)
	if err != nil {
		return done, err
	}
	if err := n.checkPromise(snapshots); err != nil {
		return done, err
	}
	if done.Index, err = store.LastIndex(); err != nil {
		return done, err
	}
	done.Index = max(done.Index, snapshots.lastIndex())
	state := &recovering{machine: &machine{
		sm: sm, wantsAnswers: func() bool { return false }, newTerm: new(signal), closing: closing,
	}}
	_, _ = rand.Read(state.id[:]) // never fails
	store.applied = state.applied.Load
	if err := n.recover(logger, snapshots, state); err != nil {
		return done, err
	}
	done.Before, done.Cluster = state.clusterID().String(), state.id.String()
	return done, nil
}

// recover writes a snapshot of everything, with this node as the only member, and ends
// the log before it. The node then votes, and knows that its log began on this disk.
func (n *Node) recover(logger hclog.Logger, snapshots *snapshotStore, state *recovering) (err error) {
	defer recovered(&err) // Apply panics over what it cannot read
	self := hraft.Server{Suffrage: hraft.Voter, ID: hraft.ServerID(n.cfg.NodeID), Address: hraft.ServerAddress(n.cfg.RaftAddress)}
	_, nobody := hraft.NewInmemTransport(self.Address) // the library only names addresses with it
	members := hraft.Configuration{Servers: []hraft.Server{self}}
	err = hraft.RecoverCluster(n.libraryConfig(logger), state, n.store, n.store, snapshots, nobody, members)
	if refused := snapshots.refused.Load(); err != nil && refused != nil {
		err = *refused
	}
	if err != nil {
		return fmt.Errorf("recover %s: %w", n.cfg.DataDir, err)
	}
	guard, err := openVoteGuard(n.store, true)
	if err != nil {
		return err
	}
	_, err = guard.lift()
	return err
}

// recovering is a machine whose snapshot is of a new cluster.
type recovering struct {
	*machine
	id clusterID
}

// Snapshot implements hraft.FSM.
func (r *recovering) Snapshot() (hraft.FSMSnapshot, error) {
	captured, err := r.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	captured.(*snapshot).at.Cluster = r.id
	return captured, nil
}
