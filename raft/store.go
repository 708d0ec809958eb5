package raft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"syscall"
	"time"

	hraft "github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// The log stores, values of [Config].LogStore.
const (
	LogStoreBoltDB = "boltdb" // one B+tree file: raft.db
	LogStoreWAL    = "wal"    // append-only segments, and a small B+tree file for the rest: wal/
)

// cachedEntries are in memory for the followers: 16 MiB of batches; of single
// larger commands up to 64 × MaxCommandBytes.
const cachedEntries = 64

// rejoin is what to do about a damaged disk. A node that began with an empty
// directory takes no part in elections before it has caught up (see voteGuard).
const rejoin = "remove the data directory and let this node rejoin from its peers (without peers: restore a backup)"

// mend is what to do about a disk that refuses: what is on it may be whole.
const mend = "see to the disk and to this process's rights to it, then start this node again; if it is lost, " + rejoin

var (
	errUnsealed   = errors.New("it has no checksum")
	errOtherIndex = errors.New("it is filed under another entry's index")
	errEntrySum   = errors.New("the checksum does not match")
)

// refusalIn is an error that the disk, or who may read it, is the cause of, not what is on
// it; nil if it is none.
func refusalIn(err error) error {
	number, refused := errors.AsType[syscall.Errno](err)
	if !refused || number == syscall.ENOENT || errors.Is(err, ErrDamaged) {
		return nil
	}
	return err
}

// unusableFile is the one line about a file that cannot be trusted, or that cannot be used.
func unusableFile(path string, why error) error {
	if refusalIn(why) != nil {
		return fmt.Errorf("%s cannot be used: %w: %s", path, why, mend)
	}
	return fmt.Errorf("%s is %w: %w: %s", path, ErrDamaged, why, rejoin)
}

// keptLog is a library's store of entries and of a few values beside them.
type keptLog interface {
	hraft.LogStore
	hraft.StableStore
	Close() error
}

// diskStore is the log on disk, fsynced on every append. Over whichever library
// keeps the entries it verifies every entry that it writes and reads, knows how
// long the append under way has taken, and remembers what it has promised.
type diskStore struct {
	*stable // term, vote and the like
	kept    keptLog
	kind    string                    // LogStoreBoltDB or LogStoreWAL
	file    func(index uint64) string // that holds the entry
	piece   func(from uint64) uint64  // the last entry of those that are deleted together
	promise *promise

	applied        func() uint64               // index the state machine shows; nil: 0
	closing        <-chan struct{}             // closed when the node has no time; nil: never
	appends        atomic.Uint64               // that were begun
	damaged        atomic.Pointer[func(error)] // told of damage found by a read; nil while the node starts
	appendingSince atomic.Int64                // Unix nanoseconds; 0: no append under way
	refused        atomic.Pointer[refusedAppend]
}

// refusedAppend is the newest append, if the disk did not take it.
type refusedAppend struct {
	at  time.Time
	err error
}

// StoreLog implements hraft.LogStore.
func (s *diskStore) StoreLog(l *hraft.Log) error { return s.StoreLogs([]*hraft.Log{l}) }

// StoreLogs implements hraft.LogStore; it returns after fsync.
func (s *diskStore) StoreLogs(logs []*hraft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	for _, l := range logs {
		if err := checkLog(l); err != nil {
			return err
		}
	}
	s.appends.Add(1)
	s.appendingSince.Store(time.Now().UnixNano())
	defer s.appendingSince.Store(0)
	err := s.write(logs)
	if err == nil {
		err = s.promise.setLast(logs[len(logs)-1].Index)
	}
	if tell := s.damaged.Load(); errors.Is(err, wal.ErrSealed) && tell != nil {
		(*tell)(fmt.Errorf("begin the next segment of the log after %s: the disk refused: make space on it, or mend it, then start this node again", s.file(logs[0].Index)))
	}
	if err != nil {
		s.refused.Store(&refusedAppend{time.Now(), err})
	} else if s.refused.Load() != nil {
		s.refused.Store(nil)
	}
	return err
}

func (s *diskStore) write(logs []*hraft.Log) (err error) {
	defer recovered(&err)
	return s.kept.StoreLogs(sealLogs(logs))
}

// keyTerm is the library's name for the node's term.
const keyTerm = "CurrentTerm"

// SetUint64 implements hraft.StableStore. A term that cannot be written ends the node,
// with a line: the library would panic.
func (s *diskStore) SetUint64(key []byte, value uint64) error {
	err := s.stable.SetUint64(key, value)
	if tell := s.damaged.Load(); err != nil && string(key) == keyTerm && tell != nil {
		(*tell)(fmt.Errorf("write the term to %s: %w: make space on the disk, or mend it, then start this node again", s.file(0), err))
	}
	return err
}

// FirstIndex implements hraft.LogStore; 0 when the log is empty.
func (s *diskStore) FirstIndex() (index uint64, err error) {
	defer recovered(&err)
	return s.kept.FirstIndex()
}

