package raft_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

func TestRestartKeepsAcknowledged(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c := rafttest.NewClusterWith(t, 3, newList, on)
		first := numbered("first", 10)
		var index uint64
		for _, command := range first {
			index = propose(t, c, command)
		}
		follower := (c.LeaderAt(t) + 1) % 3
		c.Restart(follower)
		holds(t, c, follower, index, first)

		for i := range 3 {
			c.Stop(i)
		}
		for i := range 3 {
			c.Start(i)
		}
		index = propose(t, c, "after")
		for i := range 3 {
			holds(t, c, i, index, append(first, "after"))
		}
	})
}

func TestNewLeaderHasAcknowledged(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c := rafttest.NewClusterWith(t, 3, newList, on)
		commands := numbered("kept", 10)
		for _, command := range commands {
			propose(t, c, command)
		}
		old := c.LeaderAt(t)
		c.Stop(old)
		index := propose(t, c, "by the new leader")
		commands = append(commands, "by the new leader")
		holds(t, c, c.LeaderAt(t), index, commands)
		c.Start(old)
		holds(t, c, old, index, commands)
	})
}

func TestClusterOfOneKeepsAcknowledged(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c := rafttest.NewClusterWith(t, 1, newList, on)
		commands := numbered("alone", 5)
		for _, command := range commands {
			propose(t, c, command)
		}
		c.Restart(0)
		holds(t, c, 0, propose(t, c, "again"), append(commands, "again"))
	})
}

func TestSnapshotTruncationAndFreshFollower(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) { on(i, cfg); cfg.TrailingLogs = 1 })
		before := numbered("before", 20)
		var index uint64
		for _, command := range before {
			index = propose(t, c, command)
		}
		begun := time.Now().Truncate(time.Millisecond)
		snapshotOf := func(i int) raft.SnapshotInfo {
			t.Helper()
			info, ok := c.Node(i).LastSnapshot()
			if !ok || info.Index < index || info.Bytes == 0 || info.At.Before(begun) || info.At.After(time.Now()) {
				t.Fatalf("node %d tells of the snapshot %+v, %v", i+1, info, ok)
			}
			return info
		}
		for i := range 3 {
			holds(t, c, i, index, before)
			if info, ok := c.Node(i).LastSnapshot(); ok {
				t.Errorf("node %d tells of a snapshot that nobody took: %+v", i+1, info)
			}
			if err := c.Node(i).TakeSnapshot(within(t, 10*time.Second)); err != nil {
				t.Fatalf("node %d: %v", i+1, err)
			}
			snapshotOf(i)
			if first, last := c.Node(i).LastLogIndexes(); first < last {
				t.Errorf("node %d: the log still holds %d to %d", i+1, first, last)
			}
		}
		taken := snapshotOf(0)
		index = propose(t, c, "after")
		all := append(before, "after")

		c.Restart(0)
		if at := c.Node(0).AppliedIndex(); at < index-1 {
			t.Errorf("right after its snapshot was restored the node shows index %d, expected at least %d", at, index-1)
		}
		if again, _ := c.Node(0).LastSnapshot(); again != taken {
			t.Errorf("restarted, it tells of the snapshot %+v, was %+v", again, taken)
		}
		holds(t, c, 0, index, all)

		fresh := c.Add(t)
		c.Join(t, fresh, true)
		holds(t, c, fresh, index, all)
		// The WAL still reads entries of a segment whose head was truncated, and needs no snapshot.
		sent := c.Config(fresh).LogStore != raft.LogStoreWAL
		if info, ok := c.Node(fresh).LastSnapshot(); sent && (!ok || info.Index < taken.Index) {
			t.Errorf("the fresh follower tells of the snapshot %+v, %v, that it was sent", info, ok)
		}
		// what an election left open was proposed again, and may be there twice
		if got := slices.Compact(c.Machine(fresh).(*list).all()); len(got) != len(all) {
			t.Errorf("the fresh follower holds %d commands, want %d", len(got), len(all))
		}
	})
}

// slowList writes a snapshot when it may.
type slowList struct {
	list
	may   chan struct{}
	taken atomic.Int32
}

type slowState struct {
	io.WriterTo
	may <-chan struct{}
}

func (l *slowList) Snapshot(at raft.Place) (io.WriterTo, error) {
	l.taken.Add(1)
	state, err := l.list.Snapshot(at)
	return slowState{state, l.may}, err
}

func (s slowState) WriteTo(w io.Writer) (int64, error) {
	<-s.may
	return s.WriterTo.WriteTo(w)
}

// TestSnapshotNobodyWaitsFor: one that was asked for while another is written, by somebody
// who has gone away since, is not written.
func TestSnapshotNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	machine := &slowList{may: make(chan struct{})}
	c := rafttest.NewCluster(t, 1, func(int) raft.StateMachine { return machine })
	node := c.Node(0)
	propose(t, c, "held")
	if node.WritesSnapshot() {
		t.Error("it writes a snapshot that nobody asked for")
	}
	first := make(chan error, 1)
	go func() { first <- node.TakeSnapshot(within(t, 20*time.Second)) }()
	rafttest.Eventually(t, "the snapshot is begun", node.WritesSnapshot)
	for range 3 {
		if err := node.TakeSnapshot(within(t, time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beside another that takes long: %v", err)
		}
	}
	close(machine.may)
	for _, err := range []error{<-first, node.TakeSnapshot(within(t, 20*time.Second))} {
		if err != nil {
			t.Error(err)
		}
	}
	if taken := machine.taken.Load(); taken != 2 || node.WritesSnapshot() {
		t.Errorf("%d snapshots were taken, want the 2 that were waited for; still writing: %v", taken, node.WritesSnapshot())
	}
}

