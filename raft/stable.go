package raft

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"sync"

	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

var (
	// keyStable holds all stable values, as JSON and its CRC-32C.
	keyStable = []byte("PlayheadStable1")
	// keyNodeID remembers whose data a directory holds.
	keyNodeID = []byte("PlayheadNodeID")
	// unsealedKeys are the stable values of directories from before keyStable,
	// the library's among them.
	unsealedKeys = [][]byte{keyNodeID, keyVoteFrom, keyFounded, []byte(keyTerm), []byte("LastVoteTerm"), []byte("LastVoteCand")}
)

// stable keeps the few values that a node must not forget (its id, term and
// vote) as one record with one checksum. Were each a key of its own, a flipped
// bit in a key would look like a node that has not voted yet.
type stable struct {
	under   hraft.StableStore
	promise *promise

	mu     sync.Mutex
	record stableRecord
}

type stableRecord struct {
	Seq    uint64            `json:"seq"` // changes so far
	Values map[string][]byte `json:"values"`
}

func openStable(under hraft.StableStore, promise *promise) (*stable, error) {
	s := &stable{under: under, promise: promise, record: stableRecord{Values: map[string][]byte{}}}
	data, err := getStable(under, keyStable)
	switch {
	case err != nil:
		return nil, err
	case data == nil:
		return s, s.adopt()
	case len(data) < crc32.Size:
		return nil, errEntrySum
	}
	body, sum := data[:len(data)-crc32.Size], data[len(data)-crc32.Size:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return nil, errEntrySum
	}
	if err := json.Unmarshal(body, &s.record); err != nil {
		return nil, err
	}
	return s, nil
}

// adopt takes over values that each are a key; the first change seals them.
func (s *stable) adopt() error {
	for _, key := range unsealedKeys {
		value, err := getStable(s.under, key)
		if err != nil {
			return err
		}
		if value != nil {
			s.record.Values[string(key)] = value
		}
	}
	return nil
}

// getStable reads a key; nil when there is none.
func getStable(under hraft.StableStore, key []byte) (value []byte, err error) {
	defer recovered(&err)
	value, err = under.Get(key)
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, nil
	}
	return value, err
}

// Set implements hraft.StableStore; it returns after fsync.
func (s *stable) Set(key, value []byte) (err error) {
	defer recovered(&err)
	s.mu.Lock()
	defer s.mu.Unlock()
	next := stableRecord{Seq: s.record.Seq + 1, Values: maps.Clone(s.record.Values)}
	next.Values[string(key)] = append([]byte(nil), value...)
	body, err := json.Marshal(next)
	if err != nil {
		return err
	}
	body = binary.BigEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
	if err := s.under.Set(keyStable, body); err != nil {
		return err
	}
	s.record = next
	return s.promise.setSeq(next.Seq)
}

// Get implements hraft.StableStore; nil when there is no such value.
func (s *stable) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.record.Values[string(key)], nil
}

// SetUint64 implements hraft.StableStore.
func (s *stable) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements hraft.StableStore; 0 when there is no such value.
func (s *stable) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	switch {
	case err != nil:
		return 0, err
	case value == nil:
		return 0, nil
	case len(value) != 8:
		return 0, fmt.Errorf("%s: %d bytes, expected 8", key, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// claim refuses a directory that belongs to another node.
func (s *stable) claim(nodeID string) error {
	owner, err := s.Get(keyNodeID)
	switch {
	case err != nil:
		return err
	case owner == nil:
		if err := s.Set(keyNodeID, []byte(nodeID)); err != nil {
			return fmt.Errorf("write the node id: %w", err)
		}
	case string(owner) != nodeID:
		return fmt.Errorf("data_dir: holds the data of node %q, expected %q", owner, nodeID)
	}
	return nil
}
