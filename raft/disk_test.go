package raft_test

import (
	"context"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// A disk that is told to be slow, full or hanging is so for the log and for snapshots,
// until it is healed.
func TestABrokenDisk(t *testing.T) {
	t.Parallel()
	const slow = 200 * time.Millisecond
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		var disk raft.Disk
		c := rafttest.NewClusterWith(t, 1, newList, func(i int, cfg *raft.Config) {
			on(i, cfg)
			cfg.Disk = &disk
		})
		t.Cleanup(disk.Heal)
		propose(t, c, "before")

		disk.Slow(slow)
		begun := time.Now()
		propose(t, c, "slow")
		if took := time.Since(begun); took < slow {
			t.Errorf("a write took %v on a disk that is %v slower", took, slow)
		}

		disk.Fill()
		if err := c.Node(0).TakeSnapshot(within(t, 10*time.Second)); err == nil {
			t.Error("a snapshot was written to a full disk")
		}
		if _, _, err := c.Node(0).Propose(within(t, 10*time.Second), []byte("full")); err == nil {
			t.Error("a write was acknowledged from a full disk")
		}

		disk.Heal()
		propose(t, c, "healed")
		disk.Hang()
		hanging, cancel := context.WithTimeout(t.Context(), 10*slow)
		defer cancel()
		if _, _, err := c.Node(0).Propose(hanging, []byte("hangs")); err == nil {
			t.Error("a write was acknowledged from a disk that hangs")
		}
		disk.Heal()
		propose(t, c, "after")
		if err := c.Node(0).TakeSnapshot(within(t, 10*time.Second)); err != nil {
			t.Error(err)
		}
	})
}
