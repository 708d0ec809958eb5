package raft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	hraft "github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// smallSegments lets a few entries fill several segments.
const smallSegments = 8 << 10

func tryStore(dir, kind string) (*diskStore, error) {
	return openDiskStore(Config{DataDir: dir, NodeID: "n1", LogStore: kind, segmentBytes: smallSegments}, hclog.NewNullLogger())
}

func openStore(t testing.TB, dir, kind string) *diskStore {
	t.Helper()
	s, err := tryStore(dir, kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func onEachStore(t *testing.T, run func(t *testing.T, kind string)) {
	for _, kind := range logStores {
		t.Run(kind, func(t *testing.T) { run(t, kind) })
	}
}

// entryOf is an entry of about a kilobyte.
func entryOf(index, term uint64) *hraft.Log {
	return &hraft.Log{Index: index, Term: term, Type: hraft.LogCommand, Data: sealed(int64(index), strings.Repeat(fmt.Sprintf("%d-%d ", index, term), 120))}
}

func appendEntries(t testing.TB, s *diskStore, term, from, to uint64) {
	t.Helper()
	for index := from; index <= to; index++ {
		if err := s.StoreLog(entryOf(index, term)); err != nil {
			t.Fatalf("append entry %d: %v", index, err)
		}
	}
}

func reads(s *diskStore, index, term uint64) error {
	var got hraft.Log
	if err := s.GetLog(index, &got); err != nil {
		return err
	}
	if want := entryOf(index, term); got.Index != index || got.Term != term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) || got.Extensions != nil {
		return fmt.Errorf("entry %d of term %d reads as %d of term %d", index, term, got.Index, got.Term)
	}
	return nil
}

func TestStoreRefusesDamagedEntries(t *testing.T) {
	onEachStore(t, func(t *testing.T, kind string) {
		store := openStore(t, t.TempDir(), kind)
		defer store.Close()
		appendEntries(t, store, 1, 1, 1)
		bad := entryOf(2, 1)
		bad.Data[len(bad.Data)-5] ^= 1
		if err := store.StoreLog(bad); !errors.Is(err, errDamagedEntry) {
			t.Errorf("a damaged entry was taken: %v", err)
		}
		// As if the disk had damaged them: each but for one thing as it was written.
		next := uint64(2)
		wrong := sealLogs([]*hraft.Log{entryOf(next, 1)})[0]
		wrong.Term++
		if err := store.kept.StoreLog(wrong); err != nil {
			t.Fatal(err)
		}
		if err := reads(store, next, 1); !errors.Is(err, errEntrySum) || !strings.Contains(err.Error(), store.file(next)) {
			t.Errorf("read: %v, want %v and the file", err, errEntrySum)
		}
		next++
		configuration := &hraft.Log{Index: next, Term: 1, Type: hraft.LogConfiguration, Data: []byte("members")}
		wrong = sealLogs([]*hraft.Log{configuration})[0]
		wrong.Data = []byte("mambers")
		if err := store.kept.StoreLog(wrong); err != nil {
			t.Fatal(err)
		}
		if err := reads(store, next, 1); !errors.Is(err, errEntrySum) {
			t.Errorf("a damaged configuration was read: %v", err)
		}
		var told error
		tell := func(err error) { told = err }
		store.damaged.Store(&tell)
		if err := reads(store, next, 1); err == nil || told != err { //nolint:errorlint // the very same
			t.Errorf("the node was told %v of %v", told, err)
		}
		if err := reads(store, 1, 1); err != nil {
			t.Errorf("the good entry: %v", err)
		}
		if err := reads(store, next+1, 1); err != hraft.ErrLogNotFound { //nolint:errorlint // the library compares so
			t.Errorf("an entry that is not there: %v", err)
		}
	})
}

// An entry under another's key: what a flipped bit in a key of the tree does.
func TestUnsealLog(t *testing.T) {
	seal := func() *hraft.Log { return sealLogs([]*hraft.Log{entryOf(5, 1)})[0] }
	if err := unsealLog(seal(), 5, false); err != nil {
		t.Error(err)
	}
	if err := unsealLog(seal(), 7, false); !errors.Is(err, errOtherIndex) {
		t.Errorf("under another index: %v", err)
	}
	if err := unsealLog(entryOf(5, 1), 5, false); !errors.Is(err, errUnsealed) {
		t.Errorf("without a checksum: %v", err)
	}
	if err := unsealLog(entryOf(5, 1), 5, true); err != nil {
		t.Errorf("from before checksums: %v", err)
	}
}

// slowLog hangs in its appends.
type slowLog struct {
	keptLog
	begun, end chan struct{}
}

func (l slowLog) StoreLogs(logs []*hraft.Log) error {
	close(l.begun)
	<-l.end
	return l.keptLog.StoreLogs(logs)
}

// Known bug 8: whichever library appends, it shows for how long.
func TestStalledAppendIsSeen(t *testing.T) {
	onEachStore(t, func(t *testing.T, kind string) {
		store := openStore(t, t.TempDir(), kind)
		defer store.Close()
		slow := slowLog{store.kept, make(chan struct{}), make(chan struct{})}
		store.kept = slow
		appended := make(chan error)
		go func() { appended <- store.StoreLog(entryOf(1, 1)) }()
		<-slow.begun
		if store.stalledFor() <= 0 {
			t.Error("an append under way does not show")
		}
		close(slow.end)
		if err := <-appended; err != nil || store.stalledFor() != 0 {
			t.Errorf("after the append: %v, stalled for %s", err, store.stalledFor())
		}
	})
}

func TestOtherLogStoreIsRefused(t *testing.T) {
	onEachStore(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		if err := openStore(t, dir, kind).Close(); err != nil {
			t.Fatal(err)
		}
		for _, other := range logStores {
			if other == kind {
				continue
			}
			store, err := tryStore(dir, other)
			if err == nil {
				_ = store.Close()
				t.Fatalf("opened with %s what was made with %s", other, kind)
			}
			if want := "start with --log-store " + kind; !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("refused with %q, want one line with %q", err, want)
			}
		}
		if err := openStore(t, dir, kind).Close(); err != nil { // the refusal left it alone
			t.Error(err)
		}
	})
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		first := openStore(t, dir, kind)
		defer first.Close()
		second, err := tryStore(dir, kind)
		if err == nil {
			_ = second.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "another process uses it") {
			t.Errorf("opened twice: %v", err)
		}
	})
}

