package raft_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

func TestFollowerTellsTheLeader(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	want, err := c.Leader(t).Leader(within(t, time.Second))
	if err != nil || want.NodeID != c.Leader(t).Status().NodeID {
		t.Fatalf("the leader says that %+v leads, %v", want, err)
	}
	for _, follower := range c.Followers(t) {
		if _, _, err := follower.Propose(within(t, time.Second), []byte("x")); !errors.Is(err, raft.ErrNotLeader) {
			t.Errorf("propose on a follower: %v", err)
		}
		if _, err := follower.LeaderReadIndex(within(t, time.Second)); !errors.Is(err, raft.ErrNotLeader) {
			t.Errorf("leader read on a follower: %v", err)
		}
		if _, err := follower.LinearizableReadIndex(within(t, time.Second)); !errors.Is(err, raft.ErrNotLeader) {
			t.Errorf("linearizable read on a follower: %v", err)
		}
		rafttest.Eventually(t, "the follower knows the leader", func() bool {
			got, err := follower.Leader(within(t, time.Second))
			return err == nil && got == want
		})
	}
	follower := c.Followers(t)[0]
	status, members := follower.Status(), follower.Members(within(t, time.Second))
	if status.Role != "follower" || status.LeaderID != c.Leader(t).Status().NodeID || len(members) != 3 || follower.MemberCount() != 3 {
		t.Errorf("status %+v of %+v", status, members)
	}
	for i, m := range members {
		if m.HTTPAddress != c.Config(i).HTTPAddress || m.RaftAddress != c.Config(i).RaftAddress || !m.Voter {
			t.Errorf("member %+v, configured %s %s", m, c.Config(i).HTTPAddress, c.Config(i).RaftAddress)
		}
	}
}

func TestLinearizableReadShowsAcknowledgedWrites(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	leader, at := c.Leader(t), (c.LeaderAt(t)+1)%3
	follower, machine := c.Node(at), c.Machine(at).(*list)
	var reading sync.WaitGroup
	for reader := range 8 {
		reading.Go(func() {
			for i := range 20 {
				command := fmt.Sprintf("%d-%d", reader, i)
				_, wrote, err := leader.Propose(within(t, 10*time.Second), []byte(command))
				if err != nil {
					t.Error(err)
					return
				}
				index, err := leader.LinearizableReadIndex(within(t, 10*time.Second))
				if err != nil {
					t.Error(err)
					return
				}
				if err := follower.WaitApplied(within(t, 10*time.Second), index); err != nil {
					t.Error(err)
					return
				}
				if index < wrote || !slices.Contains(machine.all(), command) {
					t.Errorf("a follower at read index %d does not show %s, written at %d", index, command, wrote)
				}
			}
		})
	}
	reading.Wait()
	// A read index is reached on every node, also when nothing follows it.
	index, err := leader.LinearizableReadIndex(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := c.Node(i).WaitApplied(within(t, 10*time.Second), index); err != nil {
			t.Errorf("node %d: %v", i+1, err)
		}
	}
}

func TestReadIndexOfAnIdleClusterIsReached(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	index, err := c.Leader(t).LinearizableReadIndex(within(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := c.Node(i).WaitApplied(within(t, 10*time.Second), index); err != nil {
			t.Errorf("node %d: %v", i+1, err)
		}
	}
}

func TestQueueFull(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	c := rafttest.NewClusterWith(t, 1, func(int) raft.StateMachine { return &list{gate: gate} }, func(_ int, cfg *raft.Config) {
		cfg.Batch = raft.BatchLimits{Commands: 2, Queue: 4, InFlight: 1}
	})
	node := c.Leader(t)
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	refused := make(chan error, 1)
	for range 32 { // 2 in flight, 4 waiting, the others refused
		waiting.Go(func() {
			if _, _, err := node.Propose(ctx, []byte("x")); err != nil {
				select {
				case refused <- err:
				default:
				}
			}
		})
	}
	if err := <-refused; !errors.Is(err, raft.ErrOverloaded) {
		t.Errorf("over the queue's limit: %v", err)
	}
	cancel() // whoever waits leaves, nothing hangs
	waiting.Wait()
	close(gate)
	rafttest.Eventually(t, "commands are taken again", func() bool {
		_, _, err := node.Propose(within(t, 10*time.Second), []byte("y"))
		return err == nil
	})
}

func TestMembership(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 3, newList)
	replica := c.Add(t)
	cfg := *c.Config(replica)
	leader := c.Leader(t)
	if err := leader.AddMember(within(t, 10*time.Second), "other-name", cfg.RaftAddress, true); !errors.Is(err, raft.ErrMemberRefused) {
		t.Errorf("add under another name: %v", err)
	}
	c.Join(t, replica, false)
	holds(t, c, replica, propose(t, c, "to the replica"), []string{"to the replica"})
	if err := c.Leader(t).TransferLeadership(within(t, 10*time.Second), cfg.NodeID); !errors.Is(err, raft.ErrMemberRefused) {
		t.Errorf("transfer to a member without a vote: %v", err)
	}
	for range 3 {
		before := c.LeaderAt(t)
		if err := c.Node(before).TransferLeadership(within(t, 10*time.Second), ""); err != nil {
			t.Fatalf("transfer: %v", err)
		}
		after := c.LeaderAt(t)
		if after == before || after == replica {
			t.Errorf("leadership went from node %d to node %d", before+1, after+1)
		}
		propose(t, c, "written by the next leader")
	}
	if err := c.Leader(t).RemoveMember(within(t, 10*time.Second), "nobody"); !errors.Is(err, raft.ErrUnknownMember) {
		t.Errorf("remove nobody: %v", err)
	}
	if err := c.Leader(t).RemoveMember(within(t, 10*time.Second), cfg.NodeID); err != nil {
		t.Fatal(err)
	}
	if members := c.Leader(t).Members(within(t, time.Second)); len(members) != 3 {
		t.Errorf("members after the removal: %+v", members)
	}
}