// LastIndex implements hraft.LogStore; 0 when the log is empty.
func (s *diskStore) LastIndex() (index uint64, err error) {
	defer recovered(&err)
	return s.kept.LastIndex()
}

// GetLog implements hraft.LogStore.
func (s *diskStore) GetLog(index uint64, l *hraft.Log) error {
	*l = hraft.Log{}
	err := s.read(index, l)
	if err == nil || errors.Is(err, hraft.ErrLogNotFound) {
		return err
	}
	err = unusableFile(s.file(index), fmt.Errorf("entry %d: %w", index, err))
	if tell := s.damaged.Load(); tell != nil {
		(*tell)(err)
	}
	return err
}

// read is GetLog without its consequences. The libraries panic on some damage.
func (s *diskStore) read(index uint64, l *hraft.Log) (err error) {
	defer recovered(&err)
	if err := s.kept.GetLog(index, l); err != nil {
		return err
	}
	if err := unsealLog(l, index, s.kind == LogStoreBoltDB); err != nil {
		return err
	}
	return checkLog(l)
}

// DeleteRange implements hraft.LogStore. What a snapshot covers stays promised;
// what another leader overrules does not, and that is on disk first.
func (s *diskStore) DeleteRange(from, to uint64) (err error) {
	defer recovered(&err)
	applied := uint64(0)
	if s.applied != nil {
		applied = s.applied()
	}
	if last, _ := s.promise.get(); to >= last {
		if kept := max(from-1, applied); kept < last {
			if err := s.promise.setLast(kept); err != nil {
				return err
			}
		}
	}
	// What was not applied may be overruled, and is the end of the log: it goes at once, or
	// a crash would leave a hole.
	if first, err := s.kept.FirstIndex(); err != nil || from > first || to > applied {
		return s.kept.DeleteRange(from, to)
	}
	for appends := s.appends.Load(); from <= to; {
		begun := time.Now()
		last := min(s.piece(from), to)
		if err := s.kept.DeleteRange(from, last); err != nil {
			return err
		}
		if from, err = s.kept.FirstIndex(); err != nil || from == 0 {
			return err // empty; else it may go on far behind, after a snapshot that was sent
		}
		if now := s.appends.Load(); now != appends {
			appends = now
			if pause(deletionPause*time.Since(begun), s.closing) {
				return errStopped // what is left begins where it may
			}
		}
	}
	return nil
}

// The beginning of the log is deleted in pieces, for which appends wait: some entries of
// a B+tree, or a segment of the WAL. While there are any, each piece is followed by a
// pause of so many times what it took: the lock within goes to whom it pleases.
const (
	deletedAtOnce = 32 // entries of a B+tree
	deletionPause = 3
)

// pieceOfTree is the last entry of a piece of a B+tree that begins with an entry.
func pieceOfTree(from uint64) (last uint64) { return from + deletedAtOnce - 1 }

// IsMonotonic implements hraft.MonotonicLogStore: whether the log can have no gap.
func (s *diskStore) IsMonotonic() bool { return s.kind == LogStoreWAL }

// Close releases the disk.
func (s *diskStore) Close() error {
	s.damaged.Store(nil) // a read that comes too late is not damage
	return errors.Join(s.kept.Close(), s.promise.close())
}

func recovered(err *error) {
	if p := recover(); p != nil {
		if cause, ok := p.(error); ok {
			*err = cause
			return
		}
		*err = fmt.Errorf("%v", p)
	}
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

// sealLogs adds a checksum over the whole of each entry, which stays on this
// disk: an entry's own (see sealEntry) says nothing of its index, its term and
// its type, and a configuration has none. The originals stay as they are.
func sealLogs(logs []*hraft.Log) []*hraft.Log {
	sealed := make([]*hraft.Log, len(logs))
	for i, l := range logs {
		withSum := *l
		withSum.Extensions = binary.BigEndian.AppendUint32(nil, sumLog(l))
		sealed[i] = &withSum
	}
	return sealed
}

// unsealLog verifies and removes the checksum. Logs of raft-boltdb from before
// there was one have none.
func unsealLog(l *hraft.Log, index uint64, optional bool) error {
	sum := l.Extensions
	l.Extensions = nil
	switch {
	case l.Index != index:
		return fmt.Errorf("%w %d", errOtherIndex, l.Index)
	case len(sum) == 0 && optional:
		return nil
	case len(sum) != crc32.Size:
		return errUnsealed
	case binary.BigEndian.Uint32(sum) != sumLog(l):
		return errEntrySum
	}
	return nil
}

// sumLog covers all but AppendedAt, which only metrics use.
func sumLog(l *hraft.Log) uint32 {
	var head [17]byte
	binary.BigEndian.PutUint64(head[:], l.Index)
	binary.BigEndian.PutUint64(head[8:], l.Term)
	head[16] = byte(l.Type)
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, l.Data)
}

// stalledFor is how long the append under way has taken; 0 when there is none.
func (s *diskStore) stalledFor() time.Duration {
	since := s.appendingSince.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - since)
}
