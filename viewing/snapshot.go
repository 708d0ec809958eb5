package viewing

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An encoded state, version 3, is
//
//	its version, one byte
//	the rules
//	how many sessions are in the cold store, and the sum of their hashes
//	the dictionary: how many texts, and each
//	the records, in no order but that an account's comes before what is of it:
//	  their kind, one byte, and their fields
//	the end: a 0, the digest, 8 bytes big-endian
//
// Version 2 tells nothing of a cold store, and had none.
//
// Numbers are uvarints, or varints where they may be negative.
const (
	snapshotVersion1 = 1
	snapshotVersion2 = 2
	snapshotVersion  = 3
)

// Kinds of records in a snapshot.
const (
	kindEnd = iota
	kindAccount
	kindSession
	kindPosition
	kindHide
)

var errSnapshot = errors.New("the encoded state is cut short or damaged")

// Snapshot is the encoding, piece by piece, of a state as it was when Capture was
// called, while the state goes on. There is one at a time.
type Snapshot struct {
	state *State
	head  []byte
	end   []byte
	done  bool
}

// Capture begins a snapshot. It takes microseconds, whatever the state's size, and 16
// bytes for each hundred records. The snapshot before must have been released.
//
// The cold store as it is now belongs to the snapshot: who restores it needs both.
func (s *State) Capture() *Snapshot {
	if s.accounts.capture != nil {
		panic("viewing: a snapshot is under way")
	}
	s.accounts.beginCapture()
	s.sessions.beginCapture()
	s.positions.beginCapture()
	s.hides.beginCapture()
	w := writer{[]byte{snapshotVersion}}
	w.int(s.rules.LeaseMS)
	w.int(int64(s.rules.DefaultStreams))
	w.uint(uint64(s.left.sessions))
	w.uint(uint64(s.left.digest))
	w.uint(uint64(len(s.texts.all)))
	for _, text := range s.texts.all {
		w.text(text)
	}
	return &Snapshot{state: s, head: w.b, end: binary.BigEndian.AppendUint64([]byte{kindEnd}, uint64(s.digest))}
}

// Append appends the next piece, some 100 KiB, to dst, and says whether there may be
// more. The state must not be changed meanwhile, and may be between two pieces.
func (n *Snapshot) Append(dst []byte) (out []byte, more bool) {
	if n.head != nil {
		dst, n.head = append(dst, n.head...), nil
		return dst, true
	}
	s := n.state
	for _, next := range [...]func([]byte) ([]byte, bool){
		s.accounts.captureNext, s.sessions.captureNext, s.positions.captureNext, s.hides.captureNext,
	} {
		if dst, more = next(dst); more {
			return dst, true
		}
	}
	if !n.done {
		n.done = true
		dst = append(dst, n.end...)
	}
	return dst, false
}

// Release ends the snapshot, whole or not. The state must not be changed meanwhile.
func (n *Snapshot) Release() {
	if n.state == nil {
		return
	}
	n.state.accounts.endCapture()
	n.state.sessions.endCapture()
	n.state.positions.endCapture()
	n.state.hides.endCapture()
	n.state = nil
}

// AppendBinary appends the encoded state to dst.
func (s *State) AppendBinary(dst []byte) []byte {
	n := s.Capture()
	defer n.Release()
	for more := true; more; {
		dst, more = n.Append(dst)
	}
	return dst
}

func appendAccount(dst []byte, r *accountRecord) []byte {
	if r.id == 0 {
		return dst
	}
	dst = append(dst, kindAccount)
	dst = binary.AppendUvarint(dst, r.id)
	return binary.AppendUvarint(dst, uint64(r.maxStreams))
}

func (s *State) appendSession(dst []byte, r *sessionRecord) []byte {
	if r.account == 0 {
		return dst
	}
	w := writer{append(dst, kindSession)}
	w.uint(s.accounts.at(r.account).id)
	w.id(r.id)
	w.uint(uint64(r.profile))
	w.uint(uint64(r.title))
	w.uint(r.device())
	w.uint(uint64(r.kind))
	w.uint(uint64(r.country))
	for which := range moments {
		w.uint(uint64(r.moment(which)))
	}
	w.uint(uint64(r.lastSeq))
	w.uint(uint64(r.lastType))
	w.uint(uint64(r.events))
	for which := range medias {
		w.uint(uint64(r.media(which)))
	}
	w.uint(uint64(r.flags &^ inCells))
	var room [4 * cellBytes]byte
	encoded := bytes.TrimRight(s.encodedDetails(room[:], r), "\x00")
	w.uint(uint64(len(encoded)))
	return append(w.b, encoded...)
}

