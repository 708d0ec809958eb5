package raft

import (
	"os"
	"path/filepath"
	"sync"
	"time"
)

// An old snapshot is taken off the disk by pieces, each followed by a pause of so many
// times what it took: with some gigabytes at once the disk, and the file system's journal,
// keep every append waiting for half a second.
const (
	removedAtOnce = 16 << 20 // bytes of a state; of files one at a time
	removalPause  = 4
)

// removal takes old snapshots off the disk, one at a time, beside a node's work.
type removal struct {
	stop  <-chan struct{} // closed when the node has no time; nil: it does nothing else
	under sync.WaitGroup
	mu    sync.Mutex     // held while one is removed
	guard sync.Mutex     // of open
	open  map[string]int // snapshots that are being read, and how often
	reads signal         // one is no longer
}

func (r *removal) opened(id string) {
	r.guard.Lock()
	defer r.guard.Unlock()
	if r.open == nil {
		r.open = map[string]int{}
	}
	r.open[id]++
}

func (r *removal) closed(id string) {
	r.guard.Lock()
	defer r.guard.Unlock()
	if r.open[id]--; r.open[id] == 0 {
		delete(r.open, id)
		r.reads.broadcast()
	}
}

func (r *removal) isOpen(id string) bool {
	r.guard.Lock()
	defer r.guard.Unlock()
	return r.open[id] > 0
}

// removeOld takes the snapshots from the library that are more than are kept, and removes
// them. The library keeps one more, so that none goes before the next one is complete. What
// fails here is tried again when the node starts, or by the library.
func (s *snapshotStore) removeOld() {
	known, err := s.List()
	if err != nil || len(known) <= keptSnapshots {
		return
	}
	for _, old := range known[keptSnapshots:] {
		aside := filepath.Join(s.dir, old.ID+tmpSuffix)
		if os.Rename(filepath.Join(s.dir, old.ID), aside) != nil || syncDir(s.dir) != nil {
			return // cut short under its own name, it would be found damaged
		}
		if s.removal.stop == nil {
			_ = os.RemoveAll(aside)
			continue
		}
		s.removal.under.Go(func() { s.removal.remove(old.ID, aside) })
	}
}

func (r *removal) remove(id, dir string) {
	if !r.awaitReaders(id) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shrink(filepath.Join(dir, "state.bin"))
	files, _ := os.ReadDir(filepath.Join(dir, filesDir))
	for _, file := range files {
		begun := time.Now()
		if r.stopped() || os.Remove(filepath.Join(dir, filesDir, file.Name())) != nil {
			break
		}
		pause(removalPause*time.Since(begun), r.stop)
	}
	if !r.stopped() {
		_ = os.RemoveAll(dir)
	}
}

// awaitReaders waits until nobody reads a snapshot, who needs it whole; false: the node
// closes.
func (r *removal) awaitReaders(id string) bool {
	for {
		changed := r.reads.changed()
		if !r.isOpen(id) {
			return true
		}
		select {
		case <-changed:
		case <-r.stop:
			return false
		}
	}
}

// shrink cuts a file down, unless something hinders it: it is to be removed anyway.
func (r *removal) shrink(path string) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || linkedElsewhere(info) {
		return
	}
	for left := info.Size() - removedAtOnce; left > 0 && !r.stopped(); left -= removedAtOnce {
		begun := time.Now()
		if file.Truncate(left) != nil || file.Sync() != nil {
			return
		}
		pause(removalPause*time.Since(begun), r.stop)
	}
}

func (r *removal) stopped() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}
