package target

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/playhead-load/playhead/sim/target/faultdisk"
)

// bootOnDisks starts a cluster in which each node has a disk of its own, a FUSE mount,
// that can hang and lose power. Without FUSE the test is skipped.
func bootOnDisks(t *testing.T, nodes int, store string) (*Cluster, map[*Node]*faultdisk.Disk) {
	t.Helper()
	opts := options(t, nodes)
	opts.Env = []string{"PLAYHEAD_LOG_STORE=" + store}
	mounted := make([]*faultdisk.Disk, nodes)
	for i, id := range []string{"n1", "n2", "n3"}[:nodes] {
		dir := filepath.Join(opts.DataDir, id)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		disk, err := faultdisk.Mount(dir, t.TempDir())
		if err != nil {
			t.Skipf("a disk that hangs or loses power needs FUSE: %v", err)
		}
		t.Cleanup(func() {
			if err := disk.Close(); err != nil {
				t.Error(err)
			}
		})
		mounted[i] = disk
	}
	t.Log("the disks are FUSE mounts")
	cluster := bootWith(t, opts)
	disks := map[*Node]*faultdisk.Disk{}
	for i, node := range cluster.Nodes() {
		disks[node] = mounted[i]
		t.Cleanup(mounted[i].Release) // first: a process whose disk hangs cannot even be killed
	}
	return cluster, disks
}

// The disk under the leader hangs (known bug 8): it gives the leadership away although
// it could go on sending heartbeats, acknowledged writes go on without it, and it
// follows when its disk is back.
func TestAHangingDiskCostsTheLeadership(t *testing.T) {
	for _, store := range logStores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			cluster, disks := bootOnDisks(t, 3, store)
			s := newStorm(t, cluster)
			s.begin()
			s.more(200)
			leader := leaderOf(t, cluster)
			disks[leader].Hang()
			eventually(t, "an fsync of the leader hangs", func() bool { return disks[leader].Hanging() > 0 })
			begun := time.Now()
			s.more(2 * writers) // more than were under way
			t.Logf("writes went on %v after the disk began to hang", time.Since(begun).Round(time.Millisecond))
			if next := leaderOf(t, cluster); next == leader {
				t.Errorf("%s says that it leads, and its disk hangs", leader.ID)
			}
			disks[leader].Release()
			mustBeReady(t, leader)
			s.more(200)
			s.end()
			s.check()
		})
	}
}
