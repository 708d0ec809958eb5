package viewing

import (
	"fmt"
	"slices"
)

// MaxKeptViews bounds Keep.Views.
const MaxKeptViews = 1000

// Keep says which sessions stay in memory beside those that hold streams.
type Keep struct {
	ForMS int64 // what was last heard from less long ago, by the server's clock
	Views int   // the newest of each profile that are over, however old; at most MaxKeptViews
}

// leavingSteps is what a session that leaves takes, counted in looks at one.
const leavingSteps = 10

// left is what a state knows of the sessions that left its memory.
type left struct {
	store    Cold
	sessions int    // how many are in the store only
	digest   digest // the sum of their hashes
	evicted  uint64
	revived  uint64
	err      error
	walk     walk
	leaving  []uint32      // for use by Evict
	encoded  []byte        // too
	batch    []ColdSession // too
}

// walk is how far Evict has come: its account, the next of that account's sessions
// without a stream, and the newest of each profile that it has come by.
type walk struct {
	account uint32
	next    uint32
	newest  [MaxProfileID][]passed
}

type passed struct {
	Cursor
	ref uint32
}

// SetCold gives the state a store for sessions that leave its memory, before anything
// is asked of it. The store must be empty, or the one that belonged to the encoded
// state that this one was read from.
func (s *State) SetCold(store Cold) { s.left.store = store }

// Err is the first error of the cold store that a change has met; what the state says
// since then may be wrong.
func (s *State) Err() error { return s.left.err }

// Evict moves sessions to the cold store that keep does not want in memory. It is a
// piece of a walk over all accounts: some steps, of which each account and each session
// takes one, and a session that leaves ten. done says that the walk is over; the next
// call begins another. Of sessions that hold streams none leaves.
//
// It is called like a change, but nothing that can be asked of the state is different
// afterwards, nor is its digest. After an error the sessions are where they were, and the
// walk begins again: the next call tries the same ones.
func (s *State) Evict(now Millis, keep Keep, steps int) (evicted int, done bool, err error) {
	l := &s.left
	if l.store == nil {
		return 0, true, nil
	}
	w := &l.walk
	l.leaving = l.leaving[:0]
	for ; steps > 0 && !done; steps-- {
		if w.next == 0 {
			done = !s.walkOn(keep)
			continue
		}
		ref := w.next
		r := s.sessions.at(ref)
		w.next = r.next
		if surplus := w.pass(r.profile, passed{r.cursor(), ref}, keep.Views); s.mayLeave(now, keep, surplus) {
			l.leaving = append(l.leaving, surplus.ref)
			steps -= leavingSteps
		}
	}
	if err := s.evict(l.leaving); err != nil {
		w.account, w.next = 0, 0
		return 0, false, err
	}
	return len(l.leaving), done, nil
}

// walkOn goes to the next account that may have more sessions than it keeps, or to the
// end, and says whether there is an account.
func (s *State) walkOn(keep Keep) bool {
	w := &s.left.walk
	if w.account == s.accounts.length {
		w.account = 0
		return false
	}
	w.account++
	if account := s.accounts.at(w.account); account.sessions > uint32(keep.Views) {
		w.next = account.others
		for i := range w.newest {
			w.newest[i] = w.newest[i][:0]
		}
	}
	return true
}

// pass counts a session among the newest of its profile, and returns one of that
// profile which has as many newer ones before it as are kept; its ref is 0 if there
// is none.
func (w *walk) pass(profile uint8, p passed, views int) (surplus passed) {
	if profile < 1 || profile > MaxProfileID {
		return passed{}
	}
	newest := &w.newest[profile-1]
	at, _ := slices.BinarySearchFunc(*newest, p, func(a, b passed) int { return a.compareNewestFirst(b.Cursor) })
	if at == views {
		return p
	}
	if len(*newest) == views {
		surplus = (*newest)[views-1]
		*newest = (*newest)[:views-1]
	}
	*newest = slices.Insert(*newest, at, p)
	return surplus
}

// mayLeave says whether a session may leave. The walk may have come by it in an earlier
// piece, and since then the session may have been given a stream, have left, or have been
// moved so that the walk came by it twice.
func (s *State) mayLeave(now Millis, keep Keep, p passed) bool {
	if p.ref == 0 {
		return false
	}
	r := s.sessions.at(p.ref)
	return r.account == s.left.walk.account && r.id == p.SessionID && !r.has(holdsStream) &&
		r.moment(lastSeen)+Millis(keep.ForMS) <= now && !slices.Contains(s.left.leaving, p.ref)
}

// evict moves sessions to the cold store, all or none.
func (s *State) evict(refs []uint32) error {
	if len(refs) == 0 {
		return nil
	}
	l := &s.left
	l.encoded, l.batch = l.encoded[:0], l.batch[:0]
	for _, ref := range refs {
		r := s.sessions.at(ref)
		d := s.detailsOf(r)
		begin := len(l.encoded)
		l.encoded = appendCold(l.encoded, r, &d)
		// What append moves elsewhere stays readable here.
		l.batch = append(l.batch, ColdSession{s.coldKey(r), l.encoded[begin:len(l.encoded):len(l.encoded)]})
	}
	if err := l.store.Put(l.batch); err != nil {
		return fmt.Errorf("keep %d sessions on the disk: %w", len(refs), err)
	}
	for _, ref := range refs {
		s.forget(ref)
	}
	l.evicted += uint64(len(refs))
	return nil
}

func (s *State) coldKey(r *sessionRecord) ColdKey {
	return ColdKey{s.accounts.at(r.account).id, r.profile, r.cursor()}
}

// forget takes a session that holds no stream out of memory.
func (s *State) forget(ref uint32) {
	s.sessions.preserve(ref)
	r := s.sessions.at(ref)
	s.left.sessions++
	s.left.digest += s.hashSession(r)
	owner := s.accounts.at(r.account)
	owner.sessions--
	s.sessionIndex.remove(s.sessionHash(owner.id, &r.id), ref)
	s.unlink(&owner.others, ref)
	if r.has(inCells) {
		s.cells.release(r.cells())
	}
	s.sessions.remove(ref)
}
