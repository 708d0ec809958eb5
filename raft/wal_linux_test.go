package raft

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// TestFullDiskUnderSegments: a disk fills up at some moment of a segment, in the middle of an
// append or between two, and has space again while the node runs, or when it is started anew.
// All that was acknowledged is there.
func TestFullDiskUnderSegments(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	for at := uint64(60); at < 260; at += 9 {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d entries, restarted %v", at, restarted), func(t *testing.T) {
				dir := t.TempDir()
				if err := syscall.Mount("playhead-test", dir, "tmpfs", 0, "size=1m"); err != nil {
					t.Skipf("a small disk needs a tmpfs, which only root may mount: %v", err)
				}
				t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
				ended := false
				open := func() *diskStore {
					s, err := openDiskStore(Config{DataDir: dir, NodeID: "n1", LogStore: LogStoreWAL, segmentBytes: size}, hclog.NewNullLogger())
					if err != nil {
						t.Fatal(err)
					}
					told := func(error) { ended = true }
					s.damaged.Store(&told)
					return s
				}
				s := open()
				appendEntries(t, s, 1, 1, at)
				ballast := filepath.Join(dir, "ballast")
				if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err == nil {
					t.Fatal("a disk of one MiB took two")
				}
				last := at
				err := s.StoreLog(entryOf(last+1, 1))
				for ; err == nil && last < at+1000; err = s.StoreLog(entryOf(last+1, 1)) {
					last++
				}
				if err == nil || !ended && !strings.Contains(err.Error(), "no space left") {
					t.Fatalf("the full disk took %d entries; then %v", last-at, err)
				}
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
				if restarted || ended {
					closeStore(t, s)
					s = open()
				}
				appendEntries(t, s, 1, last+1, last+2*size>>10)
				closeStore(t, s)
				s = open()
				for index := uint64(1); index <= last+2*size>>10; index++ {
					if err := reads(s, index, 1); err != nil {
						t.Fatalf("entry %d of %d acknowledged: %v", index, last, err)
					}
				}
				closeStore(t, s)
			})
		}
	}
}
