package viewing

import (
	"errors"
	"fmt"
)

var errNoCold = errors.New("sessions have left memory, and there is no store of them")

// recall finds the session of an event, and brings it back to memory if it left: what
// follows is as if it never did.
func (s *State) recall(accountID uint64, id *SessionID) uint32 {
	ref := s.findSession(accountID, id)
	if ref != 0 || s.left.sessions == 0 || s.left.err != nil {
		return ref
	}
	account := s.findAccount(accountID)
	if account == 0 {
		return 0
	}
	c, err := s.readCold(account, *id)
	if err != nil {
		s.left.err = err
	}
	if c == nil {
		return 0
	}
	return s.revive(c)
}

// revive moves a session into memory again.
func (s *State) revive(c *coldSession) uint32 {
	l := &s.left
	s.setDetails(&c.sessionRecord, &c.details)
	ref := s.addSession(c.sessionRecord)
	l.sessions--
	l.digest -= s.hashSession(s.sessions.at(ref))
	l.revived++
	key := s.coldKey(&c.sessionRecord)
	if err := l.store.Remove(key); err != nil {
		l.err = fmt.Errorf("remove session %v of account %d from the disk: %w", key.SessionID, key.AccountID, err)
	}
	return ref
}

// readCold reads a session that is not in memory; nil where there is none.
func (s *State) readCold(account uint32, id SessionID) (*coldSession, error) {
	if s.left.sessions == 0 {
		return nil, nil
	}
	accountID, c := s.accounts.at(account).id, &coldSession{}
	var encoded []byte
	err := errNoCold
	if s.left.store != nil {
		encoded, err = s.left.store.Session(accountID, id)
	}
	if err == nil && encoded == nil {
		return nil, nil
	}
	if err == nil {
		err = c.decode(account, id, encoded)
	}
	if err != nil {
		return nil, fmt.Errorf("read session %v of account %d from the disk: %w", id, accountID, err)
	}
	return c, nil
}

// coldViews yields a profile's sessions that left memory and are not hidden, the newest
// beginning first, from after the cursor on.
func (s *State) coldViews(account uint32, profileID uint8, after *Cursor, yield func(c *coldSession) bool) error {
	if s.left.sessions == 0 {
		return nil
	}
	if s.left.store == nil {
		return errNoCold
	}
	accountID := s.accounts.at(account).id
	var c coldSession
	var damaged error
	err := s.left.store.History(accountID, profileID, after, func(key ColdKey, encoded []byte) bool {
		if damaged = c.decode(account, key.SessionID, encoded); damaged == nil && s.coldKey(&c.sessionRecord) != key {
			damaged = errColdPlace
		}
		if damaged != nil {
			return false
		}
		return s.hidden(&c.sessionRecord) || yield(&c)
	})
	if err = errors.Join(err, damaged); err != nil {
		return fmt.Errorf("read the history of profile %d of account %d from the disk: %w", profileID, accountID, err)
	}
	return nil
}
