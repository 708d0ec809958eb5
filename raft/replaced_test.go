package raft_test

import (
	"os"
	"testing"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// Two of three nodes lose their disks, one after the other, and catch up; no election
// asks them for a vote. Then all three restart at once: nobody is there to tell the two
// how far the log is committed, and they have to know by themselves that they may vote.
// Otherwise the cluster is without a leader for ever.
func TestReplacedMajorityElectsAfterARestart(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c := rafttest.NewClusterWith(t, 3, newList, on)
		commands := []string{"before"}
		propose(t, c, "before")
		kept := c.LeaderAt(t)
		for _, i := range others(kept) {
			c.Stop(i)
			if err := os.RemoveAll(c.Config(i).DataDir); err != nil {
				t.Fatal(err)
			}
			c.Start(i)
			for range 3 { // with each it hears how far the log is committed
				commands = append(commands, "caught up")
				holds(t, c, i, propose(t, c, "caught up"), commands)
			}
		}
		if leads := c.LeaderAt(t); leads != kept {
			t.Skipf("an election came in between: node %d leads", leads+1)
		}
		for i := range 3 {
			c.Stop(i)
		}
		for i := range 3 {
			c.Start(i)
		}
		index := propose(t, c, "after")
		for i := range 3 {
			holds(t, c, i, index, append(commands, "after"))
		}
	})
}
