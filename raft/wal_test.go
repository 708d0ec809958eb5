package raft

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// walFiles are the files of a WAL by their names, as a crash may leave them.
type walFiles map[string][]byte

func readWAL(t *testing.T, dir string) walFiles {
	t.Helper()
	files := walFiles{}
	found, err := os.ReadDir(filepath.Join(dir, walDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		if files[file.Name()], err = os.ReadFile(filepath.Join(dir, walDir, file.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// restore makes them all that there is.
func (f walFiles) restore(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, walDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, walDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range f {
		if err := os.WriteFile(filepath.Join(dir, walDir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func closeStore(t *testing.T, s *diskStore) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close the store: %v", err)
	}
}

// goesOn opens a log, and fails unless it has the entries up to one of the two, takes more,
// and has them all when it is opened again.
func goesOn(t *testing.T, dir string, least, most uint64) {
	t.Helper()
	s := openStore(t, dir, LogStoreWAL)
	last, err := s.LastIndex()
	if err != nil || last < least || last > most {
		t.Fatalf("the last entry is %d, %v, want %d to %d", last, err, least, most)
	}
	const more = 20 // at least a segment
	appendEntries(t, s, 1, last+1, last+more)
	closeStore(t, s)
	s = openStore(t, dir, LogStoreWAL)
	for index := uint64(1); index <= last+more; index++ {
		if err := reads(s, index, 1); err != nil {
			t.Errorf("entry %d: %v", index, err)
		}
	}
	closeStore(t, s)
}

// appendTo appends the next entry to a log, and returns the files before and after.
func appendTo(t *testing.T, dir string, index uint64) (before, after walFiles) {
	t.Helper()
	closeStore(t, openStore(t, dir, LogStoreWAL)) // what the append before began has ended
	before = readWAL(t, dir)
	s := openStore(t, dir, LogStoreWAL)
	appendEntries(t, s, 1, index, index)
	closeStore(t, s)
	return before, readWAL(t, dir)
}

// newest is the file of the newest segment.
func (f walFiles) newest() (name string) {
	for other := range f {
		if strings.HasSuffix(other, ".wal") && other > name { // names begin with the index
			name = other
		}
	}
	return name
}

// begins reports whether the newest segment begins with an entry: the one before was filled
// by the entry before.
func (f walFiles) begins(index uint64) bool {
	return strings.HasPrefix(f.newest(), fmt.Sprintf("%020d-", index))
}

// TestSegmentThatWasNotFollowed: the node ends right after each of some appends, also one
// that fills a segment, before it is written down that another follows (known bug 25). Of
// that one is nothing there, or its file, or that with an entry.
func TestSegmentThatWasNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled := 0
	for last := uint64(1); last <= 30; last++ {
		before, after := appendTo(t, dir, last)
		_, both := appendTo(t, dir, last+1)
		full := both.begins(last + 1)
		if full {
			filled++
		}
		crashed := maps.Clone(before)
		crashed[before.newest()] = after[before.newest()]
		crashed.restore(t, dir)
		goesOn(t, dir, last, last)
		if full {
			for at, files := range map[uint64]walFiles{last: after, last + 1: both} {
				if follower, begun := files[both.newest()]; begun {
					crashed[both.newest()] = follower
					crashed.restore(t, dir)
					goesOn(t, dir, at, at)
				}
			}
		}
		after.restore(t, dir)
	}
	if filled < 2 {
		t.Errorf("%d of these appends filled a segment, want some", filled)
	}
}

// TestSegmentThatWasFilledInPart: the append that fills a segment is torn. It was not
// acknowledged; what was before it is.
func TestSegmentThatWasFilledInPart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for last := uint64(1); ; last++ {
		if last > 30 {
			t.Fatal("no segment was filled")
		}
		before, after := appendTo(t, dir, last)
		_, both := appendTo(t, dir, last+1)
		if !both.begins(last + 1) {
			after.restore(t, dir)
			continue
		}
		name := before.newest()
		old, torn := before[name], after[name]
		from := 0
		for from < len(old) && old[from] == torn[from] {
			from++
		}
		for end := from; end < len(torn); end += 3 {
			crashed := walFiles{metadb.FileName: before[metadb.FileName], name: slices.Clone(torn)}
			clear(crashed[name][end:]) // the file is reserved, and longer where it is exceeded
			if len(old) > end {
				copy(crashed[name][end:], old[end:])
			}
			crashed.restore(t, dir)
			goesOn(t, dir, last-1, last)
		}
		return
	}
}

// TestSegmentOfOverruledEntries: that a segment was cut and another follows is lost. Its
// entries are overruled, and it is refused.
func TestSegmentOfOverruledEntries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, LogStoreWAL)
	appendEntries(t, s, 1, 1, 6)
	closeStore(t, s)
	meta := readWAL(t, dir)[metadb.FileName]
	s = openStore(t, dir, LogStoreWAL)
	if err := s.DeleteRange(3, 6); err != nil {
		t.Fatal(err)
	}
	appendEntries(t, s, 2, 3, 5)
	closeStore(t, s)
	files := readWAL(t, dir)
	files[metadb.FileName] = meta
	files.restore(t, dir)
	s, err := tryStore(dir, LogStoreWAL)
	if err == nil {
		_ = s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "is damaged: ") || !strings.Contains(err.Error(), "begins at entry 3 nothing is known, expected one at entry 7") {
		t.Errorf("opened: %v", err)
	}
}

// TestSegmentThatCannotBeBegun: a segment is full, and the disk does not take the next: in
// its place are files. The node ends with a line, and goes on when it is started again.
func TestSegmentThatCannotBeBegun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, LogStoreWAL)
	var told []error
	damaged := func(err error) { told = append(told, err) }
	s.damaged.Store(&damaged)
	var inTheWay []string
	for first := range uint64(40) {
		path := filepath.Join(dir, walDir, segment.FileName(types.SegmentInfo{BaseIndex: first + 1, ID: 1}))
		inTheWay = append(inTheWay, path)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	last := uint64(0)
	for err == nil && last < 40 {
		if err = s.StoreLog(entryOf(last+1, 1)); err == nil {
			last++
		}
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "make space on it, or mend it, then start this node again") {
		t.Errorf("after %d entries, %v: it told %v", last, err, told)
	}
	closeStore(t, s)
	for _, path := range inTheWay {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	goesOn(t, dir, last, last)
}

// TestSegmentWithoutItsSpace: where no disk reserves so much, the segment is made without; not
// over one that is there.
func TestSegmentWithoutItsSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := roomyFS{walfs.New()}.Create(dir, "segment", 1<<62)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("entry"), 0); err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if _, err := (roomyFS{walfs.New()}).Create(dir, "segment", 1<<62); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made again: %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "segment")); err != nil || string(data) != "entry" {
		t.Errorf("it holds %q, %v", data, err)
	}
}

// refusing is a segment on a disk that refuses its index the first time; the library then
// takes it for written.
type refusing struct {
	types.SegmentWriter
	asked int
}

var errRefused = errors.New("no space left")

func (r *refusing) ForceSeal() (uint64, error) {
	if r.asked++; r.asked == 1 {
		return 0, errRefused
	}
	return 4096, nil
}

// TestRefusedIndexIsNotTakenForWritten: a cut that the disk refused stays refused.
func TestRefusedIndexIsNotTakenForWritten(t *testing.T) {
	t.Parallel()
	w, err := cutOnce(&refusing{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.ForceSeal(); !errors.Is(err, errRefused) {
			t.Errorf("cut: %v", err)
		}
	}
	if start, err := (&cutWriter{SegmentWriter: &refusing{asked: 1}}).ForceSeal(); start != 4096 || err != nil {
		t.Errorf("where the disk does not refuse: %d, %v", start, err)
	}
}
