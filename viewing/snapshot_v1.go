package viewing

import "encoding/binary"

// readVersion1 reads a state as the first version encoded it, without its version
// byte: the rules, then account by account in the order of their ids, each with its
// sessions, the ids of those that hold streams, its positions and its hidden titles.
func readVersion1(b []byte) (*State, error) {
	r := reader{b: b}
	s := NewState(Rules{LeaseMS: r.int(), DefaultStreams: int(r.int())})
	for range r.count() {
		s.readAccount1(&r)
	}
	if r.failed || len(r.b) > 0 {
		return nil, errSnapshot
	}
	return s, nil
}

func (s *State) readAccount1(r *reader) {
	id := r.uint()
	if id == 0 || s.findAccount(id) != 0 {
		r.fail()
		return
	}
	account := s.account(id)
	s.SetMaxStreams(id, int(r.uint()))
	for range r.count() {
		s.readSession1(r, account)
	}
	for range r.count() {
		holder := r.id()
		ref := s.findSession(id, &holder)
		if ref == 0 {
			r.fail()
			return
		}
		session := s.editSession(ref)
		s.setHolds(ref, session, true)
		s.closeSession(session)
	}
	for range r.count() {
		profile, title := uint8(r.uint()), uint32(r.uint())
		p := Position{
			TitleID: title, SessionID: r.id(), Seq: uint32(r.uint()),
			At: Millis(r.int()), PositionMS: r.int(), RuntimeMS: r.int(),
		}
		if s.findSession(id, &p.SessionID) == 0 || s.findPosition(account, profile, title) != 0 {
			r.fail()
			return
		}
		s.setPosition(0, account, profile, p)
	}
	for range r.count() {
		profile, title := uint8(r.uint()), uint32(r.uint())
		s.Hide(Millis(r.int()), id, profile, title)
	}
}

func (s *State) readSession1(in *reader, account uint32) {
	owner := s.accounts.at(account).id
	r := sessionRecord{account: account, id: in.id(), profile: uint8(in.uint()), title: uint32(in.uint())}
	r.setDevice(in.uint())
	d := details{deviceType: in.text(), country: in.text()}
	r.setMoment(startedAt, Millis(in.int()))
	r.setMoment(updatedAt, Millis(in.int()))
	r.lastSeq, r.lastType, r.events = uint32(in.uint()), EventType(in.uint()), uint32(in.uint())
	for _, which := range [...]int{mediaPosition, mediaPlayed, mediaRuntime, mediaRebuffer} {
		r.setMedia(which, in.int())
	}
	for range in.count() {
		d.bitrates = append(d.bitrates, Bitrate{Kbps: in.text(), PlayedMS: in.int()})
	}
	for range in.count() {
		d.errors = append(d.errors, PlaybackError{Seq: uint32(in.uint()), At: Millis(in.int()), Code: in.text()})
	}
	for range in.count() {
		d.heard = append(d.heard, span{uint32(in.uint()), uint32(in.uint())})
	}
	bits := in.uint() // the third, that it holds a stream, is told by the list of holders
	r.set(wasAdmitted, bits&1 != 0)
	r.set(wasDenied, bits&2 != 0)
	r.setMoment(firstSeen, Millis(in.int()))
	r.setMoment(lastSeen, Millis(in.int()))
	if in.failed || s.findSession(owner, &r.id) != 0 {
		in.fail()
		return
	}
	ref := s.addSession(r)
	session := s.sessions.at(ref)
	s.setDetails(session, &d)
	s.closeSession(session)
}

// reader reads numbers and texts from bytes; once it failed, it answers zeros.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) fail() { r.failed, r.b = true, nil }

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many things follow. Each takes a byte at least, so that a
// damaged count cannot ask for more memory than the input has.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) id() (id SessionID) {
	copy(id[:], r.bytes(len(id)))
	return id
}

func (r *reader) text() string { return string(r.bytes(r.count())) }
