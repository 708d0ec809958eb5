// Package raft is the replicated log under the viewing-data server: a few
// nodes over TCP that agree on one order of commands, each keeping the log on
// its own disk and driving its own [StateMachine] from it.
//
// It is built on hashicorp/raft and is the only package that imports it. What
// it adds:
//
//   - group commit: many commands ride in one log entry ([BatchLimits]);
//   - time inside the log: every entry carries the leader's clock, never going
//     backwards, so that a state machine reads no clock of its own;
//   - read levels with a stated mechanism ([Node.LeaderReadIndex],
//     [Node.LinearizableReadIndex]);
//   - discovery and careful bootstrap over the raft port itself;
//   - two log stores ([Config].LogStore), checksummed entries, a record of what
//     the disk has promised, and a refusal of one that was damaged or cut short;
//   - snapshots that carry files beside the state, by links on the same disk
//     ([FileWriter]);
//   - a watch over a stalled disk, and a guard that keeps a node that lost its
//     disk from voting before it has caught up.
//
// # Durability
//
// [Node.Propose] answers after a quorum of the voters has the entry on disk
// (fsync, also in a cluster of one) and after it was applied on this node.
//
// # Ownership of bytes
//
// Propose copies the command before it returns or waits; the caller may reuse
// its buffer as soon as Propose returns, for whatever reason it returned.
package raft

import (
	"errors"
	"io"
)

// StateMachine is what the log drives. Apply, Snapshot and Restore are never
// called at the same time as each other.
type StateMachine interface {
	// Apply runs the committed commands of one entry, one at least and in their
	// order; entries come in log order, always from one goroutine. index is the
	// entry's, stampMS the leader's clock in Unix milliseconds, never lower than
	// that of any entry before. answers has a place for each command, whose
	// proposers on this node are handed what is put there; it is nil where nobody
	// waits. commands are valid only during the call.
	//
	// Apply has to be deterministic: no clock, no randomness, no map order.
	Apply(index uint64, stampMS int64, commands [][]byte, answers []any)

	// Snapshot captures the state at this moment, which is after all entries up
	// to at.Index. The returned WriterTo is written later from another goroutine,
	// while Apply goes on; it may be dropped without being written. If it has a
	// method Release(), that is called once when it is no longer needed, written
	// or not. The log is truncated only after it was written without an error.
	//
	// If it is a [FileWriter] too, the snapshot carries files.
	Snapshot(at Place) (io.WriterTo, error)

	// Restore replaces the whole state by one that a WriterTo wrote, all or
	// nothing: after an error the state is the one before. The state is that
	// after all entries up to at.Index. files is the directory with the files
	// that came with it, "" if there are none; it belongs to the snapshot: they
	// may be linked or copied during the call, and are never to be changed. An
	// error that is [ErrDamaged] makes a node that starts say what to do.
	Restore(at Place, r io.Reader, files string) error
}

// FileWriter is a captured state that is kept partly in files. They are flat in one
// directory, at most [MaxSnapshotFiles] of them, regular, never changed afterwards,
// and named with at most [MaxFileNameBytes] letters, digits and ._- (not . first).
// They may be hard links: a node does not copy them, and reads each once, for its
// checksum, unless the snapshot before had it too. To a peer they are sent.
type FileWriter interface {
	// WriteFiles makes dir, whose parent is there, with the files; or does not,
	// if there are none. It is called at most once, before WriteTo, and as that
	// from another goroutine than Apply's.
	WriteFiles(dir string) error
}

// Place is how far a state is, and in which log.
type Place struct {
	Index   uint64   // everything up to this entry is in the state
	Cluster [16]byte // the cluster's id; zero: not known yet
}

// Errors that a caller tells apart with errors.Is.
var (
	// ErrNotLeader: this node does not lead; the command was certainly not and
	// will never be committed. [Node.Leader] is the node to turn to.
	ErrNotLeader = errors.New("this node is not the leader")

	// ErrNoLeader: no leader is known at the moment.
	ErrNoLeader = errors.New("no leader is known")

	// ErrOverloaded: too many commands wait already. Decided at once and before
	// any work; certainly not committed.
	ErrOverloaded = errors.New("too many commands are waiting")

	// ErrOutcomeUnknown: the entry was written here, then leadership (or the
	// node) was lost. It may or may not be committed: retry idempotently.
	ErrOutcomeUnknown = errors.New("leadership was lost while committing: the outcome is unknown")

	// ErrClosed: the node was closed; a command refused with it alone was
	// certainly not committed.
	ErrClosed = errors.New("the node is closed")

	// ErrBusy: the node is not closed yet, and its machine may be called still.
	ErrBusy = errors.New("the disk or the state machine is still busy")

	// ErrCommandTooLarge: the command is larger than [MaxCommandBytes].
	ErrCommandTooLarge = errors.New("the command is too large")

	// ErrUnknownMember: no member of the cluster has this id.
	ErrUnknownMember = errors.New("no such member")

	// ErrMemberRefused: the node cannot be added or lead as it is; the message says why.
	ErrMemberRefused = errors.New("member refused")

	// ErrDamaged: a file on the disk is not what was written.
	ErrDamaged = errors.New("damaged")

	// ErrNothingToSnapshot: nothing was applied since this node started.
	ErrNothingToSnapshot = errors.New("nothing new to snapshot")
)

// Member is one node of the cluster's configuration.
type Member struct {
	NodeID      string `json:"node_id"`
	RaftAddress string `json:"raft_address"`
	HTTPAddress string `json:"http_address"` // empty while the node does not answer
	Voter       bool   `json:"voter"`
}

// Status is what a node knows of itself and of its cluster.
type Status struct {
	NodeID       string `json:"node_id"`
	ClusterID    string `json:"cluster_id"` // empty while it is not known
	Role         string `json:"role"`       // leader, follower or candidate
	LeaderID     string `json:"leader_id"`  // empty while none is known
	Term         uint64 `json:"term"`
	CommitIndex  uint64 `json:"commit_index"`
	AppliedIndex uint64 `json:"applied_index"`
}
