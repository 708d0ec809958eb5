package cold

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// maxSinceBytes limits what is held in memory while a checkpoint is written. Beyond
// it the checkpoint is given up: a change never waits.
const maxSinceBytes = 64 << 20

var (
	errReset     = errors.New("the store was reset meanwhile")
	errReleased  = errors.New("it was released")
	errSinceFull = errors.New("too much was changed before it was written")
	errCaptured  = errors.New("another checkpoint is being written")
)

// Capture is what a store held at one moment. What is put and removed afterwards
// is kept apart, in memory, until the capture is written or released; reads see both.
type Capture struct {
	store    *Store
	live     *engine
	sessions int64
	since    *pebble.Batch // indexed
	ended    error         // not nil: too late to write it
}

// Capture keeps hold of what the store holds now. It takes no time; one at a time.
// The capture has to be released.
func (s *Store) Capture() (*Capture, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	if s.capture != nil {
		return nil, errCaptured
	}
	s.capture = &Capture{store: s, live: s.live, sessions: s.sessions, since: s.live.db.NewIndexedBatch()}
	return s.capture, nil
}

// WriteFiles makes dir, which must not be there yet, with the files of a checkpoint
// for [Store.Reset]: links to the store's own where it can, flushed to disk as is
// the directory. Without sessions it makes none. It ends the capture. Reads and
// changes go on meanwhile.
func (c *Capture) WriteFiles(dir string) (err error) {
	s := c.store
	s.copying.Lock()
	defer s.copying.Unlock()
	s.mu.RLock()
	ended := c.ended
	s.mu.RUnlock()
	if ended == nil && c.sessions > 0 {
		err = c.live.checkpoint(dir, c.sessions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ended == nil {
		err = errors.Join(err, s.endCapture(errReleased, true))
	} else {
		err = c.ended
	}
	if err != nil {
		return fmt.Errorf("write a checkpoint of ended sessions: %w", err)
	}
	return nil
}

// Release lets go of the capture, written or not.
func (c *Capture) Release() {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ended != nil {
		return
	}
	if err := s.endCapture(errReleased, true); err != nil {
		s.logger.Warn("a checkpoint of ended sessions did not go cleanly", "error", err)
	}
}

// add keeps a change apart, or gives the capture up.
func (c *Capture) add(batch *pebble.Batch) error {
	if err := c.since.Apply(batch, nil); err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := batch.Close(); err != nil {
		return err
	}
	if c.since.Len() > c.store.maxSinceBytes {
		return c.store.endCapture(errSinceFull, true)
	}
	return nil
}

// endCapture ends the capture under way, if there is one: it cannot be written any
// more, why. The changes since are kept or dropped; those that cannot be kept are the
// engine's failure: it would answer without them. The lock is held.
func (s *Store) endCapture(why error, keep bool) (err error) {
	c := s.capture
	if c == nil {
		return nil
	}
	if c.ended == nil {
		c.ended = why
	}
	if keep {
		if err := c.commit(); err != nil {
			c.live.fail(err)
			return err
		}
	}
	s.capture = nil
	return c.live.fault("let go of ended sessions", nil, c.since.Close())
}

func (c *Capture) commit() (err error) {
	defer func() { err = c.live.fault("keep ended sessions", recover(), err) }()
	return c.since.Commit(pebble.NoSync)
}
