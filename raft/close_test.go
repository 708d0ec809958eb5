package raft_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

func TestCloseLeavesNothingRunning(t *testing.T) {
	t.Run("cluster", func(t *testing.T) {
		c := rafttest.NewCluster(t, 3, newList)
		propose(t, c, "x")
		if _, err := c.Leader(t).LinearizableReadIndex(within(t, 10*time.Second)); err != nil {
			t.Error(err)
		}
		c.Shutdown(c.LeaderAt(t))
	})
	stacks := make([]byte, 1<<20)
	defer func() {
		if t.Failed() {
			t.Logf("%s", stacks)
		}
	}()
	rafttest.Eventually(t, "every goroutine of the nodes ends", func() bool {
		stacks = stacks[:cap(stacks)]
		stacks = stacks[:runtime.Stack(stacks, true)]
		return !bytes.Contains(stacks, []byte("playhead/raft.(*")) && !bytes.Contains(stacks, []byte("hashicorp/raft"))
	})
}

func TestCloseTwiceAndAfterwards(t *testing.T) {
	t.Parallel()
	c := rafttest.NewCluster(t, 1, newList)
	node := c.Leader(t)
	waiting := make(chan error, 1)
	go func() { waiting <- node.WaitApplied(context.Background(), 1<<40) }()
	for range 2 {
		if err := node.Close(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waiting; !errors.Is(err, raft.ErrClosed) {
		t.Errorf("a waiter got %v", err)
	}
	if _, _, err := node.Propose(within(t, time.Second), []byte("x")); !errors.Is(err, raft.ErrClosed) {
		t.Errorf("propose: %v", err)
	}
	if _, _, err := node.Propose(within(t, time.Second), make([]byte, raft.MaxCommandBytes+1)); !errors.Is(err, raft.ErrCommandTooLarge) {
		t.Errorf("propose too much: %v", err)
	}
}
