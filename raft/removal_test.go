package raft

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// takeLarge writes a snapshot whose state takes several pieces.
func takeLarge(t *testing.T, s *snapshotStore, index uint64) (id string) {
	t.Helper()
	sink := newSink(t, s, index)
	_, err := sink.Write(bytes.Repeat([]byte{byte(index)}, 2*removedAtOnce+1))
	mustDo(t, err, sink.Close())
	return sink.ID()
}

func stateOf(s *snapshotStore, id string) string { return filepath.Join(s.dir, id, "state.bin") }

// TestOldSnapshotGoesByPieces: the library does not remove it, and in the end nothing is
// left.
func TestOldSnapshotGoesByPieces(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	s.removal.stop = make(chan struct{})
	oldest := takeLarge(t, s, 1)
	second := takeLarge(t, s, 2)
	reads, err := os.Open(stateOf(s, oldest)) // sees it become shorter
	mustDo(t, err)
	defer reads.Close()
	third := takeLarge(t, s, 3)
	s.removal.under.Wait()
	if got := snapshotsIn(t, s); !slices.Equal(got, []string{second, third}) {
		t.Errorf("kept: %q, want %q", got, []string{second, third})
	}
	if info, err := reads.Stat(); err != nil || info.Size() > removedAtOnce+1<<10 {
		t.Errorf("the old state has %d bytes left (%v), want no more than a piece when it was removed", info.Size(), err)
	}
}

// TestSnapshotThatFailsRemovesNone: two are kept until the next one is complete.
func TestSnapshotThatFailsRemovesNone(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	s.removal.stop = make(chan struct{})
	first, second := takeLarge(t, s, 1), takeLarge(t, s, 2)
	sink := newSink(t, s, 3)
	_, err := io.WriteString(sink, testState)
	mustDo(t, err)
	meta := filepath.Join(sink.dir, "meta.json") // that the library cannot write
	mustDo(t, os.Remove(meta), os.Mkdir(meta, 0o755))
	if err := sink.Close(); err == nil {
		t.Error("the snapshot was closed")
	}
	s.removal.under.Wait()
	if got := snapshotsIn(t, s); !slices.Equal(got, []string{first, second}) {
		t.Errorf("kept: %q, want %q", got, []string{first, second})
	}
}

// TestOldSnapshotThatIsReadStaysWhole: it may be on its way to a slow follower. Another
// that is read does not matter.
func TestOldSnapshotThatIsReadStaysWhole(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	s.removal.stop = make(chan struct{})
	oldest := takeLarge(t, s, 1)
	meta, from, err := s.Open(oldest)
	mustDo(t, err)
	reads, err := os.Open(stateOf(s, oldest)) // sees it become shorter
	mustDo(t, err)
	defer reads.Close()
	second := takeLarge(t, s, 2)
	third := takeLarge(t, s, 3)
	data, err := io.ReadAll(from)
	mustDo(t, err, from.Close())
	s.removal.under.Wait()
	if info, err := reads.Stat(); err != nil || info.Size() > removedAtOnce+1<<10 {
		t.Errorf("the old state has %d bytes left (%v), want no more than a piece when it was removed", info.Size(), err)
	}
	if got := snapshotsIn(t, s); !slices.Equal(got, []string{second, third}) {
		t.Errorf("kept: %q, want %q", got, []string{second, third})
	}
	if int64(len(data)) != meta.Size {
		t.Errorf("%d bytes were read of a snapshot of %d", len(data), meta.Size)
	}
	if len(s.removal.open) > 0 {
		t.Errorf("taken to be read: %v", s.removal.open)
	}
}

// TestNodeThatClosesDoesNotWaitForAReader of what is old.
func TestNodeThatClosesDoesNotWaitForAReader(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	stop := make(chan struct{})
	s.removal.stop = stop
	meta, from, err := s.Open(takeLarge(t, s, 1))
	mustDo(t, err)
	takeLarge(t, s, 2)
	takeLarge(t, s, 3)
	close(stop)
	s.removal.under.Wait()
	if data, err := io.ReadAll(from); err != nil || int64(len(data)) != meta.Size {
		t.Errorf("%d bytes were read of a snapshot of %d: %v", len(data), meta.Size, err)
	}
	mustDo(t, from.Close())
}

