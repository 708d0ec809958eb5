package viewing

import (
	"cmp"
	"slices"
)

// MaxAheadMS is how far a device's clock may run ahead of the server's before
// its at is taken back.
const MaxAheadMS = 5000

// Session is what is known of one playback.
type Session struct {
	ID         SessionID
	ProfileID  uint8
	TitleID    uint32
	DeviceID   uint64
	DeviceType string
	Country    string

	StartedAt  Millis // the earliest at of its events
	UpdatedAt  Millis // the at of its newest event
	LastSeq    uint32
	LastType   EventType // of its newest event
	Events     uint32    // how many different events were heard
	PositionMS int64
	PlayedMS   int64
	RuntimeMS  int64 // the longest that was told, 0 if none was
	RebufferMS int64
	BitrateMS  []Bitrate
	Errors     []PlaybackError // by seq, the newest 32

	heard     seqSet
	admitted  bool   // it held a stream once
	denied    bool   // it was refused one once, and what it did was kept all the same
	holds     bool   // it holds a stream while its lease lasts
	firstSeen Millis // the server's clock when the session was first heard of
	lastSeen  Millis // the server's clock when it was last heard from
}

// PlaybackError is an error that a device told of.
type PlaybackError struct {
	Seq  uint32
	At   Millis
	Code string
}

// SessionState is the state of a session at a moment.
type SessionState string

// The states of a session. One that lost its stream to a newer start on its
// device is expired, unless it was stopped.
const (
	Active  SessionState = "active"
	Stopped SessionState = "stopped"
	Expired SessionState = "expired"
)

// State is the state of the session at now under a lease.
func (s *Session) State(now Millis, leaseMS int64) SessionState {
	switch {
	case s.active(now, leaseMS):
		return Active
	case s.LastType == Stop:
		return Stopped
	}
	return Expired
}

// ExpiresAt is the moment from which the session holds no stream unless it is
// heard from again.
func (s *Session) ExpiresAt(leaseMS int64) Millis { return s.lastSeen + Millis(leaseMS) }

func (s *Session) active(now Millis, leaseMS int64) bool {
	return s.holds && now < s.ExpiresAt(leaseMS)
}

func newSession(e *Event, at, now Millis) *Session {
	return &Session{
		ID: e.SessionID, ProfileID: e.ProfileID, TitleID: e.TitleID,
		DeviceID: e.DeviceID, StartedAt: at, firstSeen: now, lastSeen: now,
	}
}

// isOf says whether the event names the same viewer, device and title.
func (s *Session) isOf(e *Event) bool {
	return s.ProfileID == e.ProfileID && s.DeviceID == e.DeviceID && s.TitleID == e.TitleID
}

// overtakes says whether the session already knows something newer than e, so
// that e cannot tell whether it plays now.
func (s *Session) overtakes(e *Event) bool {
	if s.Events == 0 || e.Seq > s.LastSeq {
		return false
	}
	return e.Seq < s.LastSeq || (s.LastType == Stop && e.Type != Stop)
}

// fold takes the facts of the event, whose at is given within the server's
// bound, and says whether they were new. A repetition changes nothing.
func (s *Session) fold(e *Event, at Millis) (fresh bool) {
	if !s.heard.add(e.Seq) {
		return false
	}
	newest := s.Events == 0 || e.Seq > s.LastSeq
	s.Events++
	s.StartedAt = min(s.StartedAt, at)
	s.RuntimeMS = max(s.RuntimeMS, e.RuntimeMS)
	if e.Type == Error || e.ErrorCode != "" {
		s.addError(PlaybackError{e.Seq, at, e.ErrorCode})
	}
	if !newest {
		return true
	}
	s.LastSeq, s.LastType, s.UpdatedAt = e.Seq, e.Type, at
	s.PositionMS, s.PlayedMS, s.RebufferMS = e.PositionMS, e.PlayedMS, e.RebufferMS
	s.DeviceType, s.Country = e.DeviceType, e.Country
	s.BitrateMS = append(s.BitrateMS[:0], e.BitrateMS...)
	return true
}

func (s *Session) addError(e PlaybackError) {
	at, _ := slices.BinarySearchFunc(s.Errors, e, func(a, b PlaybackError) int { return cmp.Compare(a.Seq, b.Seq) })
	s.Errors = slices.Insert(s.Errors, at, e)
	if len(s.Errors) > maxErrorsKept {
		s.Errors = slices.Delete(s.Errors, 0, 1)
	}
}
