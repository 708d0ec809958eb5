// Package cold keeps sessions that have left a state's memory on disk, compressed:
// a [Store] is the [viewing.Cold] of a server.
//
// It is a store of this node alone, over cockroachdb/pebble. Nothing in it is
// durable by itself: it begins empty with the process, and becomes what it was by
// [Store.Reset] to a checkpoint (see [Capture]) and by the commands since. So no
// write waits for a disk.
package cold

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/playhead-load/playhead/viewing"
)

var _ viewing.Cold = (*Store)(nil)

// Errors that a caller tells apart with errors.Is.
var (
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store of ended sessions is closed")

	// ErrDamaged: a file on disk is not what was written; the message says which.
	ErrDamaged = errors.New("damaged")
)

// Store is a disk store of sessions. Its methods may be called at the same time as
// each other; reads wait for a Put, a Remove and the ends of a capture, which are
// all short, and for nothing else. Each session is found with one seek, and a page
// of history with one, however long the history. A read that finds a session by its
// id takes a second one, beside the first: the record is kept once.
type Store struct {
	dir           string
	logger        *slog.Logger
	maxSinceBytes int

	// copying is held while files are made of the engine; taken before mu.
	copying sync.Mutex

	mu         sync.RWMutex // a reader has it until its iterator is closed
	live       *engine      // nil: closed
	generation int          // of live
	sessions   int64
	capture    *Capture // under way; nil: none
}

// Size is how much a store holds.
type Size struct {
	Sessions int64
	Bytes    int64 // on disk, with what compactions have yet to remove; not what waits in memory
}

// Open begins an empty store in dir. What a store left there is removed.
func Open(dir string, logger *slog.Logger) (*Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the store of ended sessions: %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store of ended sessions: %w", err)
	}
	for _, entry := range left {
		if !strings.HasPrefix(entry.Name(), generationPrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return nil, fmt.Errorf("remove what a store of ended sessions left: %w", err)
		}
	}
	s := &Store{dir: dir, logger: logger, maxSinceBytes: maxSinceBytes}
	if s.live, s.sessions, err = s.begin(""); err != nil {
		return nil, fmt.Errorf("open the store of ended sessions: %w", err)
	}
	return s, nil
}

const generationPrefix = "store-"

// begin opens the next generation of the engine over a checkpoint's files, "" for
// none. copying is held, or the store not yet shared.
func (s *Store) begin(checkpoint string) (live *engine, sessions int64, err error) {
	s.generation++
	dir := filepath.Join(s.dir, fmt.Sprintf("%s%06d", generationPrefix, s.generation))
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, 0, err
	}
	if checkpoint != "" {
		if err := linkCheckpoint(checkpoint, dir); err != nil {
			return nil, 0, err
		}
	}
	if live, err = openEngine(dir, s.logger); err != nil {
		return nil, 0, err
	}
	if checkpoint == "" {
		return live, 0, nil
	}
	if sessions, err = live.count(); err != nil {
		return nil, 0, errors.Join(err, live.close())
	}
	return live, sessions, nil
}

// Reset replaces what the store holds by a checkpoint, whose files it links and
// leaves as they are, and which must hold so many sessions; by nothing for "". After an
// error it holds what it held. A capture under way is void.
func (s *Store) Reset(checkpoint string, sessions int64) error {
	s.copying.Lock()
	defer s.copying.Unlock()
	if !s.open() {
		return ErrClosed
	}
	next, held, err := s.begin(checkpoint)
	if err == nil && held != sessions {
		err = errors.Join(fmt.Errorf("it holds %d sessions, expected %d", held, sessions), next.close(), os.RemoveAll(next.dir))
	}
	if err != nil {
		return fmt.Errorf("reset the store of ended sessions: %w", err)
	}
	s.mu.Lock()
	before := s.live
	dropped := s.endCapture(errReset, false)
	s.live, s.sessions = next, sessions
	s.mu.Unlock()
	if err := errors.Join(dropped, before.close(), os.RemoveAll(before.dir)); err != nil {
		s.logger.Warn("a store of ended sessions that was replaced did not go cleanly", "error", err)
	}
	return nil
}

// Failure is why the store cannot be used any more, until it is reset; nil while it can.
func (s *Store) Failure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.usable()
}

func (s *Store) open() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.live != nil
}

// Size tells how much the store holds.
func (s *Store) Size() Size {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.live == nil {
		return Size{}
	}
	return Size{Sessions: s.sessions, Bytes: int64(s.live.db.Metrics().DiskSpaceUsage())}
}

// Close ends the store; what it held is removed when it is opened again.
func (s *Store) Close() error {
	s.copying.Lock()
	defer s.copying.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return nil
	}
	err := errors.Join(s.endCapture(ErrClosed, false), s.live.close())
	s.live = nil
	return err
}

// reader is what reads go to: the engine, under the changes since a capture. A lock is held.
func (s *Store) reader() pebble.Reader {
	if s.capture != nil {
		return s.capture.since
	}
	return s.live.db
}
