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
	rafttest.Eventually(t, 10*time.Second, "the new members may vote", func() bool { return c.Node(1).MayVote() && c.Node(2).MayVote() })
	for i := range 3 { // were they up, they might find it before it founds anything
		c.Stop(i)
	}
	if err := os.RemoveAll(c.Config(0).DataDir); err != nil {
		t.Fatal(err)
	}
	c.Start(0)
	rafttest.Eventually(t, 10*time.Second, "the wiped founder leads a cluster of its own", c.Node(0).IsLeader)
	if _, _, err := c.Node(0).Propose(within(t, 10*time.Second), []byte("forked")); err != nil {
		t.Fatal(err)
	}
	c.Start(1)
	c.Start(2)
	leads := 1
	rafttest.Eventually(t, rafttest.ElectWithin, "the majority has a leader", func() bool {
		leads = 3 - leads
		return c.Node(leads).IsLeader()
	})
	// Enough of the real leader's requests come in between.
	rafttest.Eventually(t, 20*time.Second, "the founder refused the real leader", func() bool { return c.Node(0).RefusedStrangers() })
	for range 3 {
		rafttest.Eventually(t, 20*time.Second, "the majority writes", func() bool {
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

func TestStampsAdvanceAfterAFastClock(t *testing.T) {
	t.Parallel()
	var nowMS atomic.Int64
	var aheadMS [3]atomic.Int64
	nowMS.Store(1_000_000)
	c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
		cfg.Now = func() time.Time { return time.UnixMilli(nowMS.Load() + aheadMS[i].Load()) }
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
	propose(t, c, "a")
	nowMS.Add(1000)
	propose(t, c, "b")
	nowMS.Add(500)
	index := propose(t, c, "c")
	next := c.LeaderAt(t)
	holds(t, c, next, index, []string{"a", "b", "c"})
	stamps := c.Machine(next).(*list).stamps
	last := stamps[len(stamps)-3:]
	if next == fast || last[0] != 1_000_000+time.Hour.Milliseconds() || last[1] != last[0]+1000 || last[2] != last[1]+500 {
		t.Errorf("stamps %v", stamps)
	}
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
