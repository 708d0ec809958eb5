package viewing

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// snapshotVersion is the first byte of an encoded state. A change of the encoding
// takes the next number, and decoding keeps the old ones.
const snapshotVersion = 1

var errSnapshot = errors.New("the encoded state is cut short or damaged")

// Digest is equal for equal states, whatever the order in which they came about.
func (s *State) Digest() [sha256.Size]byte { return sha256.Sum256(s.AppendBinary(nil)) }

// AppendBinary appends the encoded state to dst: accounts, sessions, positions
// and hidden titles, each in the order of their ids.
func (s *State) AppendBinary(dst []byte) []byte {
	w := writer{append(dst, snapshotVersion)}
	w.int(s.rules.LeaseMS)
	w.int(int64(s.rules.DefaultStreams))
	w.uint(uint64(len(s.accounts)))
	for _, id := range slices.Sorted(maps.Keys(s.accounts)) {
		w.uint(id)
		w.account(s.accounts[id])
	}
	return w.b
}

// UnmarshalBinary replaces the state by an encoded one, or leaves it as it is and
// says why.
func (s *State) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != snapshotVersion {
		return fmt.Errorf("state encoding: expected version %d", snapshotVersion)
	}
	r := reader{b: b[1:]}
	decoded := NewState(Rules{LeaseMS: r.int(), DefaultStreams: int(r.int())})
	for range r.count() {
		id := r.uint()
		decoded.accounts[id] = r.account()
	}
	if r.failed || len(r.b) > 0 {
		return errSnapshot
	}
	*s = *decoded
	return nil
}

type writer struct{ b []byte }

func (w *writer) uint(v uint64)    { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)      { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) id(id SessionID)  { w.b = append(w.b, id[:]...) }
func (w *writer) title(k titleKey) { w.uint(uint64(k.ProfileID)); w.uint(uint64(k.TitleID)) }

func (w *writer) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) account(a *account) {
	w.uint(uint64(a.maxStreams))
	w.uint(uint64(len(a.sessions)))
	for _, id := range slices.SortedFunc(maps.Keys(a.sessions), SessionID.Compare) {
		w.session(a.sessions[id])
	}
	holders := slices.SortedFunc(slices.Values(a.holders), func(x, y *Session) int { return x.ID.Compare(y.ID) })
	w.uint(uint64(len(holders)))
	for _, h := range holders {
		w.id(h.ID)
	}
	w.uint(uint64(len(a.positions)))
	for _, key := range slices.SortedFunc(maps.Keys(a.positions), compareTitles) {
		w.title(key)
		w.position(a.positions[key])
	}
	w.uint(uint64(len(a.hidden)))
	for _, key := range slices.SortedFunc(maps.Keys(a.hidden), compareTitles) {
		w.title(key)
		w.int(int64(a.hidden[key]))
	}
}

func (w *writer) position(p Position) {
	w.id(p.SessionID)
	w.uint(uint64(p.Seq))
	w.int(int64(p.At))
	w.int(p.PositionMS)
	w.int(p.RuntimeMS)
}

func (w *writer) session(s *Session) {
	w.id(s.ID)
	w.uint(uint64(s.ProfileID))
	w.uint(uint64(s.TitleID))
	w.uint(s.DeviceID)
	w.text(s.DeviceType)
	w.text(s.Country)
	w.int(int64(s.StartedAt))
	w.int(int64(s.UpdatedAt))
	w.uint(uint64(s.LastSeq))
	w.uint(uint64(s.LastType))
	w.uint(uint64(s.Events))
	w.int(s.PositionMS)
	w.int(s.PlayedMS)
	w.int(s.RuntimeMS)
	w.int(s.RebufferMS)
	w.uint(uint64(len(s.BitrateMS)))
	for _, rate := range s.BitrateMS {
		w.text(rate.Kbps)
		w.int(rate.PlayedMS)
	}
	w.uint(uint64(len(s.Errors)))
	for _, e := range s.Errors {
		w.uint(uint64(e.Seq))
		w.int(int64(e.At))
		w.text(e.Code)
	}
	w.uint(uint64(len(s.heard)))
	for _, run := range s.heard {
		w.uint(uint64(run.First))
		w.uint(uint64(run.Last))
	}
	w.uint(flags(s.admitted, s.denied, s.holds))
	w.int(int64(s.firstSeen))
	w.int(int64(s.lastSeen))
}

func flags(bits ...bool) (v uint64) {
	for i, bit := range bits {
		if bit {
			v |= 1 << i
		}
	}
	return v
}

// reader reads what writer wrote; once it failed, it answers zeros.
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
		return make([]byte, n)
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

func (r *reader) title() titleKey {
	return titleKey{ProfileID: uint8(r.uint()), TitleID: uint32(r.uint())}
}

func (r *reader) account() *account {
	a := newAccount()
	a.maxStreams = int(r.uint())
	for range r.count() {
		session := r.session()
		a.sessions[session.ID] = session
	}
	for range r.count() {
		holder := a.sessions[r.id()]
		if holder == nil {
			r.fail()
			return a
		}
		a.holders = append(a.holders, holder)
	}
	for range r.count() {
		key := r.title()
		position := r.position(key.TitleID)
		if a.sessions[position.SessionID] == nil {
			r.fail()
			return a
		}
		a.positions[key] = position
	}
	if hidden := r.count(); hidden > 0 {
		a.hidden = make(map[titleKey]Millis, hidden)
		for range hidden {
			key := r.title()
			a.hidden[key] = Millis(r.int())
		}
	}
	return a
}

func (r *reader) position(titleID uint32) Position {
	return Position{
		TitleID: titleID, SessionID: r.id(), Seq: uint32(r.uint()),
		At: Millis(r.int()), PositionMS: r.int(), RuntimeMS: r.int(),
	}
}

func (r *reader) session() *Session {
	s := &Session{
		ID: r.id(), ProfileID: uint8(r.uint()), TitleID: uint32(r.uint()), DeviceID: r.uint(),
		DeviceType: r.text(), Country: r.text(),
		StartedAt: Millis(r.int()), UpdatedAt: Millis(r.int()),
		LastSeq: uint32(r.uint()), LastType: EventType(r.uint()), Events: uint32(r.uint()),
		PositionMS: r.int(), PlayedMS: r.int(), RuntimeMS: r.int(), RebufferMS: r.int(),
	}
	for range r.count() {
		s.BitrateMS = append(s.BitrateMS, Bitrate{Kbps: r.text(), PlayedMS: r.int()})
	}
	for range r.count() {
		s.Errors = append(s.Errors, PlaybackError{Seq: uint32(r.uint()), At: Millis(r.int()), Code: r.text()})
	}
	for range r.count() {
		s.heard = append(s.heard, span{uint32(r.uint()), uint32(r.uint())})
	}
	bits := r.uint()
	s.admitted, s.denied, s.holds = bits&1 != 0, bits&2 != 0, bits&4 != 0
	s.firstSeen, s.lastSeen = Millis(r.int()), Millis(r.int())
	return s
}
