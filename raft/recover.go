package raft

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	hraft "github.com/hashicorp/raft"
)

// Recovered is what [Recover] made of a data directory.
type Recovered struct {
	Index   uint64 `json:"index"`   // of the last entry that it held: the new cluster goes on after it
	Before  string `json:"before"`  // id of the cluster that the node was of
	Cluster string `json:"cluster"` // id of the new one
}

// recoveryFile is in a data directory while its recovery is under way. A node does not
// start over it: it might be of either cluster.
const recoveryFile = "recovery.json"

// recovery is what the file holds: written before the snapshot is.
type recovery struct {
	Recovered
	Snapshot string `json:"snapshot"` // its id: when that is complete, the rest is left to do
}

var errBrokeOff = errors.New("its recovery broke off: repeat playhead recover")

// readRecovery tells of a recovery under way; nil: there is none.
func readRecovery(dir string) (*recovery, error) {
	data, err := os.ReadFile(filepath.Join(dir, recoveryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := new(recovery)
	if err == nil {
		err = json.Unmarshal(data, r)
	}
	if err != nil {
		return nil, fmt.Errorf("read of a recovery that broke off: %w", err)
	}
	return r, nil
}

// write puts it on the disk.
func (r *recovery) write(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, recoveryFile)
	file, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(path+".tmp", path), syncDir(dir))
}

// Remains is what the disk of a node that is down holds.
type Remains struct {
	Index, Term uint64 // of its last entry
	Members     []Peer // of its cluster, by the newest configuration that it has, committed or not
}

// Inspect looks at what [Recover] would begin with. No process may use the directory.
func Inspect(cfg Config) (r Remains, err error) {
	cfg = cfg.withDefaults()
	n, end, err := openRemains(cfg)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	return n.remains()
}

// openRemains opens a data directory, and nothing else of a node.
func openRemains(cfg Config) (n *Node, end func() error, err error) {
	if err := cfg.validateDisk(); err != nil {
		return nil, nil, err
	}
	if _, err := os.Stat(treeFile(cfg.DataDir, cfg.LogStore)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("data_dir: %s holds no node that keeps its log in %s", cfg.DataDir, cfg.LogStore)
	}
	closing := make(chan struct{})
	logger := newLibraryLogger(cfg.Logger.With("node_id", cfg.NodeID), closing)
	store, err := openDiskStore(cfg, logger)
	if err != nil {
		return nil, nil, err
	}
	end = func() error { close(closing); return store.Close() }
	n = &Node{cfg: cfg, store: store, closing: closing}
	if n.snapshots, err = openSnapshots(cfg.DataDir, store.promise, logger); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return n, end, nil
}

func (n *Node) remains() (r Remains, err error) {
	var members hraft.Configuration
	known, err := n.snapshots.List()
	if err != nil {
		return r, fmt.Errorf("list the snapshots: %w", err)
	}
	if len(known) > 0 {
		r.Index, r.Term, members = known[0].Index, known[0].Term, known[0].Configuration
	}
	first, err := n.store.FirstIndex()
	if err != nil {
		return r, err
	}
	last, err := n.store.LastIndex()
	if err != nil {
		return r, err
	}
	for index := max(first, 1); index <= last; index++ {
		var entry hraft.Log
		if err := n.store.GetLog(index, &entry); err != nil {
			return r, err
		}
		if entry.Type == hraft.LogConfiguration && index > r.Index {
			members = hraft.DecodeConfiguration(entry.Data)
		}
		if index == last && last > r.Index {
			r.Index, r.Term = entry.Index, entry.Term
		}
	}
	for _, m := range members.Servers {
		r.Members = append(r.Members, Peer{string(m.ID), string(m.Address)})
	}
	return r, nil
}

// Recover makes the node of a data directory the only member of a new cluster, after
// the majority of its own is gone for good. The new one begins with all that this disk
// holds, also what was never committed, and without what only the others had. It has an
// id of its own, so that a node with data of the old one is not taken in again.
//
// Without cfg.RaftAddress the node keeps the address that its cluster knew.
//
// finish is called when all of that is on the disk: what else lies in the directory can
// be made the new cluster's. No process may use the directory. What fails, or breaks
// off, is to be done again, and then goes on where it was; finish may be called twice.
func Recover(cfg Config, sm StateMachine, finish func(Recovered) error) (done Recovered, err error) {
	cfg = cfg.withDefaults()
	n, end, err := openRemains(cfg)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, end()) }()
	under, err := readRecovery(cfg.DataDir)
	if err != nil {
		return done, err
	}
	if under == nil || !n.snapshots.has(under.Snapshot) {
		if under, err = n.recoverState(sm); err != nil {
			return done, fmt.Errorf("recover %s: %w", cfg.DataDir, err)
		}
	}
	if err := n.endRecovery(under); err != nil {
		return done, fmt.Errorf("recover %s: %w", cfg.DataDir, err)
	}
	if err := finish(under.Recovered); err != nil {
		return done, err
	}
	err = errors.Join(syncDir(cfg.DataDir), os.Remove(filepath.Join(cfg.DataDir, recoveryFile)), syncDir(cfg.DataDir))
	return under.Recovered, err
}

