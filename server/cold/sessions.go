package cold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/playhead-load/playhead/viewing"
)

// The keys, so that an account's sessions are neighbours on disk. Numbers are
// big-endian.
//
//	account 8, 0, session id 16                     → profile 1, began 8
//	account 8, 1, profile 1, began 8, session id 16 → the encoding
//	"n"                                             → sessions 8; in checkpoints only
//
// began is the session's StartedAt, turned so that the newest comes first; in the
// history the id is turned too, which is Cursor's order.
const (
	kindSession = 0
	kindHistory = 1

	sessionKeyBytes = 8 + 1 + 16
	historyKeyBytes = 8 + 1 + 1 + 8 + 16
	placeBytes      = 1 + 8
)

var countKey = []byte("n")

var errKeptBadly = errors.New("what is kept of it cannot be read")

func sessionKey(accountID uint64, id viewing.SessionID) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, sessionKeyBytes), accountID)
	return append(append(key, kindSession), id[:]...)
}

// began turns a time so that later ones sort first as bytes; startedAt is its inverse.
func began(at viewing.Millis) uint64 { return ^(uint64(at) ^ 1<<63) }
func startedAt(began []byte) viewing.Millis {
	return viewing.Millis(^binary.BigEndian.Uint64(began) ^ 1<<63)
}

func place(key viewing.ColdKey) []byte {
	return binary.BigEndian.AppendUint64([]byte{key.ProfileID}, began(key.StartedAt))
}

func profileKey(accountID uint64, profileID uint8) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, historyKeyBytes+1), accountID)
	return append(key, kindHistory, profileID)
}

func historyKey(accountID uint64, profileID uint8, at viewing.Cursor) []byte {
	key := binary.BigEndian.AppendUint64(profileKey(accountID, profileID), began(at.StartedAt))
	turned := turn(at.SessionID)
	return append(key, turned[:]...)
}

func turn(id viewing.SessionID) viewing.SessionID {
	for i := range id {
		id[i] = ^id[i]
	}
	return id
}

// parseHistoryKey reads a key of historyKey.
func parseHistoryKey(key []byte) (viewing.ColdKey, error) {
	if len(key) != historyKeyBytes {
		return viewing.ColdKey{}, errKeptBadly
	}
	parsed := viewing.ColdKey{AccountID: binary.BigEndian.Uint64(key), ProfileID: key[9]}
	parsed.StartedAt = startedAt(key[10:])
	parsed.SessionID = turn(viewing.SessionID(key[18:]))
	return parsed, nil
}

// finder looks up where sessions are. Unlike a Get it asks the filters of the lowest
// level too, where nearly all is.
func (s *Store) finder() (*pebble.Iterator, error) {
	return s.reader().NewIter(&pebble.IterOptions{UseL6Filters: true})
}

// closed closes what was read, and returns the first error: an iterator tells its own again.
func closed(what io.Closer, err error) error {
	closing := what.Close()
	if err != nil {
		return err
	}
	return closing
}

// find looks up where a session is; false: nowhere.
func find(iter *pebble.Iterator, accountID uint64, id viewing.SessionID) (key viewing.ColdKey, found bool, err error) {
	if !iter.SeekPrefixGE(sessionKey(accountID, id)) {
		return key, false, iter.Error()
	}
	value, err := iter.ValueAndErr()
	if err != nil {
		return key, false, err
	}
	if len(value) != placeBytes {
		return key, false, errKeptBadly
	}
	key = viewing.ColdKey{AccountID: accountID, ProfileID: value[0]}
	key.StartedAt = startedAt(value[1:])
	key.SessionID = id
	return key, true, nil
}

// Session implements viewing.Cold.
func (s *Store) Session(accountID uint64, id viewing.SessionID) (encoded []byte, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	defer func() { err = s.live.fault("look up an ended session", recover(), err) }()
	where, err := s.finder()
	if err != nil {
		return nil, err
	}
	key, found, err := find(where, accountID, id)
	if err = closed(where, err); err != nil || !found {
		return nil, err
	}
	value, held, err := s.reader().Get(historyKey(accountID, key.ProfileID, key.Cursor))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, errKeptBadly
	}
	if err != nil {
		return nil, err
	}
	encoded = slices.Clone(value)
	if encoded == nil {
		encoded = []byte{} // nil is none
	}
	return encoded, held.Close()
}

