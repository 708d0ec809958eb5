package raft

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
)

// SnapshotInfo is what a node knows of the newest snapshot on its disk.
type SnapshotInfo struct {
	Index uint64 // of the last entry in it
	At    time.Time
	Bytes int64
}

// LastSnapshot is the newest snapshot on this node's disk, its own or one that it
// was sent; false while there is none. It does not ask the disk.
func (n *Node) LastSnapshot() (SnapshotInfo, bool) {
	if info := n.snapshots.newest.Load(); info != nil {
		return *info, true
	}
	return SnapshotInfo{}, false
}

// snapshotStore is the library's store, with a memory of the newest snapshot.
type snapshotStore struct {
	hraft.SnapshotStore
	newest atomic.Pointer[SnapshotInfo] // nil: none
}

func newSnapshotStore(store hraft.SnapshotStore) (*snapshotStore, error) {
	s := &snapshotStore{SnapshotStore: store}
	found, err := store.List()
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	if len(found) > 0 {
		s.newest.Store(&SnapshotInfo{Index: found[0].Index, At: takenAt(found[0].ID), Bytes: found[0].Size})
	}
	return s, nil
}

// takenAt reads when a snapshot was begun from its id, term-index-milliseconds.
func takenAt(id string) time.Time {
	ms, err := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Create implements hraft.SnapshotStore.
func (s *snapshotStore) Create(version hraft.SnapshotVersion, index, term uint64, configuration hraft.Configuration,
	configurationIndex uint64, transport hraft.Transport) (hraft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, configuration, configurationIndex, transport)
	if err != nil {
		return nil, err
	}
	return &snapshotSink{SnapshotSink: sink, store: s, info: SnapshotInfo{Index: index, At: takenAt(sink.ID())}}, nil
}

// snapshotSink is a snapshot being written.
type snapshotSink struct {
	hraft.SnapshotSink
	store *snapshotStore
	info  SnapshotInfo
}

// Write implements hraft.SnapshotSink.
func (s *snapshotSink) Write(p []byte) (int, error) {
	n, err := s.SnapshotSink.Write(p)
	s.info.Bytes += int64(n)
	return n, err
}

// Close implements hraft.SnapshotSink: now the snapshot counts.
func (s *snapshotSink) Close() error {
	if err := s.SnapshotSink.Close(); err != nil {
		return err
	}
	info := s.info
	s.store.newest.Store(&info)
	return nil
}
