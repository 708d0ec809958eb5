package raft_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// onSmallDisks gives each node a tmpfs of so many bytes for its data.
func onSmallDisks(t *testing.T, bytes string, cfg *raft.Config) {
	t.Helper()
	if err := os.Mkdir(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("playhead-test", cfg.DataDir, "tmpfs", 0, "size="+bytes); err != nil {
		t.Skipf("a small disk needs a tmpfs, which only root may mount: %v", err)
	}
	dir := cfg.DataDir
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// The disk of the leader fills up in the middle of an append, at the end of a segment
// where there are segments (known bug 12): another leads, and with space again the node
// follows, also from the log that the refused append left.
func TestFullDiskUnderTheLog(t *testing.T) {
	t.Parallel()
	rafttest.OnEachStore(t, func(t *testing.T, on func(int, *raft.Config)) {
		c := rafttest.NewClusterWith(t, 3, newList, func(i int, cfg *raft.Config) {
			on(i, cfg)
			cfg.SetSegmentBytes(segmentBytes)
			onSmallDisks(t, "4m", cfg)
		})
		var all []string
		write := func(n int, prefix string) (index uint64) {
			for _, text := range numbered(prefix, n) {
				all = append(all, bulky(text))
				index = propose(t, c, bulky(text))
			}
			return index
		}
		write(10, "before")
		full := c.LeaderAt(t)
		ballast := filepath.Join(c.Config(full).DataDir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Fatalf("the disk took 8 MiB: %v", err)
		}
		write(20, "full")
		if c.LeaderAt(t) == full {
			t.Error("the node leads whose disk is full")
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		holds(t, c, full, write(5, "after"), all)
		c.Restart(full)
		holds(t, c, full, write(5, "restarted"), all)
	})
}
