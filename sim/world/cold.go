package world

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/playhead-load/playhead/viewing"
)

// cold is a store of sessions that left memory: a list, in the order of histories.
type cold struct{ sessions []viewing.ColdSession }

var _ viewing.Cold = (*cold)(nil)

func compareKeys(a, b viewing.ColdKey) int {
	return cmp.Or(
		cmp.Compare(a.AccountID, b.AccountID), cmp.Compare(a.ProfileID, b.ProfileID),
		cmp.Compare(b.StartedAt, a.StartedAt), b.SessionID.Compare(a.SessionID),
	)
}

func (c *cold) search(key viewing.ColdKey) (at int, found bool) {
	return slices.BinarySearchFunc(c.sessions, key, func(s viewing.ColdSession, key viewing.ColdKey) int {
		return compareKeys(s.ColdKey, key)
	})
}

// clone is the store as it is now; the encodings in it never change.
func (c *cold) clone() *cold { return &cold{slices.Clone(c.sessions)} }

// Session implements viewing.Cold.
func (c *cold) Session(account uint64, id viewing.SessionID) ([]byte, error) {
	for i := range c.sessions {
		if s := &c.sessions[i]; s.AccountID == account && s.SessionID == id {
			return bytes.Clone(s.Encoded), nil
		}
	}
	return nil, nil
}

// History implements viewing.Cold.
func (c *cold) History(account uint64, profile uint8, after *viewing.Cursor, yield func(viewing.ColdKey, []byte) bool) error {
	for i := range c.sessions {
		s := &c.sessions[i]
		if s.AccountID != account || s.ProfileID != profile {
			continue
		}
		from := viewing.ColdKey{AccountID: account, ProfileID: profile}
		if after != nil {
			from.Cursor = *after
			if compareKeys(s.ColdKey, from) <= 0 {
				continue
			}
		}
		if !yield(s.ColdKey, s.Encoded) {
			break
		}
	}
	return nil
}

// Put implements viewing.Cold.
func (c *cold) Put(sessions []viewing.ColdSession) error {
	for _, s := range sessions {
		s.Encoded = bytes.Clone(s.Encoded)
		at, found := c.search(s.ColdKey)
		if found {
			c.sessions[at] = s
			continue
		}
		c.sessions = slices.Insert(c.sessions, at, s)
	}
	return nil
}

// Remove implements viewing.Cold.
func (c *cold) Remove(key viewing.ColdKey) error {
	if at, found := c.search(key); found {
		c.sessions = slices.Delete(c.sessions, at, at+1)
	}
	return nil
}
