package raft

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	hraft "github.com/hashicorp/raft"
)

// How the library is run; measured, see the package's benchmark.
const (
	commitTimeout    = 20 * time.Millisecond // a follower learns of a commit at the latest
	maxAppendEntries = 64                    // entries in one request to a follower: 16 MiB of batches; of single larger commands up to 64 × MaxCommandBytes
	pooledConns      = 3                     // to each peer
	handOverPause    = 20 * time.Millisecond // between two tries to find a successor
	rpcTimeout       = 10 * time.Second
	transferWithin   = 2 * time.Second        // handing over leadership while closing
	drainWithin      = 200 * time.Millisecond // entries in flight, while closing without it
)

// Node is one member of the cluster. Its methods may be called at the same
// time from many goroutines.
type Node struct {
	cfg     Config
	logger  *slog.Logger
	store   *diskStore
	mux     *mux
	guard   *voteGuard
	trans   *transport
	raft    *hraft.Raft
	machine *machine
	batcher *batcher
	verify  verifier
	peers   *peerBook

	snapshots *snapshotStore
	turn      atomic.Bool   // it asks whether it may write one
	taking    chan struct{} // holds one value while it takes one

	changed       signal // role, leader or own term's first applied entry
	observed      chan hraft.Observation
	observer      *hraft.Observer
	leaderChanges atomic.Uint64
	refused       atomic.Pointer[refusal] // since a transfer of leadership refuses entries; nil: it does not
	clock         leaderClock             // only the batcher's goroutine

	closing    chan struct{} // closed first
	background sync.WaitGroup
	closeOnce  sync.Once
	closed     chan struct{} // closed last
	closeErr   error
}

// Open starts a node: it restores the state from disk if there is any, and
// returns before a leader is known. The state machine is the node's until
// Close has returned.
func Open(cfg Config, sm StateMachine) (*Node, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if under, err := readRecovery(cfg.DataDir); under != nil || err != nil {
		return nil, fmt.Errorf("data_dir: %s: %w", cfg.DataDir, cmp.Or(err, errBrokeOff))
	}
	mux, err := newMux(cfg.RaftAddress)
	if err != nil {
		return nil, fmt.Errorf("listen on raft_address: %w", err)
	}
	cfg.RaftAddress = mux.address
	if cfg.dial != nil {
		mux.dial = cfg.dial
	}
	closing := make(chan struct{})
	libraryLogger := newLibraryLogger(cfg.Logger.With("node_id", cfg.NodeID), closing)
	store, err := openDiskStore(cfg, libraryLogger)
	if err != nil {
		return nil, errors.Join(err, mux.Close())
	}
	n := &Node{
		cfg: cfg, mux: mux, store: store,
		logger:   cfg.Logger.With("node_id", cfg.NodeID),
		peers:    newPeerBook(cfg),
		observed: make(chan hraft.Observation, 1),
		taking:   make(chan struct{}, 1),
		closing:  closing,
		closed:   make(chan struct{}),
	}
	mux.identity, mux.logger, mux.detours = cfg.Identity, n.logger, cfg.DialThrough
	n.batcher = newBatcher(cfg.Batch, n.submit, n.stamp, n.fate)
	n.batcher.decided = cfg.OnEntry
	n.machine = &machine{sm: sm, wantsAnswers: n.batcher.wantsAnswers, newTerm: &n.changed, closing: n.closing}
	if err := n.startRaft(libraryLogger); err != nil {
		close(n.closing)
		return nil, errors.Join(err, mux.Close(), store.Close())
	}
	n.observer = hraft.NewObserver(n.observed, false, isLeadership)
	n.raft.RegisterObserver(n.observer)
	n.verify.ask = func() error { return n.raft.VerifyLeader().Error() }
	mux.serve(func(c net.Conn) { serveHello(c, n.hello) })
	n.batcher.start()
	n.background.Go(n.watchLeadership)
	n.background.Go(n.watchHealth)
	n.background.Go(n.watchLog)
	if err := n.begin(); err != nil {
		return nil, errors.Join(err, n.Close(context.Background()))
	}
	return n, nil
}

