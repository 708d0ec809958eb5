package viewing

import (
	"encoding/binary"
	"hash/maphash"
)

// State is every account and what follows from its events. One goroutine may
// change it while none reads it; any number may read it at once.
//
// It is built for millions of sessions: records without pointers in chunks that never
// move, so that the garbage collector passes them by, a snapshot can be taken while
// they change, and growth never stops the world for long.
type State struct {
	rules     Rules
	accounts  table[accountRecord]
	sessions  table[sessionRecord]
	positions table[positionRecord]
	hides     table[hideRecord]

	accountIndex, sessionIndex, positionIndex, hideIndex index

	left    left
	cells   cells // the sessions' details
	texts   texts
	digest  digest
	scratch []byte
	touched uint32
}

// NewState returns a state that has heard of nobody.
func NewState(rules Rules) *State {
	s := &State{
		rules: rules, texts: newTexts(),
		accountIndex: newIndex(), sessionIndex: newIndex(), positionIndex: newIndex(), hideIndex: newIndex(),
	}
	s.accounts.encode, s.sessions.encode = appendAccount, s.appendSession
	s.positions.encode, s.hides.encode = s.appendPosition, s.appendHide
	return s
}

// Rules are those of the newest command.
func (s *State) Rules() Rules { return s.rules }

// SetRules says what the commands that follow are judged by.
func (s *State) SetRules(rules Rules) { s.rules = rules }

// Size is how much a state holds.
type Size struct {
	Accounts  int
	Sessions  int // in memory
	Positions int
	Hidden    int
	Cold      int    // sessions in the cold store only
	Evicted   uint64 // how many sessions left memory since the state was made or read
	Revived   uint64 // how many came back
}

// Size counts the records.
func (s *State) Size() Size {
	return Size{
		Accounts: s.accounts.live(), Sessions: s.sessions.live(), Positions: s.positions.live(), Hidden: s.hides.live(),
		Cold: s.left.sessions, Evicted: s.left.evicted, Revived: s.left.revived,
	}
}

// SetMaxStreams sets the limit of an account. It ends nothing that plays.
func (s *State) SetMaxStreams(accountID uint64, streams int) {
	ref := s.account(accountID)
	s.accounts.preserve(ref)
	account := s.accounts.at(ref)
	s.digest -= hashAccount(account)
	account.maxStreams = uint32(streams)
	s.digest += hashAccount(account)
}

// Hide takes a title out of a profile's history and continue-watching: every
// session of it that began, or was heard of, until now.
func (s *State) Hide(now Millis, accountID uint64, profileID uint8, titleID uint32) {
	account := s.account(accountID)
	ref := s.findHide(account, profileID, titleID)
	if ref == 0 {
		ref = s.addHide(hideRecord{account: account, profile: profileID, title: titleID})
	} else {
		s.hides.preserve(ref)
		s.digest -= s.hashHide(s.hides.at(ref))
	}
	hide := s.hides.at(ref)
	hide.at = now
	s.digest += s.hashHide(hide)
}

// addHide stores a record whose hash is not in the digest yet.
func (s *State) addHide(r hideRecord) uint32 {
	ref := s.hides.add()
	*s.hides.at(ref) = r
	s.hideIndex.insert(s.titleHash(&s.hideIndex, r.account, r.profile, r.title), ref)
	s.accounts.at(r.account).hides++
	return ref
}

// account finds an account's ref, or makes the account.
func (s *State) account(id uint64) uint32 {
	if ref := s.findAccount(id); ref != 0 {
		return ref
	}
	ref := s.accounts.add()
	*s.accounts.at(ref) = accountRecord{id: id}
	s.accountIndex.insert(s.accountHash(id), ref)
	s.digest += hashAccount(s.accounts.at(ref))
	return ref
}

// The find methods return a ref, 0 where there is none. Any number may run at once.

func (s *State) findAccount(id uint64) uint32 {
	for p := s.accountIndex.probe(s.accountHash(id)); p.next(); {
		if s.accounts.at(p.ref).id == id {
			return p.ref
		}
	}
	return 0
}

func (s *State) findSession(accountID uint64, id *SessionID) uint32 {
	for p := s.sessionIndex.probe(s.sessionHash(accountID, id)); p.next(); {
		if r := s.sessions.at(p.ref); r.id == *id && s.accounts.at(r.account).id == accountID {
			return p.ref
		}
	}
	return 0
}

