package cold

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/playhead-load/playhead/viewing"
)

// What was put since a capture and could not be kept at its end is missed by nobody: the
// store is not used any more, until it is reset.
func TestCaptureThatCannotBeKept(t *testing.T) {
	chance := rand.New(rand.NewPCG(9, 10))
	for name, end := range map[string]func(s *Store, c *Capture) error{
		"written":  func(_ *Store, c *Capture) error { return c.WriteFiles(filepath.Join(t.TempDir(), "files")) },
		"released": func(s *Store, c *Capture) error { c.Release(); return s.Failure() },
		"given up": func(s *Store, _ *Capture) error {
			s.maxSinceBytes = 1
			return s.Put([]viewing.ColdSession{realistic(chance, 1)})
		},
	} {
		s := open(t)
		before := fill(t, s, chance, 1)[0]
		c, err := s.Capture()
		mustDo(t, err)
		refuseCommit(t, c)
		since := fill(t, s, chance, 1)[0]
		if got, err := s.Session(since.AccountID, since.SessionID); err != nil || !bytes.Equal(got, since.Encoded) {
			t.Errorf("%s: put since reads as %x, %v", name, got, err)
		}
		if err := end(s, c); !errors.Is(err, pebble.ErrReadOnly) {
			t.Errorf("%s: ended with %v", name, err)
		}
		for _, session := range []viewing.ColdSession{before, since} {
			if got, err := s.Session(session.AccountID, session.SessionID); !errors.Is(err, pebble.ErrReadOnly) {
				t.Errorf("%s: reads as %x, %v", name, got, err)
			}
		}
		c.Release()
		mustDo(t, s.Reset("", 0), s.Put([]viewing.ColdSession{since}))
		if got, err := s.Session(since.AccountID, since.SessionID); err != nil || !bytes.Equal(got, since.Encoded) {
			t.Errorf("%s: after a reset %x, %v", name, got, err)
		}
	}
}

// refuseCommit makes a capture's changes those of an engine that takes none.
func refuseCommit(t *testing.T, c *Capture) {
	t.Helper()
	options := &pebble.Options{FS: vfs.NewMem(), Logger: engineLogger{c.live}}
	writable, err := pebble.Open("db", options)
	mustDo(t, err, writable.Close())
	options.ReadOnly = true
	other, err := pebble.Open("db", options)
	mustDo(t, err, c.since.Close())
	t.Cleanup(func() { mustDo(t, other.Close()) })
	c.since = other.NewIndexedBatch()
}