func isLeadership(o *hraft.Observation) bool {
	switch o.Data.(type) {
	case hraft.LeaderObservation, hraft.RaftState:
		return true
	}
	return false
}

// startRaft builds hashicorp/raft over our stores and port.
func (n *Node) startRaft(logger hclog.Logger) (err error) {
	n.store.applied, n.store.closing = n.machine.applied.Load, n.closing
	cache, err := hraft.NewLogCache(cachedEntries, n.store)
	if err != nil {
		return err
	}
	snapshots, err := openSnapshots(n.cfg.DataDir, n.store.promise, logger)
	if err != nil {
		return err
	}
	if err := errors.Join(n.checkPromise(snapshots), n.dropOvertaken(snapshots)); err != nil {
		return err
	}
	n.snapshots, snapshots.disk, snapshots.removal.stop = snapshots, n.cfg.Disk, n.closing
	hasState, err := hraft.HasExistingState(n.store, n.store, snapshots)
	if err != nil {
		return fmt.Errorf("look for existing state: %w", err)
	}
	if n.guard, err = openVoteGuard(n.store, hasState); err != nil {
		return err
	}
	network := hraft.NewNetworkTransportWithConfig(&hraft.NetworkTransportConfig{
		Stream: n.mux, MaxPool: pooledConns, Timeout: rpcTimeout, Logger: logger,
		// One at a time to each peer. With more a leader can wait for ever for an answer that
		// nobody reads any more, after a follower refused an append: that one gets heartbeats
		// and no entry until the leader ends, which then hangs (hashicorp/raft 612). It is not
		// slower: entries that wait travel together.
		MaxRPCsInFlight: 1,
	})
	defer func() {
		if err != nil {
			err = errors.Join(err, network.Close())
		}
	}()
	// Votes are asked for only after NewRaft has returned and set commitIndex.
	ready := make(chan struct{})
	n.guard.commitIndex = func() uint64 { <-ready; return n.raft.CommitIndex() }
	n.mux.memberAt = func(raftAddress string) string { <-ready; return n.memberAt(raftAddress) }
	founder := &founderGuard{
		self: hraft.ServerID(n.cfg.NodeID), logger: n.logger, founded: n.guard.hasFounded,
		members: func() []hraft.Server { <-ready; return n.raft.GetConfiguration().Configuration().Servers },
	}
	cut := func() {
		n.logger.Warn("a leader went silent while it sent its snapshot: the connections to the peers are cut", "after", sentWithin)
		n.mux.cut()
	}
	n.trans = newTransport(network, n.guard, founder, n.mayLead, cut, n.closing)
	if err := n.newRaft(logger, cache, snapshots); err != nil {
		return err
	}
	n.store.damaged.Store(&n.cfg.Damaged)
	n.snapshots.damaged.Store(&n.cfg.Damaged)
	close(ready)
	return nil
}

// newRaft restores the newest snapshot and reads every entry after it. The
// library panics when one of them is missing or damaged.
func (n *Node) newRaft(logger hclog.Logger, logs hraft.LogStore, snapshots *snapshotStore) (err error) {
	defer func() {
		switch unusable := snapshots.unusable(); {
		case err == nil || errors.Is(err, ErrDamaged):
		case unusable != nil: // no other snapshot, or none that the log follows on
			err = unusable
		case errors.Is(err, hraft.ErrLogNotFound):
			err = unusableFile(treeFile(n.cfg.DataDir, n.cfg.LogStore), errHole)
		default:
			err = fmt.Errorf("start from %s: %w", n.cfg.DataDir, err)
		}
	}()
	defer recovered(&err)
	n.raft, err = hraft.NewRaft(n.libraryConfig(logger), n.machine, logs, n.store, snapshots, n.trans)
	if err != nil {
		return err
	}
	// The library goes on with an older snapshot when it cannot restore the newest.
	if promised, _ := n.store.promise.get(); n.raft.LastIndex() < promised {
		short := unusableFile(snapshots.dir, fmt.Errorf("%w: at entry %d, expected %d", errShort, n.raft.LastIndex(), promised))
		err = errors.Join(cmp.Or(snapshots.unusable(), short), n.raft.Shutdown().Error())
	}
	return err
}

