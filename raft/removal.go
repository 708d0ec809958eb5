package raft

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// An old snapshot's state is taken off the disk by pieces, each followed by a pause of so
// many times what it took: with some gigabytes at once the disk, and the file system's
// journal, keep every append waiting for half a second.
const (
	removedAtOnce = 16 << 20 // bytes
	removalPause  = 4
)

// removal takes old snapshots off the disk beside a node's work.
type removal struct {
	dir   string          // that they are in meanwhile; emptied when the node starts
	stop  <-chan struct{} // closed when the node has no time; nil: it does nothing else
	under sync.WaitGroup
}

// setAside takes those snapshots from the library that one more makes superfluous: it
// would remove them at once.
func (s *snapshotStore) setAside() (dirs []string, err error) {
	if s.removal.stop == nil {
		return nil, nil
	}
	known, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, old := range known[min(keptSnapshots-1, len(known)):] {
		dir := filepath.Join(s.removal.dir, old.ID)
		if err := errors.Join(os.MkdirAll(s.removal.dir, 0o755), os.Rename(filepath.Join(s.dir, old.ID), dir)); err != nil {
			return dirs, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// remove removes what was set aside, and does not wait for it.
func (s *snapshotStore) remove(dirs []string) {
	for _, dir := range dirs {
		s.removal.under.Go(func() {
			if s.opened.Load() == 0 { // who still reads it needs it whole
				s.removal.shrink(filepath.Join(dir, "state.bin"))
			}
			_ = os.RemoveAll(dir) // else when the node starts
		})
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
	for left := info.Size() - removedAtOnce; left > 0; left -= removedAtOnce {
		begun := time.Now()
		if file.Truncate(left) != nil || file.Sync() != nil {
			return
		}
		select {
		case <-time.After(removalPause * time.Since(begun)):
		case <-r.stop:
			return
		}
	}
}
