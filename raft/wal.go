package raft

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	wal "github.com/hashicorp/raft-wal"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// beginAgain is the pause after a segment of the WAL that could not be begun.
const beginAgain = 200 * time.Millisecond

// walLog is the library's log of segments, which takes no entry ever again once a segment is
// full and the next was not begun: for a crash in between ("segment is sealed", raft-wal
// 0.4.2), or for a disk that was full just then. Here such a crash is made up for when the log
// is opened, and such a disk is waited for: the append hangs, as it does on a disk that stalls.
type walLog struct {
	*wal.WAL
	patience *patience
}

// Close ends a wait for the disk, too.
func (l *walLog) Close() error {
	l.patience.end()
	return l.WAL.Close()
}

func openWAL(cfg Config, dir string, logger hclog.Logger) (kept keptLog, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	size := cfg.segmentBytes
	if size == 0 {
		size = segmentBytes
	}
	closing, end := context.WithCancel(context.Background())
	patience := &patience{logger: logger, closing: closing.Done(), end: end}
	meta := &patientMeta{patience: patience}
	defer func() {
		if err != nil { // the library keeps it open
			err = errors.Join(err, meta.Close())
		}
	}()
	defer recovered(&err)
	filer := segment.NewFiler(dir, &patientFS{walfs.New(), patience})
	if err := beginSegment(dir, filer, meta, size); err != nil {
		return nil, err
	}
	store, err := wal.Open(dir, wal.WithLogger(logger), wal.WithSegmentSize(size), wal.WithMetaStore(meta), wal.WithSegmentFiler(filer))
	if err != nil {
		return nil, err
	}
	patience.running.Store(true)
	return &walLog{store, patience}, nil
}

// beginSegment makes up for a crash after the newest segment was full and before it was
// written down that another follows. That one's file is made when the log is opened.
func beginSegment(dir string, filer *segment.Filer, meta types.MetaStore, size int) error {
	state, err := meta.Load(dir)
	if err != nil || len(state.Segments) == 0 {
		return err
	}
	newest := &state.Segments[len(state.Segments)-1]
	if !newest.SealTime.IsZero() {
		return nil
	}
	file, err := filer.RecoverTail(*newest)
	if err != nil {
		return nil // it is missing or damaged, which the library tells, or makes up for
	}
	full, indexStart, err := file.Sealed()
	last := file.LastIndex()
	if err := errors.Join(err, file.Close()); err != nil || !full {
		return err
	}
	now := time.Now()
	newest.SealTime, newest.MaxIndex, newest.IndexStart = now, last, indexStart
	state.Segments = append(state.Segments, types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: last + 1, MinIndex: last + 1,
		SizeLimit: uint32(size), Codec: newest.Codec, CreateTime: now,
	})
	state.NextSegmentID++
	return meta.CommitState(state)
}

// patience is with a disk that does not take the next segment, while the log is in use.
type patience struct {
	logger  hclog.Logger
	running atomic.Bool
	closing <-chan struct{}
	end     func()
}

// until tries again until it succeeds, or the log is closed.
func (p *patience) until(try func() error) error {
	err := try()
	for told := false; err != nil && p.running.Load(); err = try() {
		if !told {
			p.logger.Error("the disk does not take the next segment of the log: no entry is written until it does; make space on it, or mend it", "error", err)
			told = true
		}
		if pause(beginAgain, p.closing) {
			return err
		}
	}
	return err
}

type patientMeta struct {
	metadb.BoltMetaDB
	patience *patience
}

// CommitState implements types.MetaStore.
func (m *patientMeta) CommitState(state types.PersistentState) error {
	return m.patience.until(func() error { return m.BoltMetaDB.CommitState(state) })
}

type patientFS struct {
	*walfs.FS
	patience *patience
}

// Create implements types.VFS.
func (f *patientFS) Create(dir, name string, size uint64) (file types.WritableFile, err error) {
	err = f.patience.until(func() (err error) {
		if file, err = f.FS.Create(dir, name, size); err != nil && !errors.Is(err, fs.ErrExist) {
			err = errors.Join(err, removeIfThere(filepath.Join(dir, name))) // it may be there without its space
		}
		return err
	})
	return file, err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// segmentFile is the segment that holds an entry; the directory when there is none.
func segmentFile(dir string, index uint64) string {
	found := filepath.Join(dir, walDir)
	for path, first := range segmentsOf(dir) {
		if first <= index {
			found = path
		}
	}
	return found
}

// lastOfSegment is the last entry of the segment that holds an entry; no end is known of
// the newest.
func lastOfSegment(dir string, index uint64) uint64 {
	for _, first := range segmentsOf(dir) {
		if first > index {
			return first - 1
		}
	}
	return math.MaxUint64
}

// segmentsOf is the segments on disk, each with its first entry, in their order.
func segmentsOf(dir string) iter.Seq2[string, uint64] {
	return func(yield func(path string, first uint64) bool) {
		paths, _ := filepath.Glob(filepath.Join(dir, walDir, "*.wal")) // names begin with the index
		for _, path := range paths {
			var first, id uint64
			if n, _ := fmt.Sscanf(filepath.Base(path), "%020d-%016x.wal", &first, &id); n == 2 && !yield(path, first) {
				return
			}
		}
	}
}