var (
	errHole  = errors.New("the log has a hole, or does not follow on the newest snapshot")
	errNoEnd = errors.New("the log's last entry is not there")
	errShort = errors.New("the log ends before what this node has acknowledged")
)

// checkPromise refuses a log whose last entry cannot be read, or that ends before
// the last entry it promised, unless the newest snapshot reaches as far.
func (n *Node) checkPromise(snapshots *snapshotStore) error {
	promised, _ := n.store.promise.get()
	last, err := n.store.LastIndex()
	if err != nil {
		return unusableFile(n.store.file(promised), err)
	}
	var entry hraft.Log
	if last > 0 {
		err = n.store.GetLog(last, &entry)
	}
	switch {
	case errors.Is(err, hraft.ErrLogNotFound):
		return unusableFile(treeFile(n.cfg.DataDir, n.cfg.LogStore), fmt.Errorf("%w: %d", errNoEnd, last))
	case err != nil:
		return err
	case last >= promised:
		return nil
	}
	known, err := snapshots.List()
	if err != nil {
		return fmt.Errorf("list the snapshots: %w", err)
	}
	if len(known) > 0 && known[0].Index >= promised {
		if _, state, err := snapshots.Open(known[0].ID); err == nil {
			return state.Close()
		}
	}
	if err := snapshots.unusable(); err != nil {
		return err
	}
	return unusableFile(n.store.file(promised), fmt.Errorf("%w: at entry %d, expected %d or a snapshot of it in %s", errShort, last, promised, snapshots.dir))
}

// dropOvertaken deletes a log that ends before the newest snapshot, where it can have no
// gap: a leader sent that one, and the node was killed before the old log was gone. It
// would take no entry after the snapshot.
func (n *Node) dropOvertaken(snapshots *snapshotStore) error {
	first, _ := n.store.FirstIndex()
	last, err := n.store.LastIndex()
	if err != nil || last == 0 || last >= snapshots.lastIndex() || !n.store.IsMonotonic() {
		return err
	}
	if _, state, err := snapshots.Open(snapshots.newest.Load().id); err == nil {
		return errors.Join(state.Close(), n.store.DeleteRange(first, last))
	}
	return nil // it is damaged, and the log is needed: newRaft tells
}

func (n *Node) libraryConfig(logger hclog.Logger) *hraft.Config {
	c := hraft.DefaultConfig()
	c.LocalID = hraft.ServerID(n.cfg.NodeID)
	c.HeartbeatTimeout = n.cfg.HeartbeatTimeout
	c.ElectionTimeout = n.cfg.ElectionTimeout
	c.LeaderLeaseTimeout = n.cfg.LeaderLease
	c.CommitTimeout = commitTimeout
	c.MaxAppendEntries = maxAppendEntries
	c.BatchApplyCh = true
	c.ShutdownOnRemove = false
	c.SnapshotThreshold, c.SnapshotInterval = math.MaxUint64, math.MaxInt64/4 // never: see watchLog
	c.TrailingLogs = n.cfg.TrailingLogs
	c.NoLegacyTelemetry = true
	c.Logger = logger
	return c
}

// begin founds a cluster of one, or looks for the others in the background.
func (n *Node) begin() error {
	if n.bootstrapped() {
		return nil
	}
	switch n.cfg.BootstrapExpect {
	case 0:
		n.logger.Info("waiting to be added to a cluster", "raft_address", n.cfg.RaftAddress)
	case 1:
		return n.found([]helloAnswer{n.hello()})
	default:
		n.background.Go(n.discover)
	}
	return nil
}

