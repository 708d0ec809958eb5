package raft

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	hraft "github.com/hashicorp/raft"
)

const keptSnapshots = 2

// On disk a snapshot's state begins with what its meta.json says of the log, so
// that the checksum of the state covers that too: a flipped bit there would
// change the members, or let an old snapshot pass for a new one.
//
//	offset  size
//	0       8     magic and version, "phmeta01"
//	8       4     bytes of JSON, big-endian
//	12            JSON, see snapshotClaim
//
// Snapshots from before have none. It does not travel.
const (
	claimMagic    = "phmeta01"
	maxClaimBytes = 1 << 20
)

type snapshotClaim struct {
	Index              uint64              `json:"index"`
	Term               uint64              `json:"term"`
	Configuration      hraft.Configuration `json:"configuration"`
	ConfigurationIndex uint64              `json:"configuration_index"`
}

// snapshotStore is the library's. It verifies what it hands out, and promises
// what it took.
type snapshotStore struct {
	*hraft.FileSnapshotStore
	dir     string
	promise *promise
	refused atomic.Pointer[error]        // the first that was found damaged
	newest  atomic.Pointer[SnapshotInfo] // nil: none
}

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

// takenAt reads when a snapshot was begun from its id, term-index-milliseconds.
func takenAt(id string) time.Time {
	ms, err := strconv.ParseInt(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func openSnapshots(dataDir string, promise *promise, logger hclog.Logger) (*snapshotStore, error) {
	under, err := hraft.NewFileSnapshotStoreWithLogger(dataDir, keptSnapshots, logger)
	if err != nil {
		return nil, fmt.Errorf("open the snapshots: %w", err)
	}
	s := &snapshotStore{FileSnapshotStore: under, dir: filepath.Join(dataDir, "snapshots"), promise: promise}
	known, err := under.List()
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	if len(known) > 0 {
		s.newest.Store(&SnapshotInfo{Index: known[0].Index, At: takenAt(known[0].ID), Bytes: known[0].Size})
	}
	return s, s.findUnreadable()
}

// findUnreadable looks for snapshots that the library passes over in silence.
func (s *snapshotStore) findUnreadable() error {
	found, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list the snapshots: %w", err)
	}
	for _, entry := range found {
		if !entry.IsDir() || strings.HasSuffix(entry.Name(), ".tmp") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(s.dir, entry.Name(), "meta.json"))
		if err == nil {
			err = json.Unmarshal(data, new(hraft.SnapshotMeta))
		}
		if err != nil {
			_ = s.refuse(entry.Name(), fmt.Errorf("meta.json: %w", err))
		}
	}
	return nil
}

// refuse remembers the first snapshot that was found damaged.
func (s *snapshotStore) refuse(id string, why error) error {
	err := fmt.Errorf("snapshot %s is %w: %w", filepath.Join(s.dir, id), errDamagedFile, why)
	s.refused.CompareAndSwap(nil, &err)
	return err
}

// Create implements hraft.SnapshotStore.
func (s *snapshotStore) Create(version hraft.SnapshotVersion, index, term uint64, configuration hraft.Configuration, configurationIndex uint64, trans hraft.Transport) (hraft.SnapshotSink, error) {
	claim, err := json.Marshal(snapshotClaim{index, term, configuration, configurationIndex})
	if err != nil {
		return nil, err
	}
	sink, err := s.FileSnapshotStore.Create(version, index, term, configuration, configurationIndex, trans)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32([]byte(claimMagic), uint32(len(claim)))
	if _, err := sink.Write(append(head, claim...)); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	info := SnapshotInfo{Index: index, At: takenAt(sink.ID()), Bytes: int64(len(head) + len(claim))}
	return &snapshotSink{sink, s, info}, nil
}

// snapshotSink is a snapshot being written. Once complete it promises the entries
// that it stands for.
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

// Close implements hraft.SnapshotSink: the snapshot is complete.
func (s *snapshotSink) Close() error {
	if err := s.SnapshotSink.Close(); err != nil {
		return err
	}
	info := s.info
	s.store.newest.Store(&info)
	return s.store.promise.raiseLast(info.Index)
}

// Open implements hraft.SnapshotStore.
func (s *snapshotStore) Open(id string) (*hraft.SnapshotMeta, io.ReadCloser, error) {
	meta, state, err := s.FileSnapshotStore.Open(id)
	if err == nil {
		meta, state, err = s.verify(id, meta, state)
	}
	if err != nil {
		return nil, nil, s.refuse(id, err)
	}
	return meta, state, nil
}

// verify holds meta.json against what the state begins with, and takes that off.
func (s *snapshotStore) verify(id string, meta *hraft.SnapshotMeta, state io.ReadCloser) (_ *hraft.SnapshotMeta, _ io.ReadCloser, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, state.Close())
		}
	}()
	info, err := os.Stat(filepath.Join(s.dir, id, "state.bin"))
	if err != nil {
		return nil, nil, err
	}
	if info.Size() != meta.Size {
		return nil, nil, fmt.Errorf("meta.json: it tells of %d bytes, there are %d", meta.Size, info.Size())
	}
	head := make([]byte, len(claimMagic)+4)
	n, err := io.ReadFull(state, head)
	if err != nil || string(head[:len(claimMagic)]) != claimMagic { // from before
		return meta, readCloser{io.MultiReader(bytes.NewReader(head[:n]), state), state}, nil
	}
	size := binary.BigEndian.Uint32(head[len(claimMagic):])
	if size > maxClaimBytes {
		return nil, nil, fmt.Errorf("state.bin: a head of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(state, body); err != nil {
		return nil, nil, fmt.Errorf("state.bin: %w", err)
	}
	var claim snapshotClaim
	if err := json.Unmarshal(body, &claim); err != nil {
		return nil, nil, fmt.Errorf("state.bin: %w", err)
	}
	if told := (snapshotClaim{meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex}); !reflect.DeepEqual(told, claim) {
		return nil, nil, errors.New("meta.json: it does not match the state")
	}
	meta.Size -= int64(len(head) + len(body))
	return meta, readCloser{state, state}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}