// History implements viewing.Cold. yield must not call the store.
func (s *Store) History(accountID uint64, profileID uint8, after *viewing.Cursor, yield func(key viewing.ColdKey, encoded []byte) bool) (err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	var page *pebble.Iterator
	yielding := false // a panic is the caller's own
	defer func() {
		if page != nil {
			err = closed(page, err)
		}
		if !yielding {
			err = s.live.fault("page through ended sessions", recover(), err)
		}
	}()
	from := profileKey(accountID, profileID)
	to := slices.Concat(from, slices.Repeat([]byte{math.MaxUint8}, 8+16+1)) // beyond every time and id
	if after != nil {
		from = append(historyKey(accountID, profileID, *after), 0)
	}
	if page, err = s.reader().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to}); err != nil {
		return err
	}
	for more := page.First(); more; more = page.Next() {
		key, err := parseHistoryKey(page.Key())
		if err != nil {
			return err
		}
		value, err := page.ValueAndErr()
		if err != nil {
			return err
		}
		yielding = true
		more := yield(key, value)
		yielding = false
		if !more {
			return nil
		}
	}
	return page.Error()
}

// Put implements viewing.Cold. A session that is there already is replaced, as is one
// by a later one of the same call.
func (s *Store) Put(sessions []viewing.ColdSession) (err error) {
	return s.change("put ended sessions", func(where *pebble.Iterator, batch *pebble.Batch) (added int64, err error) {
		type name struct {
			account uint64
			id      viewing.SessionID
		}
		later := make(map[name]bool, len(sessions))
		for _, session := range slices.Backward(sessions) {
			named := name{session.AccountID, session.SessionID}
			if later[named] {
				continue
			}
			later[named] = true
			before, found, err := find(where, session.AccountID, session.SessionID)
			if err != nil {
				return 0, err
			}
			if !found {
				added++
			} else if before != session.ColdKey {
				err = batch.Delete(historyKey(before.AccountID, before.ProfileID, before.Cursor), nil)
			}
			err = errors.Join(err,
				batch.Set(sessionKey(session.AccountID, session.SessionID), place(session.ColdKey), nil),
				batch.Set(historyKey(session.AccountID, session.ProfileID, session.Cursor), session.Encoded, nil))
			if err != nil {
				return 0, err
			}
		}
		return added, nil
	})
}

// Remove implements viewing.Cold. A session that is not there is none to forget.
func (s *Store) Remove(key viewing.ColdKey) error {
	return s.change("remove an ended session", func(where *pebble.Iterator, batch *pebble.Batch) (added int64, err error) {
		kept, found, err := find(where, key.AccountID, key.SessionID)
		if err != nil || !found {
			return 0, err
		}
		return -1, errors.Join(
			batch.Delete(sessionKey(kept.AccountID, kept.SessionID), nil),
			batch.Delete(historyKey(kept.AccountID, kept.ProfileID, kept.Cursor), nil))
	})
}

// change makes the changes that f puts into a batch, all or none.
func (s *Store) change(doing string, f func(where *pebble.Iterator, batch *pebble.Batch) (added int64, err error)) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	defer func() { err = s.live.fault(doing, recover(), err) }()
	where, err := s.finder()
	if err != nil {
		return err
	}
	batch := s.live.db.NewBatch()
	added, err := f(where, batch)
	if err = closed(where, err); err != nil {
		return errors.Join(err, batch.Close())
	}
	if s.capture == nil {
		err = errors.Join(batch.Commit(pebble.NoSync), batch.Close())
	} else {
		err = s.capture.add(batch)
	}
	if err == nil {
		s.sessions += added
	}
	return err
}

// usable refuses a store that is closed or whose disk failed. A lock is held.
func (s *Store) usable() error {
	if s.live == nil {
		return ErrClosed
	}
	if failed := s.live.failed.Load(); failed != nil {
		return fmt.Errorf("the store of ended sessions has failed: %w", *failed)
	}
	return nil
}
