package raft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/hashicorp/raft-wal/metadb"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

const (
	boltFile        = "raft.db"
	walDir          = "wal"
	boltLockTimeout = 2 * time.Second // another process holds the directory
	segmentBytes    = 64 << 20        // of a segment of the WAL, reserved on disk when it begins
)

var (
	errMissing   = errors.New("it is missing")
	errEmpty     = errors.New("it is empty")
	errOldValues = errors.New("its term and vote are older than those this node has had")
)

// treeFile is the B+tree file of a log store; a directory that has it was made
// with that store.
func treeFile(dir, kind string) string {
	if kind == LogStoreWAL {
		return filepath.Join(dir, walDir, metadb.FileName)
	}
	return filepath.Join(dir, boltFile)
}

// openDiskStore opens the log of a data directory, or begins one. It refuses
// what it finds damaged; that the log reaches as far as it promised is left to
// [Node.checkPromise], which knows the snapshots.
func openDiskStore(cfg Config, logger hclog.Logger) (*diskStore, error) {
	dir, kind := cfg.DataDir, cfg.LogStore
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	for _, other := range logStores {
		if _, err := os.Stat(treeFile(dir, other)); other != kind && err == nil {
			return nil, fmt.Errorf("data_dir: %s was made with the log store %s, expected %s: start with --log-store %s, or with another directory", dir, other, kind, other)
		}
	}
	promised, err := openPromise(dir)
	if err != nil {
		return nil, err
	}
	tree := treeFile(dir, kind)
	kept, err := openKept(cfg, tree, promised != nil && promised.seq > 0, logger)
	if err != nil {
		if promised != nil {
			err = errors.Join(err, promised.close())
		}
		return nil, err
	}
	s := &diskStore{kept: kept, kind: kind, promise: promised, file: func(uint64) string { return tree }, piece: pieceOfTree}
	if kind == LogStoreWAL {
		s.file = func(index uint64) string { return segmentFile(dir, index) }
		s.piece = func(from uint64) uint64 { return lastOfSegment(dir, from) }
	}
	if err := s.open(cfg, tree); err != nil {
		err = errors.Join(err, kept.Close())
		if s.promise != nil {
			err = errors.Join(err, s.promise.close())
		}
		return nil, err
	}
	return s, nil
}

// open reads the stable values and holds them against the promise.
func (s *diskStore) open(cfg Config, tree string) error {
	var err error
	if s.stable, err = openStable(s.kept, s.promise); err != nil {
		return unusableFile(tree, fmt.Errorf("term and vote: %w", err))
	}
	switch {
	case s.promise != nil && s.record.Seq < s.promise.seq:
		return unusableFile(tree, errOldValues)
	case s.promise == nil && s.record.Seq > 0:
		return unusableFile(filepath.Join(cfg.DataDir, promiseFile), errMissing)
	case s.promise == nil: // a new directory, or one from before there were promises
		last, err := s.LastIndex()
		if err != nil {
			return unusableFile(tree, err)
		}
		if s.promise, err = makePromise(cfg.DataDir, last, 0); err != nil {
			return err
		}
		s.stable.promise = s.promise
	}
	return s.claim(cfg.NodeID)
}

// openKept opens the library's store. The B+tree is checked first: bbolt takes
// the process down on some damage, out of our reach in a goroutine of its own.
func openKept(cfg Config, tree string, used bool, logger hclog.Logger) (kept keptLog, err error) {
	switch info, statErr := os.Stat(tree); {
	case errors.Is(statErr, os.ErrNotExist) && used:
		return nil, unusableFile(tree, errMissing)
	case errors.Is(statErr, os.ErrNotExist):
	case statErr != nil:
		return nil, unusableFile(tree, statErr)
	case info.Size() == 0 && used:
		return nil, unusableFile(tree, errEmpty)
	case info.Size() > 0: // an empty file is one that was about to begin
		if err := checkTreeFile(tree); err != nil {
			return nil, err
		}
	}
	open, at := openBolt, tree
	if cfg.LogStore == LogStoreWAL {
		open, at = openWAL, filepath.Dir(tree)
	}
	if kept, err = open(cfg, at, logger); err == nil {
		if cfg.Disk != nil {
			kept = &brokenLog{kept, cfg.Disk.pass}
		}
		if cfg.under != nil {
			kept = cfg.under(kept)
		}
		return kept, nil
	}
	return nil, unusableFile(at, err)
}

func openBolt(_ Config, path string, _ hclog.Logger) (kept keptLog, err error) {
	defer recovered(&err)
	store, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout:        boltLockTimeout,
			NoFreelistSync: true,
			FreelistType:   bbolt.FreelistMapType,
		},
	})
	if err != nil {
		return nil, err
	}
	return store, nil
}

// checkTreeFile refuses a B+tree file that is damaged or in use.
func checkTreeFile(path string) error {
	lock, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: boltLockTimeout})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return fmt.Errorf("open the log %s: another process uses it", path)
	case err != nil:
		return unusableFile(path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return errors.Join(unusableFile(path, err), lock.Close())
	}
	err = checkTree(file)
	if err != nil {
		err = unusableFile(path, err)
	}
	return errors.Join(err, file.Close(), lock.Close())
}