func TestTheOnlyVoteStays(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 1, newList)
	id, address := c.Config(0).NodeID, c.Config(0).RaftAddress
	if err := c.Leader(t).RemoveMember(within(t, 10*time.Second), id); !errors.Is(err, raft.ErrMemberRefused) {
		t.Errorf("remove the only voter: %v", err)
	}
	if err := c.Leader(t).AddMember(within(t, 10*time.Second), id, address, false); !errors.Is(err, raft.ErrMemberRefused) {
		t.Errorf("take the only vote: %v", err)
	}
	propose(t, c, "still led")
}

func TestNodeOfAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	ours := rafttest.NewCluster(t, 1, newList)
	theirs := rafttest.NewCluster(t, 1, newList)
	propose(t, theirs, "their data")
	err := ours.Leader(t).AddMember(within(t, 10*time.Second), theirs.Config(0).NodeID, theirs.Config(0).RaftAddress, true)
	if !errors.Is(err, raft.ErrMemberRefused) {
		t.Errorf("add a node of another cluster: %v", err)
	}
	before := ours.Leader(t).Status().ClusterID
	ours.Restart(0)
	propose(t, ours, "x")
	if after := ours.Leader(t).Status().ClusterID; before == "" || after != before {
		t.Errorf("the cluster's id was %q, and %q after a restart", before, after)
	}
}

func TestShutdownHandsLeadershipOver(t *testing.T) {
	t.Parallel()
	c := rafttest.NewClusterWith(t, 3, newList, func(_ int, cfg *raft.Config) { cfg.HeartbeatTimeout = 2 * time.Second })
	propose(t, c, "before")
	old := c.LeaderAt(t)
	term := c.Node(old).Status().Term
	others := []*raft.Node{c.Node((old + 1) % 3), c.Node((old + 2) % 3)}
	c.Shutdown(old)
	// Sooner than their heartbeat timeout could have told the others.
	if now := max(others[0].Status().Term, others[1].Status().Term); now <= term {
		t.Errorf("term %d when the leader of term %d is down: it did not hand over", now, term)
	}
	holds(t, c, c.LeaderAt(t), propose(t, c, "after"), []string{"before", "after"})
}

// TestStampsNeverGoBack sets the clock on the wall by hand; the steady one is the machine's.
func TestStampsNeverGoBack(t *testing.T) {
	t.Parallel()
	began := time.Now()
	near := func(stamp, wantMS int64) bool { // or later, by what has passed
		return stamp >= wantMS && stamp <= wantMS+time.Since(began).Milliseconds()
	}
	var mu sync.Mutex
	now := time.UnixMilli(1_000_000)
	c := rafttest.NewClusterWith(t, 1, newList, func(_ int, cfg *raft.Config) {
		cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	set := func(ms int64) { mu.Lock(); now = time.UnixMilli(ms); mu.Unlock() }
	propose(t, c, "a")
	set(2_000_000)
	propose(t, c, "b")
	set(500_000)
	propose(t, c, "c")
	if err := c.Node(0).TakeSnapshot(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	stamps := c.Machine(0).(*list).stamps
	if len(stamps) != 3 || !near(stamps[0], 1_000_000) || stamps[1] != 2_000_000 || !near(stamps[2], 2_000_000) {
		t.Errorf("stamps %v", stamps)
	}
	newest := stamps[2]
	c.Restart(0)
	propose(t, c, "d")
	if stamps = c.Machine(0).(*list).stamps; len(stamps) == 0 || !near(stamps[len(stamps)-1], newest) {
		t.Errorf("after a restart from the snapshot: stamps %v", stamps)
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	good := raft.Config{NodeID: "n1", RaftAddress: "127.0.0.1:0", DataDir: t.TempDir()}
	for name, change := range map[string]func(*raft.Config){
		"no node id":           func(c *raft.Config) { c.NodeID = "" },
		"no data directory":    func(c *raft.Config) { c.DataDir = "" },
		"unknown log store":    func(c *raft.Config) { c.LogStore = "rocksdb" },
		"no port":              func(c *raft.Config) { c.RaftAddress = "127.0.0.1" },
		"every interface":      func(c *raft.Config) { c.RaftAddress = "0.0.0.0:9081" },
		"fewer than expected":  func(c *raft.Config) { c.BootstrapExpect = 3; c.Join = []string{"a:1", "b:1"} },
		"not among the others": func(c *raft.Config) { c.BootstrapExpect = 2; c.Join = []string{"a:1", "b:1"} },
		"one, but with others": func(c *raft.Config) { c.BootstrapExpect = 1; c.Join = []string{"a:1"} },
		"negative":             func(c *raft.Config) { c.BootstrapExpect = -1 },
	} {
		cfg := good
		change(&cfg)
		if node, err := raft.Open(cfg, &list{}); err == nil {
			t.Errorf("%s: opened", name)
			_ = node.Close(within(t, time.Second))
		}
	}
}

func TestDataOfAnotherNodeIsRefused(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 1, newList)
	c.Stop(0)
	cfg := *c.Config(0)
	cfg.NodeID = "somebody-else"
	if node, err := raft.Open(cfg, &list{}); err == nil {
		t.Error("opened another node's data directory")
		_ = node.Close(within(t, time.Second))
	}
}
