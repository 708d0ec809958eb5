package cold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What the engine may use. Memory is at most the cache and the tables in memory,
// beside a capture's (see maxSinceBytes) and one compaction's buffers.
const (
	cacheBytes      = 64 << 20 // of blocks, with indexes, and filters: 2.5 bytes a session
	memTableBytes   = 8 << 20  // of a table in memory, before it goes to disk
	memTables       = 4        // when as many wait for the disk, a change waits
	openFiles       = 256
	compactions     = 1
	blockBytes      = 16 << 10 // larger ones compress better, and a page is one or two
	filterBits      = 10       // a key: one miss in a hundred reads a block
	smallestTable   = 2 << 20  // a file on disk; twice as large a level. Its filter is read as a whole
	formatOfEngine  = pebble.FormatValueSeparation
	tableFileSuffix = ".sst"
	blobFileSuffix  = ".blob"
)

// engine is one generation of the store, with what went wrong with it.
type engine struct {
	dir    string
	logger *slog.Logger
	db     *pebble.DB

	failed  atomic.Pointer[error] // the first failure in the background
	failing chan struct{}         // closed by it
	once    sync.Once
}

func openEngine(dir string, logger *slog.Logger) (e *engine, err error) {
	e = &engine{dir: dir, logger: logger, failing: make(chan struct{})}
	defer func() { err = e.fault("open", recover(), err) }()
	options := &pebble.Options{
		CacheSize:                   cacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                openFiles,
		CompactionConcurrencyRange:  func() (lower, upper int) { return compactions, compactions },
		DisableWAL:                  true,
		FormatMajorVersion:          formatOfEngine,
		Logger:                      engineLogger{e},
		EventListener: &pebble.EventListener{
			BackgroundError: e.backgroundError,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { e.fail(damaged(info.Path, info.Details)) },
		},
	}
	options.TargetFileSizes[0] = smallestTable
	for i := range options.Levels {
		options.Levels[i] = pebble.LevelOptions{
			BlockSize:    blockBytes,
			FilterPolicy: bloom.FilterPolicy(filterBits),
			Compression:  func() *sstable.CompressionProfile { return sstable.ZstdCompression },
		}
	}
	e.db, err = pebble.Open(dir, options)
	return e, err
}

func (e *engine) close() (err error) {
	defer func() { err = e.fault("close the store of ended sessions", recover(), err) }()
	return e.db.Close()
}

// count is what checkpoint wrote.
func (e *engine) count() (sessions int64, err error) {
	defer func() { err = e.fault("count ended sessions", recover(), err) }()
	value, held, err := e.db.Get(countKey)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, errors.Join(errKeptBadly, held.Close())
	}
	return int64(binary.BigEndian.Uint64(value)), held.Close()
}

// checkpoint writes what the engine holds into dir. Nothing is changed meanwhile.
func (e *engine) checkpoint(dir string, sessions int64) (err error) {
	defer func() { err = e.fault("checkpoint", recover(), err) }()
	if err := e.db.Set(countKey, binary.BigEndian.AppendUint64(nil, uint64(sessions)), pebble.NoSync); err != nil {
		return err
	}
	flushed, err := e.db.AsyncFlush()
	if err != nil {
		return err
	}
	select {
	case <-flushed:
	case <-e.failing:
		return *e.failed.Load()
	}
	return e.db.Checkpoint(dir)
}

// linkCheckpoint links the tables of a checkpoint into dir, which are never changed,
// and copies the rest, which is small.
func linkCheckpoint(checkpoint, dir string) error {
	found, err := os.ReadDir(checkpoint)
	if err != nil {
		return err
	}
	for _, entry := range found {
		from, to := filepath.Join(checkpoint, entry.Name()), filepath.Join(dir, entry.Name())
		copyFile := vfs.Copy
		if strings.HasSuffix(from, tableFileSuffix) || strings.HasSuffix(from, blobFileSuffix) {
			copyFile = vfs.LinkOrCopy
		}
		if err := copyFile(vfs.Default, from, to); err != nil {
			return err
		}
	}
	return nil
}

// fail remembers the first failure that the engine cannot answer a caller with.
func (e *engine) fail(err error) {
	e.once.Do(func() {
		e.failed.Store(&err)
		close(e.failing)
		e.logger.Error("the store of ended sessions has failed", "error", err)
	})
}

// backgroundError ends the use of an engine that could not flush or compact: left
// to itself it would try again and again, and stop taking changes.
func (e *engine) backgroundError(err error) {
	if !errors.Is(err, pebble.ErrCancelledCompaction) {
		e.fail(e.fault("write", nil, err))
	}
}

// fault wraps an error or a panic of the engine: a damaged file is named.
func (e *engine) fault(doing string, panicked any, err error) error {
	if panicked != nil {
		err = fmt.Errorf("%v", panicked)
	}
	if err == nil {
		return nil
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		err = damaged(info.Path, info.Details)
	} else if pebble.IsCorruptionError(err) || errors.Is(err, errKeptBadly) {
		err = damaged(e.dir, err)
	}
	return fmt.Errorf("%s in %s: %w", doing, e.dir, err)
}

func damaged(path string, why error) error { return fmt.Errorf("%s is %w: %w", path, ErrDamaged, why) }

// engineLogger turns what would end the process into the engine's failure.
type engineLogger struct{ *engine }

// Infof implements pebble.Logger.
func (l engineLogger) Infof(format string, args ...any) {
	l.logger.Debug(fmt.Sprintf(format, args...), "dir", l.dir)
}

// Errorf implements pebble.Logger.
func (l engineLogger) Errorf(format string, args ...any) { l.Infof(format, args...) }

// Fatalf implements pebble.Logger.
func (l engineLogger) Fatalf(format string, args ...any) { l.fail(fmt.Errorf(format, args...)) }