func (s *State) appendPosition(dst []byte, r *positionRecord) []byte {
	if r.account == 0 {
		return dst
	}
	w := writer{append(dst, kindPosition)}
	p := r.value()
	w.uint(s.accounts.at(r.account).id)
	w.uint(uint64(r.profile))
	w.uint(uint64(p.TitleID))
	w.id(p.SessionID)
	w.uint(uint64(p.Seq))
	w.int(int64(p.At))
	w.uint(uint64(p.PositionMS))
	w.uint(uint64(p.RuntimeMS))
	return w.b
}

func (s *State) appendHide(dst []byte, r *hideRecord) []byte {
	if r.account == 0 {
		return dst
	}
	w := writer{append(dst, kindHide)}
	w.uint(s.accounts.at(r.account).id)
	w.uint(uint64(r.profile))
	w.uint(uint64(r.title))
	w.int(int64(r.at))
	return w.b
}

// ReadState reads an encoded state to its end, of this version or an older one. If
// sessions had left its memory, it needs their store before it is asked anything.
func ReadState(from io.Reader) (*State, error) {
	in := bufio.NewReaderSize(from, 1<<16)
	version, err := in.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return nil, errSnapshot
	case err != nil:
		return nil, err
	case version == snapshotVersion1:
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		return readVersion1(b)
	case version != snapshotVersion2 && version != snapshotVersion:
		return nil, fmt.Errorf("state encoding: version %d, expected at most %d: run a newer server", version, snapshotVersion)
	}
	s, err := readRecords(&stream{in: in}, version)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errSnapshot
	}
	return s, err
}

func readRecords(in *stream, version byte) (*State, error) {
	s := NewState(Rules{LeaseMS: in.int(), DefaultStreams: int(in.int())})
	if version > snapshotVersion2 {
		sessions := in.uint()
		if sessions > maxCold {
			return nil, in.damaged()
		}
		s.left.sessions, s.left.digest = int(sessions), digest(in.uint())
		s.digest = s.left.digest
	}
	texts := in.uint()
	if texts < 1 || texts > maxTexts {
		return nil, in.damaged()
	}
	for i := range texts {
		if text := in.text(); int(s.texts.number(text)) != int(i) {
			return nil, in.damaged()
		}
	}
	for in.err == nil {
		switch in.byte() {
		case kindEnd:
			return s, in.end(uint64(s.digest))
		case kindAccount:
			s.readAccount(in)
		case kindSession:
			s.readSession(in)
		case kindPosition:
			s.readPosition(in)
		case kindHide:
			s.readHide(in)
		default:
			return nil, in.damaged()
		}
	}
	return nil, in.err
}

func (s *State) readAccount(in *stream) {
	id, streams := in.uint(), in.uint()
	if in.err != nil || id == 0 || s.findAccount(id) != 0 {
		in.fail()
		return
	}
	account := s.accounts.at(s.account(id))
	s.digest -= hashAccount(account)
	account.maxStreams = uint32(streams)
	s.digest += hashAccount(account)
}

// readOwner reads the account that a record is of.
func (s *State) readOwner(in *stream) uint32 {
	ref := s.findAccount(in.uint())
	if ref == 0 {
		in.fail()
	}
	return ref
}