// recoverState writes a snapshot of everything, with this node as the only member.
func (n *Node) recoverState(sm StateMachine) (under *recovery, err error) {
	defer recovered(&err) // Apply panics over what it cannot read
	left, err := n.remains()
	if err != nil {
		return nil, err
	}
	if len(left.Members) == 1 && left.Members[0].NodeID == n.cfg.NodeID {
		return nil, errors.New("the node is the only member of its cluster already: start it")
	}
	self := hraft.Server{Suffrage: hraft.Voter, ID: hraft.ServerID(n.cfg.NodeID), Address: hraft.ServerAddress(n.cfg.RaftAddress)}
	for _, m := range left.Members {
		if m.NodeID == n.cfg.NodeID && self.Address == "" {
			self.Address = hraft.ServerAddress(m.RaftAddress)
		}
	}
	if self.Address == "" {
		return nil, errors.New("raft_address: none is known of this node, expected to be told")
	}
	if err := n.checkPromise(n.snapshots); err != nil {
		return nil, err
	}
	state := &recovering{dir: n.cfg.DataDir, snapshotStore: n.snapshots, machine: &machine{
		sm: sm, wantsAnswers: func() bool { return false }, newTerm: new(signal), closing: n.closing,
	}}
	_, _ = rand.Read(state.id[:]) // never fails
	n.store.applied = state.applied.Load
	_, nobody := hraft.NewInmemTransport(self.Address) // the library only names addresses with it
	members := hraft.Configuration{Servers: []hraft.Server{self}}
	err = hraft.RecoverCluster(n.libraryConfig(newLibraryLogger(n.cfg.Logger.With("node_id", n.cfg.NodeID), n.closing)), state, n.store, n.store, state, nobody, members)
	if unusable := n.snapshots.unusable(); err != nil && unusable != nil {
		err = fmt.Errorf("%w (%w)", unusable, err)
	}
	return &state.recovery, err
}

// endRecovery makes the snapshot the only beginning: the log ends before it, no other
// passes for newer, and the node votes and knows that its log began on this disk.
func (n *Node) endRecovery(under *recovery) error {
	first, err := n.store.FirstIndex()
	if err != nil {
		return err
	}
	last, err := n.store.LastIndex()
	if err != nil {
		return err
	}
	n.store.applied = func() uint64 { return under.Index }
	if last > 0 {
		if err := n.store.DeleteRange(first, last); err != nil {
			return fmt.Errorf("end the old log: %w", err)
		}
	}
	known, err := n.snapshots.List()
	if err != nil {
		return err
	}
	for _, older := range known { // of the same entry, taken under a clock that was ahead
		if older.ID == under.Snapshot {
			break
		}
		if err := os.RemoveAll(filepath.Join(n.snapshots.dir, older.ID)); err != nil {
			return err
		}
	}
	guard, err := openVoteGuard(n.store, true)
	if err != nil {
		return err
	}
	_, err = guard.lift()
	return err
}

// recovering is a machine, and the store of its one snapshot, which is of a new cluster.
type recovering struct {
	*machine
	*snapshotStore
	id  clusterID
	dir string
	recovery
}

// Snapshot implements hraft.FSM.
func (r *recovering) Snapshot() (hraft.FSMSnapshot, error) {
	captured, err := r.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	captured.(*snapshot).at.Cluster, captured.(*snapshot).alone = r.id, true
	return captured, nil
}

// Create implements hraft.SnapshotStore. It refuses to stop short of what this disk had:
// the library passes over a snapshot that it cannot restore.
func (r *recovering) Create(version hraft.SnapshotVersion, index, term uint64, members hraft.Configuration, membersIndex uint64, trans hraft.Transport) (hraft.SnapshotSink, error) {
	promised, _ := r.promise.get()
	if expected := max(promised, r.lastIndex()); index < expected {
		return nil, fmt.Errorf("%w: it can be read up to entry %d, and had %d", ErrDamaged, index, expected)
	}
	sink, err := r.snapshotStore.Create(version, index, term, members, membersIndex, trans)
	if err != nil {
		return nil, err
	}
	r.recovery = recovery{Recovered{Index: index, Before: r.clusterID().String(), Cluster: r.id.String()}, sink.ID()}
	if err := r.write(r.dir); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return sink, nil
}
