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
	account := s.findAccount(accountID)
	if account == 0 {
		return s.rules.DefaultStreams, nil
	}
	return s.limit(account), s.active(now, account)
}

func (s *State) active(now Millis, account uint32) []ActiveStream {
	var active []ActiveStream
	for ref := s.accounts.at(account).holders; ref != 0; {
		r := s.sessions.at(ref)
		ref = r.next
		if !r.active(now, s.rules.LeaseMS) {
			continue
		}
		active = append(active, ActiveStream{
			SessionID: r.id, ProfileID: r.profile, TitleID: r.title, DeviceID: r.device(),
			DeviceType: s.deviceType(r), PositionMS: r.media(mediaPosition), StartedAt: r.moment(startedAt),
			LastSeenAt: r.moment(lastSeen), ExpiresAt: r.expiresAt(s.rules.LeaseMS),
		})
	}
	slices.SortFunc(active, func(a, b ActiveStream) int {
		return cmp.Or(cmp.Compare(a.StartedAt, b.StartedAt), a.SessionID.Compare(b.SessionID))
	})
	return active
}

// Session reports on one session of an account, hidden or not. It shares no
// memory with the state. An error is the cold store's.
func (s *State) Session(now Millis, accountID uint64, id SessionID) (report Report, known bool, err error) {
	if ref := s.findSession(accountID, &id); ref != 0 {
		r := s.sessions.at(ref)
		d := s.detailsOf(r)
		return s.report(r, &d, now), true, nil
	}
	account := s.findAccount(accountID)
	if account == 0 {
		return Report{}, false, nil
	}
	c, err := s.readCold(account, id)
	if c == nil {
		return Report{}, false, err
	}
	return s.report(&c.sessionRecord, &c.details, now), true, nil
}

func (s *State) report(r *sessionRecord, d *details, now Millis) Report {
	return Report{
		View: s.view(r, d.deviceType, now), State: r.state(now, s.rules.LeaseMS),
		LastSeq: r.lastSeq, Events: r.events, RebufferMS: r.media(mediaRebuffer),
		BitrateMS: d.bitrates, Errors: d.errors,
	}
}

func (s *State) view(r *sessionRecord, deviceType string, now Millis) View {
	v := View{
		SessionID: r.id, ProfileID: r.profile, TitleID: r.title,
		DeviceID: r.device(), DeviceType: deviceType,
		StartedAt: r.moment(startedAt), EndedAt: r.moment(updatedAt), PlayedMS: r.media(mediaPlayed),
		PositionMS: r.media(mediaPosition), RuntimeMS: r.media(mediaRuntime),
	}
	v.Completed = Completed(v.PositionMS, v.RuntimeMS)
	if r.active(now, s.rules.LeaseMS) {
		v.EndedAt = 0
	}
	return v
}

// Position says where a profile is in a title.
func (s *State) Position(accountID uint64, profileID uint8, titleID uint32) (Position, bool) {
	account := s.findAccount(accountID)
	if account == 0 {
		return Position{}, false
	}
	ref := s.findPosition(account, profileID, titleID)
	if ref == 0 {
		return Position{}, false
	}
	return s.positions.at(ref).value(), true
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

func (r *sessionRecord) cursor() Cursor { return Cursor{r.moment(startedAt), r.id} }

// History lists at most limit views of a profile, the newest beginning first,
// from after the cursor on (nil: from the newest). next is nil on the last page. An
// error is the cold store's.
func (s *State) History(now Millis, accountID uint64, profileID uint8, after *Cursor, limit int) (page []View, next *Cursor, err error) {
	account := s.findAccount(accountID)
	if account == 0 || limit < 1 {
		return nil, nil, nil
	}
	found := s.viewsInMemory(account, profileID, after)
	whole := true
	add := func(r *sessionRecord, deviceType string) bool {
		if whole = len(page) < limit; whole {
			page = append(page, s.view(r, deviceType, now))
		}
		return whole
	}
	err = s.coldViews(account, profileID, after, func(c *coldSession) bool {
		at := c.cursor()
		for ; whole && len(found) > 0 && found[0].cursor().compareNewestFirst(at) < 0; found = found[1:] {
			add(found[0], s.deviceType(found[0]))
		}
		return whole && add(&c.sessionRecord, c.deviceType)
	})
	if err != nil {
		return nil, nil, err
	}
	for ; whole && len(found) > 0; found = found[1:] {
		add(found[0], s.deviceType(found[0]))
	}
	if !whole {
		next = &Cursor{page[limit-1].StartedAt, page[limit-1].SessionID}
	}
	return page, next, nil
}

// viewsInMemory are a profile's sessions that are in memory and not hidden, the newest
// beginning first, from after the cursor on.
func (s *State) viewsInMemory(account uint32, profileID uint8, after *Cursor) (found []*sessionRecord) {
	for _, head := range [...]uint32{s.accounts.at(account).holders, s.accounts.at(account).others} {
		for ref := head; ref != 0; {
			r := s.sessions.at(ref)
			ref = r.next
			if r.profile == profileID && (after == nil || after.compareNewestFirst(r.cursor()) < 0) && !s.hidden(r) {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, func(a, b *sessionRecord) int { return a.cursor().compareNewestFirst(b.cursor()) })
	return found
}

// ContinueWatching lists at most limit titles that a profile began and did not
// complete, each by the session that knows its position, the latest first. An error is
// the cold store's.
func (s *State) ContinueWatching(now Millis, accountID uint64, profileID uint8, limit int) ([]View, error) {
	account := s.findAccount(accountID)
	if account == 0 {
		return nil, nil
	}
	var begun []Position
	for ref := s.accounts.at(account).positions; ref != 0; {
		r := s.positions.at(ref)
		ref = r.next
		if p := r.value(); r.profile == profileID && !Completed(p.PositionMS, p.RuntimeMS) {
			begun = append(begun, p)
		}
	}
	slices.SortFunc(begun, func(a, b Position) int {
		if b.newerThan(a) {
			return 1
		}
		return -1
	})
	views := make([]View, 0, min(limit, len(begun)))
	for i := range begun {
		if len(views) >= limit {
			break
		}
		view, shown, err := s.viewAt(now, account, profileID, &begun[i])
		if err != nil {
			return nil, err
		}
		if shown {
			views = append(views, view)
		}
	}
	return views, nil
}

// viewAt is the view of a position's session, unless it is hidden.
func (s *State) viewAt(now Millis, account uint32, profileID uint8, p *Position) (view View, shown bool, err error) {
	if ref := s.findSession(s.accounts.at(account).id, &p.SessionID); ref != 0 {
		r := s.sessions.at(ref)
		view, shown = s.view(r, s.deviceType(r), now), !s.hidden(r)
	} else if !s.hiddenSince(account, profileID, p.TitleID, p.At) { // what began by then is not looked for
		c, err := s.readCold(account, p.SessionID)
		if c == nil {
			return View{}, false, err
		}
		view, shown = s.view(&c.sessionRecord, c.deviceType, now), !s.hidden(&c.sessionRecord)
	}
	view.PositionMS, view.RuntimeMS, view.Completed = p.PositionMS, p.RuntimeMS, false
	return view, shown, nil
}
