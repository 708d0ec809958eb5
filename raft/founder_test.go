package raft_test

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// Known bugs 15 and 16: the founder of a cluster of one that has grown loses
// its disk and founds again. The real leader's log never mixes with its own.
func TestWipedFounderKeepsApart(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 1, newList)
	propose(t, c, "before")
	for range 2 {
		c.Join(t, c.Add(t), true)
	}
	propose(t, c, "grown")
	rafttest.Eventually(t, "the new members may vote", func() bool { return c.Node(1).MayVote() && c.Node(2).MayVote() })
	for i := range 3 { // were they up, they might find it before it founds anything
		c.Stop(i)
	}
	if err := os.RemoveAll(c.Config(0).DataDir); err != nil {
		t.Fatal(err)
	}
	c.Start(0)
	rafttest.Eventually(t, "the wiped founder leads a cluster of its own", c.Node(0).IsLeader)
	if _, _, err := c.Node(0).Propose(within(t, 10*time.Second), []byte("forked")); err != nil {
		t.Fatal(err)
	}
	c.Start(1)
	c.Start(2)
	leads := 1
	rafttest.Eventually(t, "the majority has a leader", func() bool {
		leads = 3 - leads
		return c.Node(leads).IsLeader()
	})
	// Enough of the real leader's requests come in between.
	rafttest.Eventually(t, "the founder refused the real leader", func() bool { return c.Node(0).RefusedStrangers() })
	for range 3 {
		rafttest.Eventually(t, "the majority writes", func() bool {
			leads = 3 - leads
			_, _, err := c.Node(leads).Propose(within(t, time.Second), []byte("by the majority"))
			return err == nil
		})
	}
	if got := c.Machine(0).(*list).all(); !c.Node(0).IsLeader() || len(got) != 1 || got[0] != "forked" {
		t.Errorf("the founder's state is of two clusters: %q", got)
	}

	c.Stop(0) // as the line in the log says
	if err := os.RemoveAll(c.Config(0).DataDir); err != nil {
		t.Fatal(err)
	}
	c.Config(0).BootstrapExpect = 0
	c.Start(0)
	holds(t, c, 0, propose(t, c, "rejoined"), []string{"before", "grown", "rejoined"})
}

// TestStampsAdvanceAfterAFastClock: the leader after one whose clock was an hour ahead goes
// on from there, at the pace of the steady clock.
func TestStampsAdvanceAfterAFastClock(t *testing.T) {
	t.Parallel()
	began := time.Now()
	var aheadMS [3]atomic.Int64
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
		cfg.Now = func() time.Time { return time.Now().Add(time.Duration(aheadMS[i].Load()) * time.Millisecond) }
	})
	fast := c.LeaderAt(t)
	aheadMS[fast].Store(time.Hour.Milliseconds())
	propose(t, c, "an hour ahead")
	if err := c.Node(fast).TransferLeadership(within(t, 10*time.Second), ""); err != nil {
		t.Fatal(err)
	}
	// Until the fast leader's last stamp is applied, the next one cannot know it.
	if _, err := c.Leader(t).LeaderReadIndex(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	stamp := func() (ms int64, next int) {
		index := propose(t, c, "a")
		next = c.LeaderAt(t)
		holds(t, c, next, index, []string{"a"})
		stamps := c.Machine(next).(*list).stamps
		return stamps[len(stamps)-1], next
	}
	first, next := stamp()
	if ahead := first - time.Now().UnixMilli(); next == fast || ahead < time.Hour.Milliseconds()*9/10 {
		t.Errorf("node %d is ahead by %d ms after node %d was by an hour", next, ahead, fast)
	}
	rafttest.Eventually(t, "the stamps advance", func() bool {
		ms, _ := stamp()
		if most := time.Since(began).Milliseconds() + 1; ms < first || ms > first+most {
			t.Errorf("within %d ms a stamp is %d ms after the first", most, ms-first)
		}
		return ms > first+100
	})
}

// A node that missed the observation of its leadership leads nevertheless.
func TestMissedObservationIsMadeUpFor(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	propose(t, c, "x")
	next := (c.LeaderAt(t) + 1) % 3
	c.Node(next).StopObserving()
	if err := c.Leader(t).TransferLeadership(within(t, 10*time.Second), c.Config(next).NodeID); err != nil {
		t.Fatal(err)
	}
	if at := c.LeaderAt(t); at != next {
		t.Skipf("node %d leads", at+1)
	}
	if _, err := c.Node(next).LeaderReadIndex(within(t, 10*time.Second)); err != nil {
		t.Errorf("a read on the leader: %v", err)
	}
}