func (s *State) readSession(in *stream) {
	r := sessionRecord{account: s.readOwner(in), id: in.id(), profile: uint8(in.uint()), title: uint32(in.uint())}
	r.setDevice(in.uint())
	r.kind, r.country = uint16(in.uint()), uint16(in.uint())
	for which := range moments {
		r.setMoment(which, Millis(in.uint()))
	}
	r.lastSeq, r.lastType, r.events = uint32(in.uint()), EventType(in.uint()), uint32(in.uint())
	for which := range medias {
		r.setMedia(which, int64(in.uint()))
	}
	r.flags = uint8(in.uint()) &^ inCells
	encoded := in.padded(maxDetailsBytes, inlineBytes)
	if in.err != nil || !s.knows(r.kind) || !s.knows(r.country) {
		in.fail()
		return
	}
	_, size, ok := s.details(&r, encoded)
	if !ok || s.findSession(s.accounts.at(r.account).id, &r.id) != 0 {
		in.fail()
		return
	}
	s.putDetails(&r, encoded[:size])
	s.digest += s.hashSession(s.sessions.at(s.addSession(r)))
}

func (s *State) knows(text uint16) bool { return text == plainText || int(text) < len(s.texts.all) }

func (s *State) readPosition(in *stream) {
	account, profile := s.readOwner(in), uint8(in.uint())
	p := Position{
		TitleID: uint32(in.uint()), SessionID: in.id(), Seq: uint32(in.uint()),
		At: Millis(in.int()), PositionMS: int64(in.uint()), RuntimeMS: int64(in.uint()),
	}
	if in.err != nil || s.findPosition(account, profile, p.TitleID) != 0 {
		in.fail()
		return
	}
	s.digest += s.hashPosition(s.positions.at(s.addPosition(account, profile, p)))
}

func (s *State) readHide(in *stream) {
	r := hideRecord{account: s.readOwner(in), profile: uint8(in.uint()), title: uint32(in.uint()), at: Millis(in.int())}
	if in.err != nil || s.findHide(r.account, r.profile, r.title) != 0 {
		in.fail()
		return
	}
	s.digest += s.hashHide(s.hides.at(s.addHide(r)))
}

// maxCold is more sessions than a disk holds.
const maxCold = 1 << 48

// writer appends to an encoding.
type writer struct{ b []byte }

func (w *writer) uint(v uint64)   { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)     { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) id(id SessionID) { w.b = append(w.b, id[:]...) }
func (w *writer) text(s string)   { w.b = appendPlain(w.b, s) }

// maxDetailsBytes bounds a session's details in a snapshot: 32 bitrates and errors of
// 64 bytes of text, 256 runs of seqs, and the padding of their last cell.
const maxDetailsBytes = 16 << 10

// stream reads what writer wrote; once it failed, it answers zeros.
type stream struct {
	in  *bufio.Reader
	err error
	buf []byte
}

func (r *stream) fail() {
	if r.err == nil {
		r.err = errSnapshot
	}
}

func (r *stream) damaged() error { r.fail(); return r.err }

func (r *stream) byte() byte {
	if r.err != nil {
		return 0
	}
	var b byte
	b, r.err = r.in.ReadByte()
	return b
}

func (r *stream) uint() (v uint64) {
	if r.err == nil {
		v, r.err = binary.ReadUvarint(r.in)
	}
	return v
}

func (r *stream) int() (v int64) {
	if r.err == nil {
		v, r.err = binary.ReadVarint(r.in)
	}
	return v
}

func (r *stream) id() (id SessionID) {
	if r.err == nil {
		_, r.err = io.ReadFull(r.in, id[:])
	}
	return id
}

// bytes reads a length and as many bytes, at most limit. They are good until the next.
func (r *stream) bytes(limit uint64) []byte {
	n := r.uint()
	if n > limit {
		r.fail()
	}
	if r.err != nil {
		return nil
	}
	if uint64(cap(r.buf)) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	_, r.err = io.ReadFull(r.in, b)
	return b
}

// padded reads bytes and appends as many zeros.
func (r *stream) padded(limit uint64, zeros int) []byte {
	b := r.bytes(limit)
	r.buf = append(b, make([]byte, zeros)...)
	return r.buf
}

func (r *stream) text() string { return string(r.bytes(maxDetailsBytes)) }

// end reads the digest, which must be that of what was read, and nothing after it.
func (r *stream) end(digest uint64) error {
	var b [8]byte
	if _, err := io.ReadFull(r.in, b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(b[:]) != digest {
		return errSnapshot
	}
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return errSnapshot
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
