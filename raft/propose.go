package raft

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	hraft "github.com/hashicorp/raft"
)

// Propose puts a command in the log and returns the state machine's answer and
// the index of the entry, after a quorum holds it on disk and it was applied
// here. The command is copied.
//
// ErrNotLeader, ErrOverloaded, ErrCommandTooLarge and ErrClosed alone mean that
// it was and will not be committed. After ErrOutcomeUnknown, or when ctx ended
// first, it may be: retry idempotently.
func (n *Node) Propose(ctx context.Context, command []byte) (answer any, index uint64, err error) {
	if len(command) > MaxCommandBytes {
		return nil, 0, fmt.Errorf("%w: %d bytes, at most %d", ErrCommandTooLarge, len(command), MaxCommandBytes)
	}
	if n.leads() == 0 {
		select {
		case <-n.closing:
			return nil, 0, ErrClosed
		default:
			return nil, 0, ErrNotLeader
		}
	}
	return n.batcher.propose(ctx, command)
}

// BatchCounts tells how many entries this node has submitted and how many
// commands rode in them, for metrics.
func (n *Node) BatchCounts() (entries, commands uint64) {
	return n.batcher.entries.Load(), n.batcher.commands.Load()
}

// BatchLimits are those of the group commit, defaults filled in.
func (n *Node) BatchLimits() BatchLimits { return n.cfg.Batch }

// submit hands an entry to the log; it does not wait for the disk.
func (n *Node) submit(entry []byte) future { return n.raft.Apply(entry, 0) }

// markWithin bounds handing a mark to a log that is busy.
const markWithin = 10 * time.Millisecond

// mark writes an entry without commands, which makes sure of two things: that
// a new leader has applied what earlier terms committed, and that the log still
// takes entries. It does not wait: that it was applied shows in the machine.
func (n *Node) mark() {
	id := n.machine.clusterID()
	settled := id != (clusterID{})
	if !settled {
		_, _ = rand.Read(id[:]) // never fails
	}
	n.raft.Apply(sealMark(n.machine.stampMS.Load(), id, settled), markWithin)
}

// stamp is the leader's time for a new entry; only for the batcher's goroutine.
func (n *Node) stamp() int64 {
	return n.clock.stamp(n.raft.CurrentTerm(), n.cfg.Now().UnixMilli(), time.Now(), n.machine.stampMS.Load())
}

// leaderClock makes stamps that never go back and, within a term, advance at least as
// fast as the steady clock: where the clock on the wall is behind (it was set back, or a
// leader before was ahead), they go on without it until it has caught up. What is set
// back and right again, however often, leaves no trace. A clock that is set ahead is
// followed: a machine that slept, or began with a wrong date, is right again at once.
type leaderClock struct {
	term   uint64
	lastMS int64
	baseMS int64     // the newest stamp by the clock on the wall, or from before the term,
	baseAt time.Time // and when that was, on the steady clock
}

func (c *leaderClock) stamp(term uint64, wallMS int64, now time.Time, appliedMS int64) int64 {
	steadyMS := c.baseMS + now.Sub(c.baseAt).Milliseconds()
	if term != c.term {
		c.term, steadyMS = term, 0
	}
	c.lastMS = max(c.lastMS, appliedMS, wallMS, steadyMS)
	if c.lastMS > steadyMS {
		c.baseMS, c.baseAt = c.lastMS, now
	}
	return c.lastMS
}

// fate tells what the library's verdict means for an entry: committed (nil),
// certainly not committed, or unknown.
func (n *Node) fate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, hraft.ErrLeadershipTransferInProgress):
		// Refused before it was written.
		n.refused.CompareAndSwap(nil, &refusal{since: time.Now(), applied: n.AppliedIndex()})
		return ErrNotLeader
	case errors.Is(err, hraft.ErrNotLeader):
		return ErrNotLeader // answered by a follower, or a leader stepping down, before it was written
	case errors.Is(err, hraft.ErrEnqueueTimeout):
		return ErrOverloaded
	case errors.Is(err, hraft.ErrRaftShutdown):
		// Also said of an entry that was committed and not yet applied.
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, ErrClosed)
	default:
		// ErrLeadershipLost, ErrAbortedByRestore, and a failed write to our own
		// disk: the entry may be on some disk.
		return fmt.Errorf("%w (%w)", ErrOutcomeUnknown, err)
	}
}

// AppliedIndex is the index of the last entry whose effects the state machine shows.
func (n *Node) AppliedIndex() uint64 { return n.machine.applied.Load() }

// WaitApplied blocks until the state machine shows the effects of index.
func (n *Node) WaitApplied(ctx context.Context, index uint64) error {
	return n.machine.wait(ctx, index)
}

// LeaderReadIndex is the "leader" level: this node believes that it leads and
// has applied everything committed before its term. A deposed leader may
// believe so for the length of its lease. It returns the applied index.
func (n *Node) LeaderReadIndex(ctx context.Context) (uint64, error) {
	if _, err := n.waitLeading(ctx); err != nil {
		return 0, err
	}
	return n.AppliedIndex(), nil
}

// LinearizableReadIndex returns an index such that a state that shows it shows
// every write acknowledged before the call; it is applied here on return.
// Mechanism (Raft thesis, section 6.4): fix the read index, the commit index
// after this term's first entry was applied; then have a quorum confirm the
// leadership; then wait until the index is applied. Concurrent callers share a
// confirmation that began after all of them had fixed their index.
//
// Limitation of the library: an answer of a follower that was already on its
// way when the confirmation began counts for it. That is wrong only when the
// answer was delayed for longer than an election takes.
func (n *Node) LinearizableReadIndex(ctx context.Context) (uint64, error) {
	term, err := n.waitLeading(ctx)
	if err != nil {
		return 0, err
	}
	index := n.raft.CommitIndex()
	if err := n.verify.wait(ctx, n.closing); err != nil {
		return 0, err
	}
	// Leadership lost and won again in between would make the index stale.
	if n.leads() != term {
		return 0, ErrNotLeader
	}
	if err := n.WaitApplied(ctx, index); err != nil {
		return 0, err
	}
	return index, nil
}

// waitLeading waits until the leader that this node is has applied an entry of
// its own term, which it returns.
func (n *Node) waitLeading(ctx context.Context) (term uint64, err error) {
	for {
		changed := n.changed.changed()
		if term = n.leads(); term == 0 {
			return 0, ErrNotLeader
		}
		if n.machine.appliedTerm.Load() == term {
			return term, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-n.closing:
			return 0, ErrClosed
		}
	}
}

// verifier lets one question to the quorum serve everyone who came before it
// was asked. A question is under way at most once.
type verifier struct {
	ask func() error // blocks until a quorum has confirmed the leadership

	mu     sync.Mutex
	asking bool
	next   *verification // for those who came after the question under way
}

type verification struct {
	done chan struct{}
	err  error
}

func (v *verifier) wait(ctx context.Context, closing <-chan struct{}) error {
	v.mu.Lock()
	if v.next == nil {
		v.next = &verification{done: make(chan struct{})}
	}
	mine := v.next
	if !v.asking {
		v.asking = true
		go v.run()
	}
	v.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	case <-closing:
		return ErrClosed
	}
}

func (v *verifier) run() {
	for {
		v.mu.Lock()
		current := v.next
		v.next = nil
		if current == nil {
			v.asking = false
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
		if err := v.ask(); err != nil {
			current.err = ErrNotLeader
		}
		close(current.done)
	}
}