// A directory of raft-boltdb from before entries and stable values had checksums.
func TestUnsealedDirectoryIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	bolt, err := raftboltdb.NewBoltStore(filepath.Join(dir, boltFile))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(bolt.Set(keyNodeID, []byte("n1")), bolt.SetUint64([]byte("CurrentTerm"), 7), bolt.SetUint64(keyVoteFrom, 0),
		bolt.StoreLog(entryOf(1, 7)), bolt.Close())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := openStore(t, dir, LogStoreBoltDB)
		if term, err := s.GetUint64([]byte("CurrentTerm")); err != nil || term != 7 {
			t.Errorf("term %d, %v", term, err)
		}
		if err := reads(s, 1, 7); err != nil {
			t.Error(err)
		}
		if last, _ := s.promise.get(); last != 1 {
			t.Errorf("promises %d entries, holds 1", last)
		}
		if err := errors.Join(s.SetUint64(keyFounded, 1), s.Close()); err != nil { // seals
			t.Fatal(err)
		}
	}
}

// Known bug 11: after a conflicting suffix was removed, the log opens again, with
// the entries that replaced it, wherever in a segment the cut was.
func TestConflictingSuffixAndRestart(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, kind string) {
		const last = 24 // fills several small segments
		for cut := uint64(2); cut <= last; cut += 3 {
			dir := t.TempDir()
			s := openStore(t, dir, kind)
			appendEntries(t, s, 1, 1, last)
			if err := s.DeleteRange(cut, last); err != nil {
				t.Fatal(err)
			}
			if promised, _ := s.promise.get(); promised != cut-1 {
				t.Errorf("cut at %d: promises %d entries", cut, promised)
			}
			if cut%2 == 0 { // restarted before or after the entries that replace them
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openStore(t, dir, kind)
			}
			appendEntries(t, s, 2, cut, cut+9)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir, kind)
			for index := uint64(1); index <= cut+9; index++ {
				term := uint64(1)
				if index >= cut {
					term = 2
				}
				if err := reads(s, index, term); err != nil {
					t.Errorf("cut at %d: %v", cut, err)
				}
			}
			if got, err := s.LastIndex(); got != cut+9 || err != nil {
				t.Errorf("cut at %d: the log ends at %d, %v", cut, got, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What a snapshot lets go of is deleted in parts, to the last entry of it.
func TestLongBeginningIsDeleted(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, kind string) {
		for _, to := range []uint64{deletedAtOnce - 1, deletedAtOnce, 2*deletedAtOnce + 1} {
			s := openStore(t, t.TempDir(), kind)
			appendEntries(t, s, 1, 1, 2*deletedAtOnce+2)
			s.applied = func() uint64 { return 2*deletedAtOnce + 2 }
			if err := s.DeleteRange(1, to); err != nil {
				t.Fatal(err)
			}
			if first, err := s.FirstIndex(); first != to+1 || err != nil {
				t.Errorf("without entries to %d the log begins at %d, %v", to, first, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// pieces remembers how many segments each deletion left.
type pieces struct {
	keptLog
	dir  string
	left []int
}

func (p *pieces) DeleteRange(from, to uint64) error {
	err := p.keptLog.DeleteRange(from, to)
	p.left = append(p.left, countSegments(p.dir))
	return err
}

func countSegments(dir string) (n int) {
	for range segmentsOf(dir) {
		n++
	}
	return n
}

// A beginning that fills many segments goes one segment at a time, for the disk's sake.
func TestLongBeginningIsDeletedBySegments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, LogStoreWAL)
	defer s.Close()
	const entries = 400
	appendEntries(t, s, 1, 1, entries)
	s.applied = func() uint64 { return entries }
	segments := countSegments(dir)
	p := &pieces{keptLog: s.kept, dir: dir}
	s.kept = p
	if err := s.DeleteRange(1, entries-1); err != nil {
		t.Fatal(err)
	}
	for _, left := range p.left {
		if left < segments-1 {
			t.Fatalf("of %d segments %v were left after each deletion, want one less each time", segments, p.left)
		}
		segments = left
	}
	if len(p.left) < 4 || segments > 2 {
		t.Errorf("%v segments were left after each deletion, want four of them at least, and no more than the newest in the end", p.left)
	}
	if first, err := s.FirstIndex(); first != entries || err != nil {
		t.Errorf("the log begins at %d (%v), want %d", first, err, entries)
	}
}

// What another leader overrules goes at once, though it be the whole log: a crash between
// two pieces would leave an end without its beginning.
func TestOverruledLogGoesAtOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, kind string) {
		dir := t.TempDir()
		s := openStore(t, dir, kind)
		defer s.Close()
		const entries = 400
		appendEntries(t, s, 1, 1, entries)
		s.applied = func() uint64 { return 0 }
		p := &pieces{keptLog: s.kept, dir: dir}
		s.kept = p
		if err := s.DeleteRange(1, entries); err != nil {
			t.Fatal(err)
		}
		if len(p.left) != 1 {
			t.Errorf("it was deleted in %d pieces", len(p.left))
		}
	})
}

// TestGapIsNotDeletedByPieces: behind a snapshot that was sent, a B+tree has a gap as long
// as the node was away.
func TestGapIsNotDeletedByPieces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, LogStoreBoltDB)
	defer s.Close()
	const after = 1_000_000
	appendEntries(t, s, 1, 1, 2*deletedAtOnce)
	appendEntries(t, s, 1, after, after+10)
	s.applied = func() uint64 { return after + 10 }
	p := &pieces{keptLog: s.kept, dir: dir}
	s.kept = p
	if err := s.DeleteRange(1, after+5); err != nil {
		t.Fatal(err)
	}
	if first, _ := s.FirstIndex(); first != after+6 || len(p.left) != 3 {
		t.Errorf("deleted in %d pieces, the log begins at %d", len(p.left), first)
	}
}

