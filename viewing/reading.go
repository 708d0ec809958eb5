package viewing

import (
	"cmp"
	"slices"
)

// ActiveStream is a session that holds one of its account's streams.
type ActiveStream struct {
	SessionID  SessionID
	ProfileID  uint8
	TitleID    uint32
	DeviceID   uint64
	DeviceType string
	PositionMS int64
	StartedAt  Millis
	LastSeenAt Millis // by the server's clock
	ExpiresAt  Millis // by the server's clock
}

// View is the summary of a session: who, what, when, where, how long.
type View struct {
	SessionID  SessionID
	ProfileID  uint8
	TitleID    uint32
	DeviceID   uint64
	DeviceType string
	StartedAt  Millis
	EndedAt    Millis // the at of its newest event; 0 while it is active
	PlayedMS   int64
	PositionMS int64
	RuntimeMS  int64
	Completed  bool
}

// Report is everything known of a session.
type Report struct {
	View
	State      SessionState
	LastSeq    uint32
	Events     uint32 // how many different events were heard
	RebufferMS int64
	BitrateMS  []Bitrate
	Errors     []PlaybackError
}

// Active lists what holds the account's streams at now, the oldest start first,
// and the account's limit. An account never heard of has an empty list.
func (s *State) Active(now Millis, accountID uint64) (maxStreams int, active []ActiveStream) {
	known := s.accounts[accountID]
	if known == nil {
		return s.rules.DefaultStreams, nil
	}
	return known.limit(s.rules), known.active(now, s.rules)
}

func (a *account) active(now Millis, rules Rules) []ActiveStream {
	var active []ActiveStream
	for _, h := range a.holders {
		if !h.active(now, rules.LeaseMS) {
			continue
		}
		active = append(active, ActiveStream{
			SessionID: h.ID, ProfileID: h.ProfileID, TitleID: h.TitleID, DeviceID: h.DeviceID,
			DeviceType: h.DeviceType, PositionMS: h.PositionMS, StartedAt: h.StartedAt,
			LastSeenAt: h.lastSeen, ExpiresAt: h.ExpiresAt(rules.LeaseMS),
		})
	}
	slices.SortFunc(active, func(a, b ActiveStream) int {
		return cmp.Or(cmp.Compare(a.StartedAt, b.StartedAt), a.SessionID.Compare(b.SessionID))
	})
	return active
}

// Session reports on one session of an account, hidden or not. It shares no
// memory with the state.
func (s *State) Session(now Millis, accountID uint64, id SessionID) (Report, bool) {
	known := s.accounts[accountID]
	if known == nil || known.sessions[id] == nil {
		return Report{}, false
	}
	session := known.sessions[id]
	return Report{
		View: session.view(now, s.rules), State: session.State(now, s.rules.LeaseMS),
		LastSeq: session.LastSeq, Events: session.Events, RebufferMS: session.RebufferMS,
		BitrateMS: slices.Clone(session.BitrateMS), Errors: slices.Clone(session.Errors),
	}, true
}

func (s *Session) view(now Millis, rules Rules) View {
	v := View{
		SessionID: s.ID, ProfileID: s.ProfileID, TitleID: s.TitleID,
		DeviceID: s.DeviceID, DeviceType: s.DeviceType,
		StartedAt: s.StartedAt, EndedAt: s.UpdatedAt, PlayedMS: s.PlayedMS,
		PositionMS: s.PositionMS, RuntimeMS: s.RuntimeMS,
		Completed: Completed(s.PositionMS, s.RuntimeMS),
	}
	if s.active(now, rules.LeaseMS) {
		v.EndedAt = 0
	}
	return v
}

// Position says where a profile is in a title.
func (s *State) Position(accountID uint64, profileID uint8, titleID uint32) (Position, bool) {
	known := s.accounts[accountID]
	if known == nil {
		return Position{}, false
	}
	position, ok := known.positions[titleKey{profileID, titleID}]
	return position, ok
}

// Cursor is the last view of a page of history; the next page begins after it.
type Cursor struct {
	StartedAt Millis
	SessionID SessionID
}

// compareNewestFirst orders views by their beginning, the newest first.
func (c Cursor) compareNewestFirst(other Cursor) int {
	return cmp.Or(cmp.Compare(other.StartedAt, c.StartedAt), other.SessionID.Compare(c.SessionID))
}

// History lists at most limit views of a profile, the newest beginning first,
// from after the cursor on (nil: from the newest). next is nil on the last page.
func (s *State) History(now Millis, accountID uint64, profileID uint8, after *Cursor, limit int) (page []View, next *Cursor) {
	known := s.accounts[accountID]
	if known == nil || limit < 1 {
		return nil, nil
	}
	for _, session := range known.sessions {
		if session.ProfileID != profileID || known.hides(session) {
			continue
		}
		at := Cursor{session.StartedAt, session.ID}
		if after == nil || after.compareNewestFirst(at) < 0 {
			page = append(page, session.view(now, s.rules))
		}
	}
	slices.SortFunc(page, func(a, b View) int {
		return Cursor{a.StartedAt, a.SessionID}.compareNewestFirst(Cursor{b.StartedAt, b.SessionID})
	})
	if len(page) > limit {
		page = slices.Clip(page[:limit])
		last := page[limit-1]
		next = &Cursor{last.StartedAt, last.SessionID}
	}
	return page, next
}

// ContinueWatching lists at most limit titles that a profile began and did not
// complete, each by the session that knows its position, the latest first.
func (s *State) ContinueWatching(now Millis, accountID uint64, profileID uint8, limit int) []View {
	known := s.accounts[accountID]
	if known == nil {
		return nil
	}
	var begun []Position
	for key, position := range known.positions {
		if key.ProfileID != profileID || Completed(position.PositionMS, position.RuntimeMS) {
			continue
		}
		if !known.hides(known.sessions[position.SessionID]) {
			begun = append(begun, position)
		}
	}
	slices.SortFunc(begun, func(a, b Position) int {
		if b.newerThan(a) {
			return 1
		}
		return -1
	})
	views := make([]View, 0, min(limit, len(begun)))
	for _, position := range begun[:min(limit, len(begun))] {
		view := known.sessions[position.SessionID].view(now, s.rules)
		view.PositionMS, view.RuntimeMS, view.Completed = position.PositionMS, position.RuntimeMS, false
		views = append(views, view)
	}
	return views
}
