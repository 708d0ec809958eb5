package raft_test

import (
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// A node's snapshot carries its machine's files over a restart, and to a follower
// that is too far behind for the log.
//
// Known bugs 5 and 6: the first time it is sent it breaks off in the middle.
func TestSnapshotCarriesFiles(t *testing.T) {
	t.Parallel()
	var cuts atomic.Int32
	c := rafttest.NewClusterWith(t, 3, newFiledList, func(_ int, cfg *raft.Config) {
		cfg.LogStore, cfg.TrailingLogs = raft.LogStoreBoltDB, 1
		cfg.SetDial(func(network, address string, timeout time.Duration) (net.Conn, error) {
			conn, err := net.DialTimeout(network, address, timeout)
			return &cutConn{Conn: conn, cuts: &cuts}, err
		})
	})
	behind := (c.LeaderAt(t) + 1) % 3
	all := []string{"early"}
	index := propose(t, c, "early")
	holds(t, c, behind, index, all)
	c.Stop(behind)
	for _, command := range numbered("before", 20) {
		index = propose(t, c, command)
		all = append(all, command)
	}
	for i := range 3 {
		if i == behind {
			continue
		}
		holds(t, c, i, index, all)
		if err := c.Node(i).TakeSnapshot(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	leader := c.LeaderAt(t)
	taken, _ := c.Node(leader).LastSnapshot()
	if taken.Bytes < 1<<20 {
		t.Errorf("the snapshot tells of %d bytes, one of its files has more", taken.Bytes)
	}
	carried := func(i int) {
		t.Helper()
		holds(t, c, i, index, all)
		if files := c.Machine(i).(*list).restored; !strings.HasPrefix(files, filepath.Join(c.Config(i).DataDir, "snapshots")) || filepath.Base(files) != "files" {
			t.Errorf("node %d restored files in %q", i+1, files)
		}
	}
	c.Start(behind)
	carried(behind)
	if cuts.Load() != 1 {
		t.Errorf("what was sent broke off %d times, want once", cuts.Load())
	}
	if left, err := filepath.Glob(filepath.Join(c.Config(behind).DataDir, "snapshots", "*.tmp")); len(left) > 0 || err != nil {
		t.Errorf("of what broke off %v are left, %v", left, err)
	}
	if got, _ := c.Node(behind).LastSnapshot(); got.Index != taken.Index || got.Bytes != taken.Bytes {
		t.Errorf("the node that was sent a snapshot tells of %+v, the leader's is %+v", got, taken)
	}
	c.Restart(behind) // from what it was sent
	carried(behind)
	c.Restart(leader) // from its own
	carried(leader)
	if left, err := filepath.Glob(filepath.Join(c.Config(leader).DataDir, "sending", "*")); len(left) > 0 || err != nil {
		t.Errorf("the sender keeps %v, %v", left, err)
	}
}

// cutConn ends after half a MiB, the first of a cluster that gets there.
type cutConn struct {
	net.Conn
	cuts    *atomic.Int32
	written int
}

func (c *cutConn) Write(p []byte) (int, error) {
	if c.written += len(p); c.written > 512<<10 && c.cuts.CompareAndSwap(0, 1) {
		return 0, c.Close()
	}
	return c.Conn.Write(p)
}
