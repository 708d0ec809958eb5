package raft

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft-wal/metadb"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// TestSegmentThatWasNotFollowed: the node ends right after each of some appends, also the
// one that fills a segment, before it is written down that another follows (known bug 25).
// Of that one there is a file already, or there is not.
func TestSegmentThatWasNotFollowed(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{false, true} {
		filled := 0
		for last := uint64(1); last <= 30; last++ {
			dir := t.TempDir()
			meta := filepath.Join(dir, walDir, metadb.FileName)
			s := openStore(t, dir, LogStoreWAL)
			appendEntries(t, s, 1, 1, last-1)
			closeStore(t, s)
			s = openStore(t, dir, LogStoreWAL) // and what the newest append began has ended
			before, segments := readFile(t, meta), countSegments(dir)
			appendEntries(t, s, 1, last, last)
			if begun {
				appendEntries(t, s, 1, last+1, last+1) // it waits for the next segment
			}
			closeStore(t, s)
			if countSegments(dir) > segments {
				filled++
			}
			if err := os.WriteFile(meta, before, 0o600); err != nil {
				t.Fatal(err)
			}

			s = openStore(t, dir, LogStoreWAL)
			after, err := s.LastIndex()
			if err != nil || after < last {
				t.Fatalf("after %d entries: the last is %d, %v", last, after, err)
			}
			appendEntries(t, s, 1, after+1, last+20)
			closeStore(t, s)
			s = openStore(t, dir, LogStoreWAL)
			for index := uint64(1); index <= last+20; index++ {
				if err := reads(s, index, 1); err != nil {
					t.Errorf("after %d entries: entry %d: %v", last, index, err)
				}
			}
			closeStore(t, s)
		}
		if begun && filled < 2 {
			t.Errorf("after %d of these appends a segment was full, want some", filled)
		}
	}
}

// TestSegmentThatCannotBeBegun: a segment is full, and the disk does not take the next: in
// its place are files. The append hangs, which the node's watch sees, until it can be made,
// or the log is closed; what was written stays.
func TestSegmentThatCannotBeBegun(t *testing.T) {
	t.Parallel()
	for _, mended := range []bool{true, false} {
		dir := t.TempDir()
		s := openStore(t, dir, LogStoreWAL)
		const last = 40 // three segments
		var inTheWay []string
		for first := 2; first <= last; first++ {
			path := filepath.Join(dir, walDir, segment.FileName(types.SegmentInfo{BaseIndex: uint64(first), ID: 1}))
			inTheWay = append(inTheWay, path)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		appended := make(chan error, 1)
		go func() {
			for index := uint64(1); index <= last; index++ {
				if err := s.StoreLog(entryOf(index, 1)); err != nil {
					appended <- err
					return
				}
			}
			appended <- nil
		}()
		for s.stalledFor() < 2*beginAgain {
			select {
			case err := <-appended:
				t.Fatalf("three segments were written where only one could be begun: %v", err)
			case <-time.After(beginAgain / 10):
			}
		}
		if !mended {
			closeStore(t, s)
			if err := <-appended; err == nil {
				t.Error("an append succeeded after the log was closed")
			}
		}
		for _, path := range inTheWay {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if mended {
			if err := <-appended; err != nil {
				t.Errorf("once it could be begun: %v", err)
			}
			closeStore(t, s)
		}
		s = openStore(t, dir, LogStoreWAL)
		reached, err := s.LastIndex()
		if err != nil || reached < 10 || mended && reached < last {
			t.Errorf("the last entry is %d, %v", reached, err)
		}
		appendEntries(t, s, 1, reached+1, last+20)
		for index := uint64(1); index <= last+20; index++ {
			if err := reads(s, index, 1); err != nil {
				t.Errorf("entry %d: %v", index, err)
			}
		}
		closeStore(t, s)
	}
}

func closeStore(t *testing.T, s *diskStore) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(fmt.Errorf("close the store: %w", err))
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
