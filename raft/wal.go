package raft

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	wal "github.com/hashicorp/raft-wal"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// A segment of the WAL ends with an index of its entries, written with the entry that fills
// it; then a commit in the small B+tree file says that another follows, and that one's file
// is made. After a crash in between, or when the disk did not take the latter two, the
// library (raft-wal 0.4.2) takes no entry ever again: "segment is sealed". So what is missing
// is made up for when the log is opened, see finishSegment; a disk that is full is not asked
// for the whole next segment at once, see roomyFS; and who is told nevertheless that the
// segment is sealed ends, to open the log again, see diskStore.StoreLogs.

func openWAL(cfg Config, dir string, logger hclog.Logger) (kept keptLog, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	size := cfg.segmentBytes
	if size == 0 {
		size = segmentBytes
	}
	meta := &metadb.BoltMetaDB{}
	defer func() {
		if err != nil { // the library keeps it open
			err = errors.Join(err, meta.Close())
		}
	}()
	defer recovered(&err)
	filer := segment.NewFiler(dir, roomyFS{walfs.New()})
	if err := finishSegment(dir, filer, meta, size); err != nil {
		return nil, err
	}
	store, err := wal.Open(dir, wal.WithLogger(logger), wal.WithSegmentSize(size), wal.WithMetaStore(meta), wal.WithSegmentFiler(cutFiler{filer}))
	if err != nil {
		return nil, err
	}
	// The library syncs the name of a segment that it has made, not of one that it has found.
	if err := syncDir(dir); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// cutFiler makes segments whose end is cut off, when a leader overrules it, with an index or
// not at all. The library takes an index that the disk refused for written when it is asked
// again, and the entries before the cut could not be read once it is opened anew.
type cutFiler struct{ *segment.Filer }

// Create implements types.SegmentFiler.
func (f cutFiler) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	return cutOnce(f.Filer.Create(info))
}

// RecoverTail implements types.SegmentFiler.
func (f cutFiler) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	return cutOnce(f.Filer.RecoverTail(info))
}

func cutOnce(w types.SegmentWriter, err error) (types.SegmentWriter, error) {
	if err != nil {
		return nil, err
	}
	return &cutWriter{SegmentWriter: w}, nil
}

type cutWriter struct {
	types.SegmentWriter
	refused error
}

// ForceSeal implements types.SegmentWriter; once refused, it is until the log is opened again.
func (w *cutWriter) ForceSeal() (indexStart uint64, err error) {
	if w.refused == nil {
		indexStart, w.refused = w.SegmentWriter.ForceSeal()
	}
	return indexStart, w.refused
}

// roomyFS makes a segment without its space reserved where that is refused: the disk may
// have space again when it is needed, and if not, it refuses the entry alone.
type roomyFS struct{ *walfs.FS }

// Create implements types.VFS.
func (f roomyFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	file, err := f.FS.Create(dir, name, size)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return file, err
	}
	if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f.FS.Create(dir, name, 0)
}

// indexHeader is before the index of a segment: the head of its frame (raft-wal's format).
const indexHeader = 8

// finishSegment makes up for a crash after the newest segment was filled and before it was
// written down that another follows; that one's file is made when the log is opened. Of an
// index that is there in part, with the append that it came with, nothing was acknowledged:
// it is cut off, and the segment goes on.
func finishSegment(dir string, filer *segment.Filer, meta types.MetaStore, size int) error {
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
		return refusalIn(err) // else it is missing or damaged, which the library makes up for, or tells
	}
	full, indexStart, err := file.Sealed()
	if err != nil || !full {
		return errors.Join(err, file.Close())
	}
	last := file.LastIndex()
	path := filepath.Join(dir, segment.FileName(*newest))
	newest.SealTime, newest.MaxIndex, newest.IndexStart = time.Now(), last, indexStart
	whole, err := readsAlike(filer, *newest, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if !whole {
		return errors.Join(os.Truncate(path, int64(indexStart)-indexHeader), syncFile(path))
	}
	if err := checkFollower(filer, state.NextSegmentID, last+1); err != nil {
		return err
	}
	// It may not have been synced before the crash, and is not written to again.
	if err := errors.Join(syncFile(path), syncDir(dir)); err != nil {
		return err
	}
	state.Segments = append(state.Segments, types.SegmentInfo{
		ID: state.NextSegmentID, BaseIndex: last + 1, MinIndex: last + 1,
		SizeLimit: uint32(size), Codec: newest.Codec, CreateTime: newest.SealTime,
	})
	state.NextSegmentID++
	return meta.CommitState(state)
}

// readsAlike reports whether a segment has entries, and reads by its index as it does by
// them. That the disk refuses to read it now is an error.
func readsAlike(filer *segment.Filer, full types.SegmentInfo, entries types.SegmentReader) (bool, error) {
	if full.MaxIndex < full.BaseIndex {
		return false, nil
	}
	byIndex, err := filer.Open(full)
	if err != nil {
		return false, refusalIn(err)
	}
	defer func() { _ = byIndex.Close() }()
	for index := full.MinIndex; index <= full.MaxIndex; index++ {
		want, err := entries.GetLog(index)
		if err != nil {
			return false, err
		}
		got, err := byIndex.GetLog(index)
		if err != nil {
			_ = want.Close()
			return false, refusalIn(err)
		}
		alike := bytes.Equal(got.Bs, want.Bs)
		_, _ = got.Close(), want.Close()
		if !alike {
			return false, nil
		}
	}
	return true, nil
}

// checkFollower refuses a segment that begins elsewhere than after the newest known one: what
// was written down of it is lost, and it overruled entries that are still in that one.
func checkFollower(filer *segment.Filer, nextID, first uint64) error {
	segments, err := filer.List()
	if err != nil {
		return err
	}
	for id, begins := range segments {
		if id > nextID || id == nextID && begins != first {
			return fmt.Errorf("%w: of a segment that begins at entry %d nothing is known, expected one at entry %d", types.ErrCorrupt, begins, first)
		}
	}
	return nil
}

func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
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
