package raft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const (
	boltFile        = "raft.db"
	boltLockTimeout = 2 * time.Second // another process holds the directory
	keptSnapshots   = 2
	cachedEntries   = 64 // in memory for the followers: 16 MiB of batches; of single larger commands up to 64 × MaxCommandBytes
)

// keyNodeID remembers whose data a directory holds.
var keyNodeID = []byte("PlayheadNodeID")

// diskStore is the log on disk (raft-boltdb, fsync on every append) that
// verifies the checksum of every entry it writes and reads, and knows how long
// the append under way has taken.
type diskStore struct {
	*raftboltdb.BoltStore
	appendingSince atomic.Int64 // Unix nanoseconds; 0: no append under way
}

func openDiskStore(dir, nodeID string) (*diskStore, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	path := filepath.Join(dir, boltFile)
	bolt, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout:        boltLockTimeout,
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open the log %s (in use by another process, or damaged: then remove the data directory and let the node rejoin): %w", path, err)
	}
	store := &diskStore{BoltStore: bolt}
	if err := store.claim(nodeID); err != nil {
		return nil, errors.Join(err, bolt.Close())
	}
	return store, nil
}

// claim refuses a directory that belongs to another node.
func (s *diskStore) claim(nodeID string) error {
	owner, err := s.Get(keyNodeID)
	switch {
	case errors.Is(err, raftboltdb.ErrKeyNotFound):
		if err := s.Set(keyNodeID, []byte(nodeID)); err != nil {
			return fmt.Errorf("write the node id: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read the node id: %w", err)
	case string(owner) != nodeID:
		return fmt.Errorf("data_dir: holds the data of node %q, expected %q", owner, nodeID)
	}
	return nil
}

// StoreLog implements hraft.LogStore.
func (s *diskStore) StoreLog(l *hraft.Log) error { return s.StoreLogs([]*hraft.Log{l}) }

// StoreLogs implements hraft.LogStore; it returns after fsync.
func (s *diskStore) StoreLogs(logs []*hraft.Log) error {
	for _, l := range logs {
		if err := checkLog(l); err != nil {
			return err
		}
	}
	s.appendingSince.Store(time.Now().UnixNano())
	defer s.appendingSince.Store(0)
	return s.BoltStore.StoreLogs(logs)
}

// GetLog implements hraft.LogStore.
func (s *diskStore) GetLog(index uint64, l *hraft.Log) error {
	if err := s.BoltStore.GetLog(index, l); err != nil {
		return err
	}
	return checkLog(l)
}

func checkLog(l *hraft.Log) error {
	if l.Type != hraft.LogCommand {
		return nil
	}
	if err := checkEntry(l.Data); err != nil {
		return fmt.Errorf("entry %d: %w", l.Index, err)
	}
	return nil
}

// stalledFor is how long the append under way has taken; 0 when there is none.
func (s *diskStore) stalledFor() time.Duration {
	since := s.appendingSince.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - since)
}
