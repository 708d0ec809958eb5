package raft_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

func noMore(raft.Recovered) error { return nil }

// The last node of three is recovered (known bug 21), also when that breaks off at each of
// its steps and is repeated: meanwhile the node does not start, and in the end it has all.
func TestRecoveryIsRepeated(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c, logs := hangable(t, on)
		propose(t, c, "in the snapshot")
		left := c.LeaderAt(t)
		mustSnapshot(t, c.Node(left))
		propose(t, c, "in the log")
		for i := range 3 {
			c.Stop(i)
		}
		cfg := *c.Config(left)
		remains, err := raft.Inspect(cfg)
		if err != nil || len(remains.Members) != 3 || remains.Index == 0 || remains.Term == 0 {
			t.Fatalf("it holds %+v, %v", remains, err)
		}
		breaksOff := func(where string, finish func(raft.Recovered) error) {
			t.Helper()
			if _, err := raft.Recover(cfg, newList(left), finish); err == nil {
				t.Errorf("%s: it is recovered", where)
			}
			if err := c.TryStart(left); err == nil || !strings.Contains(err.Error(), "repeat playhead recover") {
				t.Fatalf("%s: the node starts: %v", where, err)
			}
		}
		logs[left].Fill()
		breaksOff("the log is not ended", noMore)
		logs[left].Free()
		breaksOff("what else is there is left", func(raft.Recovered) error { return errors.New("no") })
		done, err := raft.Recover(cfg, newList(left), noMore)
		if err != nil || done.Index < remains.Index || done.Before == "" || done.Cluster == "" || done.Cluster == done.Before {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := raft.Recover(cfg, newList(left), noMore); err == nil || !strings.Contains(err.Error(), "only member") {
			t.Errorf("a cluster of one is recovered: %v", err)
		}
		c.Start(left)
		rafttest.Eventually(t, "it leads alone", c.Node(left).IsLeader)
		_, index, err := c.Node(left).Propose(within(t, 10*time.Second), []byte("alone"))
		if err != nil {
			t.Fatal(err)
		}
		holds(t, c, left, index, []string{"in the snapshot", "in the log", "alone"})
		if got := c.Machine(left).(*list).all(); !slices.Equal(slices.Compact(got), []string{"in the snapshot", "in the log", "alone"}) {
			t.Errorf("it holds %q", got)
		}
	})
}

func mustSnapshot(t *testing.T, n *raft.Node) {
	t.Helper()
	if err := n.TakeSnapshot(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
}