func TestWipedNodeFoundsNoSecondCluster(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	commands := numbered("held", 5)
	var index uint64
	for _, command := range commands {
		index = propose(t, c, command)
	}
	wiped := (c.LeaderAt(t) + 1) % 3
	other := 3 - wiped - c.LeaderAt(t)
	c.Stop(wiped)
	if err := os.RemoveAll(c.Config(wiped).DataDir); err != nil {
		t.Fatal(err)
	}
	// The leader and the wiped node alone: nobody tells the wiped node anything.
	leader := c.LeaderAt(t)
	c.Stop(other)
	c.Stop(leader)
	c.Start(wiped)
	c.Start(other)
	rafttest.Eventually(t, "the other one stands for election", func() bool {
		return c.Node(other).Status().Role == "candidate"
	})
	if c.Node(wiped).IsLeader() || c.Node(other).IsLeader() {
		t.Error("a node was elected with the wiped node's vote")
	}
	if c.Node(wiped).MayVote() {
		t.Error("a wiped node votes before a leader has spoken to it")
	}
	c.Start(leader)
	holds(t, c, wiped, index, commands)
	rafttest.Eventually(t, "the wiped node votes again", func() bool { return c.Node(wiped).MayVote() })
	id := c.Leader(t).Status().NodeID
	for i := range 3 {
		rafttest.Eventually(t, "one cluster with one leader", func() bool {
			return c.Node(i).Status().LeaderID == id
		})
	}
}

func TestSlowDiskCostsTheLeadership(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	propose(t, c, "before")
	slow := c.LeaderAt(t)
	c.Node(slow).PretendAppending(time.Now().Add(-time.Hour))
	rafttest.Eventually(t, "the leader with the hanging disk falls silent", func() bool {
		return !c.Node(slow).IsLeader()
	})
	if _, _, err := c.Node(slow).Propose(within(t, time.Second), []byte("x")); !errors.Is(err, raft.ErrNotLeader) {
		t.Errorf("propose on it: %v, want %v", err, raft.ErrNotLeader)
	}
	index := propose(t, c, "by another")
	if c.LeaderAt(t) == slow {
		t.Error("it leads again while its disk hangs")
	}
	c.Node(slow).PretendAppending(time.Time{})
	holds(t, c, slow, index, []string{"before", "by another"})
}

func TestLeaderKilledUnderLoad(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		const proposers = 16
		c := rafttest.NewClusterWith(t, 3, newList, on)
		killed := c.LeaderAt(t)
		leader := c.Node(killed)
		var proposing sync.WaitGroup
		acknowledged := make([][]string, proposers)
		enough := make(chan struct{}, proposers)
		for p := range proposers {
			proposing.Go(func() {
				for i := 0; ; i++ {
					command := fmt.Sprintf("%d-%d", p, i)
					_, _, err := leader.Propose(within(t, 20*time.Second), []byte(command))
					if i == 10 {
						enough <- struct{}{}
					}
					if err == nil {
						acknowledged[p] = append(acknowledged[p], command)
						continue
					}
					if !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, raft.ErrOutcomeUnknown) && !errors.Is(err, raft.ErrClosed) {
						t.Errorf("propose %s: %v", command, err)
					}
					return
				}
			})
		}
		for range proposers {
			<-enough
		}
		c.Stop(killed)
		proposing.Wait()
		index := propose(t, c, "after")
		c.Start(killed)
		for i := range 3 {
			holds(t, c, i, index, slices.Concat(acknowledged...))
		}
	})
}

// TestSnapshotsThatNobodyAsksFor: each node takes one when the log has grown, at another
// entry than the others, and the log is truncated behind it.
func TestSnapshotsThatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	const threshold = 90
	c := rafttest.NewClusterWith(t, 3, newList, func(_ int, cfg *raft.Config) {
		cfg.SnapshotThreshold, cfg.TrailingLogs = threshold, 1
	})
	index := uint64(0)
	for i, turn := range []uint64{threshold / 3, threshold * 2 / 3, threshold} {
		for index < turn {
			index = propose(t, c, "x")
		}
		took := 0
		rafttest.Eventually(t, "a snapshot of the next node", func() bool {
			took = 0
			for node := range 3 {
				if info, ok := c.Node(node).LastSnapshot(); ok && info.Index >= threshold/3 {
					took++
				}
			}
			return took > i
		})
		if took != i+1 {
			t.Errorf("at entry %d %d nodes have a snapshot, want %d", index, took, i+1)
		}
	}
	for i := range 3 {
		rafttest.Eventually(t, "a log that begins after it", func() bool {
			first, _ := c.Node(i).LastLogIndexes()
			return first > 1
		})
	}
}