func (s *State) findPosition(account uint32, profile uint8, title uint32) uint32 {
	for p := s.positionIndex.probe(s.titleHash(&s.positionIndex, account, profile, title)); p.next(); {
		if r := s.positions.at(p.ref); r.account == account && r.title == title && r.profile == profile {
			return p.ref
		}
	}
	return 0
}

func (s *State) findHide(account uint32, profile uint8, title uint32) uint32 {
	for p := s.hideIndex.probe(s.titleHash(&s.hideIndex, account, profile, title)); p.next(); {
		if r := s.hides.at(p.ref); r.account == account && r.title == title && r.profile == profile {
			return p.ref
		}
	}
	return 0
}

func (s *State) accountHash(id uint64) uint64 {
	var key [8]byte
	binary.LittleEndian.PutUint64(key[:], id)
	return maphash.Bytes(s.accountIndex.seed, key[:])
}

func (s *State) sessionHash(accountID uint64, id *SessionID) uint64 {
	var key [16 + 8]byte
	copy(key[:], id[:])
	binary.LittleEndian.PutUint64(key[16:], accountID)
	return maphash.Bytes(s.sessionIndex.seed, key[:])
}

func (s *State) titleHash(x *index, account uint32, profile uint8, title uint32) uint64 {
	var key [4 + 4 + 1]byte
	binary.LittleEndian.PutUint32(key[0:], account)
	binary.LittleEndian.PutUint32(key[4:], title)
	key[8] = profile
	return maphash.Bytes(x.seed, key[:])
}

// addSession stores a record whose hash is not in the digest yet.
func (s *State) addSession(r sessionRecord) uint32 {
	ref := s.sessions.add()
	*s.sessions.at(ref) = r
	owner := s.accounts.at(r.account)
	owner.sessions++
	s.sessionIndex.insert(s.sessionHash(owner.id, &r.id), ref)
	s.link(s.chainOf(&r), ref)
	return ref
}

// editSession opens a session for changes; closeSession ends them.
func (s *State) editSession(ref uint32) *sessionRecord {
	s.sessions.preserve(ref)
	r := s.sessions.at(ref)
	s.digest -= s.hashSession(r)
	return r
}

func (s *State) closeSession(r *sessionRecord) { s.digest += s.hashSession(r) }

// chainOf is the head of the chain in which a session stands, by its flags.
func (s *State) chainOf(r *sessionRecord) *uint32 {
	if r.has(holdsStream) {
		return &s.accounts.at(r.account).holders
	}
	return &s.accounts.at(r.account).others
}

func (s *State) link(head *uint32, ref uint32) {
	r := s.sessions.at(ref)
	r.previous, r.next = 0, *head
	if *head != 0 {
		s.sessions.at(*head).previous = ref
	}
	*head = ref
}

func (s *State) unlink(head *uint32, ref uint32) {
	r := s.sessions.at(ref)
	if r.previous == 0 {
		*head = r.next
	} else {
		s.sessions.at(r.previous).next = r.next
	}
	if r.next != 0 {
		s.sessions.at(r.next).previous = r.previous
	}
}

// setHolds gives an open session a stream, or takes it.
func (s *State) setHolds(ref uint32, r *sessionRecord, on bool) {
	if r.has(holdsStream) == on {
		return
	}
	s.unlink(s.chainOf(r), ref)
	r.set(holdsStream, on)
	s.link(s.chainOf(r), ref)
}

// setPosition stores where a profile is in a title, at ref, or anew for 0.
func (s *State) setPosition(ref, account uint32, profile uint8, p Position) uint32 {
	if ref == 0 {
		ref = s.addPosition(account, profile, p)
	} else {
		s.positions.preserve(ref)
		s.digest -= s.hashPosition(s.positions.at(ref))
	}
	r := s.positions.at(ref)
	r.setValue(p)
	s.digest += s.hashPosition(r)
	return ref
}

// addPosition stores a record whose hash is not in the digest yet.
func (s *State) addPosition(account uint32, profile uint8, p Position) uint32 {
	ref := s.positions.add()
	owner := s.accounts.at(account)
	r := s.positions.at(ref)
	*r = positionRecord{account: account, profile: profile, title: p.TitleID, next: owner.positions}
	r.setValue(p)
	owner.positions = ref
	s.positionIndex.insert(s.titleHash(&s.positionIndex, account, profile, p.TitleID), ref)
	return ref
}