// TestOlderSnapshotIsNotToldAsTheNewest: a node's own is complete after a newer one that its
// leader sent meanwhile; and while either is written, the store says so.
func TestOlderSnapshotIsNotToldAsTheNewest(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	own, sent := newSink(t, s, 1), newSink(t, s, 2)
	for i, sink := range []*snapshotSink{sent, own} {
		if got := s.writing.Load(); got != int32(2-i) {
			t.Errorf("%d are being written, want %d", got, 2-i)
		}
		_, err := io.WriteString(sink, testState)
		mustDo(t, err, sink.Close())
		if got := s.lastIndex(); got != 2 {
			t.Errorf("the newest is of entry %d, want 2", got)
		}
	}
	mustDo(t, newSink(t, s, 3).Cancel())
	if got := s.writing.Load(); got != 0 {
		t.Errorf("%d are being written, want none", got)
	}
}

// TestOvertakenSnapshotIsGivenUp: the library would take it for its newest, and the log for
// one that ends there.
func TestOvertakenSnapshotIsGivenUp(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	own := newSink(t, s, 1)
	takeLarge(t, s, 2)
	capture := &snapshot{state: strings.NewReader(testState), at: Place{Index: 1}, closing: make(chan struct{})}
	if err := capture.Persist(own); !errors.Is(err, errOvertaken) {
		t.Errorf("persisted: %v, want %v", err, errOvertaken)
	}
	mustDo(t, own.Cancel())
	next := newSink(t, s, 3)
	capture = &snapshot{state: strings.NewReader(testState), at: Place{Index: 3}, closing: make(chan struct{})}
	mustDo(t, capture.Persist(next), next.Close())
}

// TestLinkedStateIsNotCut: somebody else's name for it, a backup's for instance.
func TestLinkedStateIsNotCut(t *testing.T) {
	t.Parallel()
	s := openTestSnapshots(t, t.TempDir())
	s.removal.stop = make(chan struct{})
	oldest := takeLarge(t, s, 1)
	before, err := os.Stat(stateOf(s, oldest))
	mustDo(t, err)
	backup := filepath.Join(t.TempDir(), "backup")
	mustDo(t, os.Link(stateOf(s, oldest), backup))
	takeLarge(t, s, 2)
	takeLarge(t, s, 3)
	s.removal.under.Wait()
	if after, err := os.Stat(backup); err != nil || after.Size() != before.Size() {
		t.Errorf("the backup has %v bytes (%v), want %d", after, err, before.Size())
	}
}

// TestNodeThatClosesDoesNotWaitForARemoval: what is left goes when it starts again, as
// does what a killed one had not begun to remove.
func TestNodeThatClosesDoesNotWaitForARemoval(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTestSnapshots(t, dir)
	stop := make(chan struct{})
	close(stop)
	s.removal.stop = stop
	oldest := takeLarge(t, s, 1)
	before, err := os.Stat(stateOf(s, oldest))
	mustDo(t, err)
	second, third := takeLarge(t, s, 2), takeLarge(t, s, 3)
	s.removal.under.Wait()
	if left, err := os.Stat(filepath.Join(s.dir, oldest+tmpSuffix, "state.bin")); err != nil || left.Size() != before.Size() {
		t.Errorf("a node that closes cut or removed what is old: %v", err)
	}
	mustDo(t, os.Rename(filepath.Join(s.dir, oldest+tmpSuffix), filepath.Join(s.dir, oldest))) // as if killed before
	again, err := openSnapshots(dir, s.promise, hclog.NewNullLogger())
	mustDo(t, err)
	if got := snapshotsIn(t, again); !slices.Equal(got, []string{second, third}) {
		t.Errorf("kept: %q, want %q", got, []string{second, third})
	}
}