// watchLeadership answers what a lost leadership leaves behind and writes the
// mark of a new one.
func (n *Node) watchLeadership() {
	var leaderID hraft.ServerID
	var led uint64 // the term we lead, 0: none
	retry := time.NewTicker(n.cfg.HeartbeatTimeout)
	defer retry.Stop()
	for {
		select {
		case <-n.observed:
		case <-retry.C: // a mark that was refused, or an observation that was missed
			_, id := n.raft.LeaderWithID()
			if id == leaderID && n.leads() == led && (led == 0 || n.ledTermApplied()) {
				continue
			}
		case <-n.closing:
			return
		}
		if _, id := n.raft.LeaderWithID(); id != leaderID {
			leaderID = id
			n.peers.forget()
			if id != "" {
				n.leaderChanges.Add(1)
				n.logger.Info("leader changed", "leader_id", string(id), "term", n.raft.CurrentTerm())
			}
		}
		was := led
		if led = n.leads(); was != 0 && led != was {
			n.batcher.failWaiting(ErrNotLeader)
		}
		if led != 0 && !n.ledTermApplied() {
			n.mark()
		}
		n.changed.broadcast()
	}
}

// leads is the term this node leads, as far as it knows; 0 when it does not.
func (n *Node) leads() uint64 {
	if n.mux.silent.Load() || n.raft.State() != hraft.Leader {
		return 0
	}
	return n.raft.CurrentTerm()
}

// ledTermApplied reports whether an entry of the current term was applied
// here: then, if we lead, everything committed in earlier terms was too.
func (n *Node) ledTermApplied() bool { return n.machine.appliedTerm.Load() == n.raft.CurrentTerm() }

// IsLeader reports whether this node believes that it leads.
func (n *Node) IsLeader() bool { return n.leads() != 0 }

// LeaderChanges counts the leaders this node has heard of, for metrics.
func (n *Node) LeaderChanges() uint64 { return n.leaderChanges.Load() }

// Close hands leadership over (within two seconds, or ctx if that is sooner; a
// ctx that has ended skips it), then shuts the node down. It returns when the
// disk is released, or with ErrBusy and ctx's error when that ends while the node
// still shuts down. It may be called again.
func (n *Node) Close(ctx context.Context) error {
	n.closeOnce.Do(func() {
		n.batcher.close()
		n.handOver(ctx)
		close(n.closing)
		go n.shutDown()
	})
	// An ended ctx asks for haste, not for a node that is left half closed.
	limit := time.NewTimer(rpcTimeout)
	defer limit.Stop()
	select {
	case <-n.closed:
		return n.closeErr
	case <-limit.C:
	}
	select {
	case <-n.closed:
		return n.closeErr
	case <-ctx.Done():
		return fmt.Errorf("close: %w: %w", ErrBusy, ctx.Err())
	}
}

// handOver lets entries in flight finish and gives the leadership to a peer.
func (n *Node) handOver(ctx context.Context) {
	if ctx.Err() != nil || !n.IsLeader() {
		// The library never answers an entry that it had not looked at when it
		// was shut down: give the healthy case its few milliseconds.
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
		defer cancel()
		_ = n.batcher.drain(drain)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	if n.batcher.drain(ctx) != nil {
		return
	}
	if !n.hasVotersBeside(n.cfg.NodeID) {
		return
	}
	err := n.TransferLeadership(ctx, "")
	for errors.Is(err, ErrMemberRefused) && ctx.Err() == nil { // no voter answers in time: a busy one may yet
		time.Sleep(handOverPause)
		err = n.TransferLeadership(ctx, "")
	}
	if err != nil {
		n.logger.Warn("leadership was not handed over before closing", "error", err)
		return
	}
	n.logger.Info("leadership was handed over before closing", "term", n.raft.CurrentTerm())
}

func (n *Node) shutDown() {
	stopped := n.raft.Shutdown()
	muxErr := n.mux.Close() // cuts requests under way, which the library would wait for
	err := stopped.Error()
	n.trans.end()
	n.background.Wait()
	n.snapshots.removal.under.Wait()
	n.batcher.abandon()
	n.closeErr = errors.Join(err, muxErr, n.store.Close())
	close(n.closed)
}