// TestNodeThatClosesLeavesTheRestOfALog: a beginning that is not deleted yet is no harm.
func TestNodeThatClosesLeavesTheRestOfALog(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), LogStoreBoltDB)
	defer s.Close()
	const entries = 10 * deletedAtOnce
	appendEntries(t, s, 1, 1, entries)
	s.applied = func() uint64 { return entries }
	closing := make(chan struct{})
	close(closing)
	s.closing = closing
	s.kept = &appending{keptLog: s.kept, appends: &s.appends}
	if err := s.DeleteRange(1, entries-1); !errors.Is(err, errStopped) {
		t.Errorf("deleted: %v, want %v", err, errStopped)
	}
	if first, _ := s.FirstIndex(); first != deletedAtOnce+1 {
		t.Errorf("the log begins at %d, want %d", first, deletedAtOnce+1)
	}
}

// appending is a log that is appended to while it is deleted from.
type appending struct {
	keptLog
	appends *atomic.Uint64
}

func (a *appending) DeleteRange(from, to uint64) error {
	a.appends.Add(1)
	return a.keptLog.DeleteRange(from, to)
}

// TestLogBehindASentSnapshotIsDropped: the node was killed between the two. A WAL would
// take no entry after the snapshot; without the snapshot the log is all there is.
func TestLogBehindASentSnapshotIsDropped(t *testing.T) {
	t.Parallel()
	for _, damaged := range []bool{false, true} {
		dir := t.TempDir()
		s := openStore(t, dir, LogStoreWAL)
		defer s.Close()
		appendEntries(t, s, 1, 1, 10)
		n := &Node{cfg: Config{DataDir: dir, LogStore: LogStoreWAL}, store: s}
		snapshots, err := openSnapshots(dir, s.promise, hclog.NewNullLogger())
		mustDo(t, err)
		sink := newSink(t, snapshots, 20)
		_, err = io.WriteString(sink, testState)
		mustDo(t, err, sink.Close())
		want := uint64(0)
		if damaged {
			mustDo(t, os.Truncate(stateOf(snapshots, sink.ID()), 5))
			want = 10
		}
		mustDo(t, n.dropOvertaken(snapshots))
		if last, _ := s.LastIndex(); last != want {
			t.Errorf("the snapshot damaged: %v: the log ends at %d, want %d", damaged, last, want)
		}
		if !damaged {
			appendEntries(t, s, 2, 21, 22)
		}
	}
}

// A snapshot that lets the whole log go does not take back that its entries
// were promised; one that lets go of the beginning neither.
func TestCompactionKeepsThePromise(t *testing.T) {
	onEachStore(t, func(t *testing.T, kind string) {
		s := openStore(t, t.TempDir(), kind)
		defer s.Close()
		s.applied = func() uint64 { return 10 }
		appendEntries(t, s, 1, 1, 10)
		for _, to := range []uint64{4, 10} {
			if err := s.DeleteRange(1, to); err != nil {
				t.Fatal(err)
			}
			if promised, _ := s.promise.get(); promised != 10 {
				t.Errorf("after a snapshot let go of entries to %d: promises %d, want 10", to, promised)
			}
		}
		appendEntries(t, s, 1, 11, 12)
		if promised, _ := s.promise.get(); promised != 12 {
			t.Errorf("promises %d, want 12", promised)
		}
	})
}

// A snapshot that a leader sent stands for entries that the log never had: losing
// it is found too.
func TestSnapshotIsPromised(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, LogStoreWAL)
	defer s.Close()
	n := &Node{cfg: Config{DataDir: dir, LogStore: LogStoreWAL}, store: s}
	open := func() *snapshotStore {
		snapshots, err := openSnapshots(dir, s.promise, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		return snapshots
	}
	write := func(index uint64) hraft.SnapshotSink {
		sink, err := open().Create(1, index, 1, hraft.Configuration{}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write([]byte("state")); err != nil {
			t.Fatal(err)
		}
		return sink
	}
	if err := write(40).Cancel(); err != nil {
		t.Fatal(err)
	}
	if promised, _ := s.promise.get(); promised != 0 {
		t.Errorf("promises %d entries for a snapshot that was given up", promised)
	}
	complete := write(30)
	if err := complete.Close(); err != nil {
		t.Fatal(err)
	}
	if promised, _ := s.promise.get(); promised != 30 {
		t.Errorf("promises %d entries, want those of the snapshot, 30", promised)
	}
	if err := n.checkPromise(open()); err != nil {
		t.Errorf("with its snapshot: %v", err)
	}
	meta, state, err := open().Open(complete.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(state); err != nil || string(got) != "state" || meta.Size != int64(len(got)) {
		t.Errorf("the state reads as %q of %d bytes, %v", got, meta.Size, err)
	}
	before, err := open().FileSnapshotStore.Create(1, 31, 1, hraft.Configuration{}, 1, nil)
	if err == nil {
		_, err = before.Write([]byte("from before"))
	}
	if err := errors.Join(err, before.Close()); err != nil {
		t.Fatal(err)
	}
	_, old, err := open().Open(before.ID())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(old); err != nil || string(got) != "from before" {
		t.Errorf("a snapshot from before they had a head reads as %q, %v", got, err)
	}
	if err := errors.Join(old.Close(), state.Close(), os.RemoveAll(filepath.Join(dir, "snapshots"))); err != nil {
		t.Fatal(err)
	}
	if err := n.checkPromise(open()); !errors.Is(err, errShort) {
		t.Errorf("without its snapshot: %v, want %v", err, errShort)
	}
}

// One flipped bit anywhere in what a store keeps: it refuses to open, refuses to
// read, or holds what it held. Never another entry, vote or term; and never a
// log that ends earlier without the promise telling (known bugs 4 and 13).
func TestOneFlippedBit(t *testing.T) {
	t.Parallel()
	const last, flips = 24, 250
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	onEachStore(t, func(t *testing.T, kind string) {
		chance := rand.New(rand.NewPCG(seed, 0))
		pristine := t.TempDir()
		s := openStore(t, pristine, kind)
		s.applied = func() uint64 { return 5 }
		term := []byte("CurrentTerm")
		appendEntries(t, s, 1, 1, last)
		if err := errors.Join(s.DeleteRange(1, 5), s.SetUint64(term, 1), s.SetUint64(term, 2), s.Close()); err != nil {
			t.Fatal(err)
		}
		used := usedBytes(t, pristine)
		refusals := 0
		for range flips {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
				t.Fatal(err)
			}
			at := used[chance.IntN(len(used))]
			bit := byte(1) << chance.IntN(8)
			flip(t, filepath.Join(dir, at.file), at.offset, bit)
			if err := intact(dir, kind, term, 6, last); errors.Is(err, errWrongData) {
				t.Errorf("%s, byte %d, bit %#x: %v", at.file, at.offset, bit, err)
			} else if err != nil {
				refusals++
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), rejoin) {
					t.Errorf("%s, byte %d, bit %#x: refused with %q, want the file and what to do", at.file, at.offset, bit, err)
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d of %d flipped bits were refused, the others did no harm", refusals, flips)
		if refusals < flips/4 {
			t.Errorf("only %d of %d flipped bits were refused", refusals, flips)
		}
	})
}

var errWrongData = errors.New("wrong data")

// intact opens a store and reads everything; nil when it is what was written.
func intact(dir, kind string, term []byte, first, last uint64) error {
	s, err := tryStore(dir, kind)
	if err != nil {
		return err
	}
	defer s.Close()
	if got, err := s.GetUint64(term); err != nil || got != 2 {
		return fmt.Errorf("%w: term %d, %w", errWrongData, got, err)
	}
	n := &Node{cfg: Config{DataDir: dir, LogStore: kind}, store: s}
	snapshots, err := openSnapshots(dir, s.promise, hclog.NewNullLogger())
	if err != nil {
		return err
	}
	if err := n.checkPromise(snapshots); err != nil {
		return err
	}
	if got, err := s.LastIndex(); err != nil || got != last {
		return fmt.Errorf("%w: ends at %d: %w", errWrongData, got, err)
	}
	for index := first; index <= last; index++ {
		err := reads(s, index, 1)
		if errors.Is(err, hraft.ErrLogNotFound) { // the library reads all of them and so finds it too
			return unusableFile(treeFile(dir, kind), errHole)
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return fmt.Errorf("%w: %w", errWrongData, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type place struct {
	file   string
	offset int64
}

// usedBytes are the bytes of a directory that are not zero, with their neighbours.
func usedBytes(t *testing.T, dir string) []place {
	var used []place
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		var inFile []place
		for i, b := range data {
			if b != 0 || i > 0 && data[i-1] != 0 {
				inFile = append(inFile, place{name, int64(i)})
			}
		}
		for len(inFile) > 0 && len(inFile) < 4096 { // small files get their share
			inFile = append(inFile, inFile...)
		}
		used = append(used, inFile...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}

func flip(t testing.TB, path string, at int64, bit byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	b := make([]byte, 1)
	if _, err := file.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= bit
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// What the tree check looks for, each broken on purpose: the check refuses it.
func TestTreeCheck(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, LogStoreBoltDB)
	appendEntries(t, s, 1, 1, 40)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, boltFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(data []byte) error {
		broken := filepath.Join(t.TempDir(), "tree")
		if err := os.WriteFile(broken, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(broken)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		return checkTree(file)
	}
	if err := check(whole); err != nil {
		t.Fatalf("a whole file: %v", err)
	}
	meta, err := readTreeMeta(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	page := func(data []byte, id uint64) []byte { return data[id*meta.pageSize:] }
	root, err := treeElements(page(whole, meta.root)[:meta.pageSize], treeLeaf)
	if err != nil {
		t.Fatal(err)
	}
	branch := binary.NativeEndian.Uint64(root[len(root)-1].value) // of the bucket "logs"
	if flags := binary.NativeEndian.Uint16(page(whole, branch)[8:]); flags != treeBranch {
		t.Fatalf("page %d has type %#x, expected a branch: write more entries", branch, flags)
	}
	leaf := binary.NativeEndian.Uint64(page(whole, branch)[treePageHeader+8:])
	for name, test := range map[string]struct {
		want    string
		breakIt func(data []byte)
	}{
		"both metas": {"neither", func(d []byte) { d[20] ^= 1; d[meta.pageSize+20] ^= 1 }},
		"id":         {"it says that it is page", func(d []byte) { page(d, leaf)[0] ^= 0x40 }},
		"type":       {"type", func(d []byte) { page(d, leaf)[8] ^= 4 }},
		"length":     {"out of bounds", func(d []byte) { page(d, leaf)[15] ^= 1 }},
		"count":      {"more than fit", func(d []byte) { page(d, leaf)[11] ^= 0x80 }},
		"key":        {"out of order", func(d []byte) { page(d, leaf)[treePageHeader+4] ^= 8 }},
		"element":    {"ends outside", func(d []byte) { page(d, leaf)[treePageHeader+15] ^= 0x40 }},
		"child": {"referred to twice", func(d []byte) {
			copy(page(d, branch)[treePageHeader+treeElement+8:], page(d, branch)[treePageHeader+8:][:8])
			copy(page(d, branch)[treePageHeader+8:], page(whole, branch)[treePageHeader+8:][:8])
		}},
		"empty branch": {"without children", func(d []byte) { page(d, branch)[10] = 0; page(d, branch)[11] = 0 }},
	} {
		data := bytes.Clone(whole)
		test.breakIt(data)
		if err := check(data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	if err := check(whole[:meta.pages*meta.pageSize-1]); err == nil || !strings.Contains(err.Error(), "bytes long") {
		t.Errorf("cut short: %v", err)
	}
}

// Without Config.Damaged the process ends: with exit code 1 and the reason.
func TestDamageEndsTheProcess(t *testing.T) {
	if os.Getenv("PLAYHEAD_TEST_DAMAGED") != "" {
		Config{NodeID: "n1"}.withDefaults().Damaged(unusableFile("/data/raft.db", errEntrySum))
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestDamageEndsTheProcess$")
	child.Env = append(os.Environ(), "PLAYHEAD_TEST_DAMAGED=1")
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v, want exit code 1", err)
	}
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "/data/raft.db is damaged") || !strings.Contains(lines[0], "node_id=n1") {
		t.Errorf("said %q, want one line with node and file", out)
	}
}
