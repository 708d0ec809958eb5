package viewing

import (
	"cmp"
	"slices"
)

// The rules in the plainest form: maps and pointers, all of it readable at once, and
// as slow and large as that is. State has to agree with it on everything.

// titleKey is a title of one profile of an account.
type titleKey struct {
	ProfileID uint8
	TitleID   uint32
}

// State is every account and what follows from its events. One goroutine may
// change it while none reads it; any number may read it at once.
type plainState struct {
	rules    Rules
	accounts map[uint64]*plainAccount
}

// NewState returns a state that has heard of nobody.
func newPlainState(rules Rules) *plainState {
	return &plainState{rules: rules, accounts: map[uint64]*plainAccount{}}
}

// Observe takes an event that arrived at now by the server's clock. The event
// must be valid; it may be changed, and is not kept.
func (s *plainState) Observe(now Millis, e *Event) Outcome {
	return s.account(e.AccountID).observe(now, s.rules, e)
}

// Start decides on a start that arrived at now by the server's clock. Unlike a
// start among other events it is a question of a device that waits: one that was
// overtaken by its own session's keepalives is answered for the session as it is.
func (s *plainState) Start(now Millis, e *Event) Admission {
	account := s.account(e.AccountID)
	known := account.sessions[e.SessionID]
	repeated := known != nil && known.admitted
	outcome := account.ask(now, s.rules, e, known)
	answer := Admission{Status: outcome.Status, Reason: outcome.Reason, MaxStreams: account.limit(s.rules)}
	switch outcome.Status {
	case Rejected:
	case Denied:
		answer.Active = account.active(now, s.rules)
	default:
		session := account.sessions[e.SessionID]
		answer.Status = Accepted
		answer.PositionMS, answer.ExpiresAt = session.PositionMS, session.ExpiresAt(s.rules.LeaseMS)
		if repeated {
			answer.Status = Duplicate
		}
		if !session.holds { // its own stop was here first
			answer.Status, answer.ExpiresAt = Duplicate, session.lastSeen
		}
	}
	return answer
}

// ask is observe for a start whose device waits for the answer.
func (a *plainAccount) ask(now Millis, rules Rules, e *Event, known *plainSession) Outcome {
	overtaken := known != nil && known.isOf(e) && known.overtakes(e)
	if overtaken && known.LastType != Stop && !known.active(now, rules.LeaseMS) && known.heard.hasRoom(e.Seq) {
		return a.play(known, now, rules, e)
	}
	return a.observe(now, rules, e)
}

// SetMaxStreams sets the limit of an account. It ends nothing that plays.
func (s *plainState) SetMaxStreams(accountID uint64, streams int) {
	s.account(accountID).maxStreams = streams
}

// Hide takes a title out of a profile's history and continue-watching: every
// session of it that began, or was heard of, until now.
func (s *plainState) Hide(now Millis, accountID uint64, profileID uint8, titleID uint32) {
	account := s.account(accountID)
	if account.hidden == nil {
		account.hidden = map[titleKey]Millis{}
	}
	account.hidden[titleKey{profileID, titleID}] = now
}

func (s *plainState) account(id uint64) *plainAccount {
	known := s.accounts[id]
	if known == nil {
		known = newPlainAccount()
		s.accounts[id] = known
	}
	return known
}

// account is one account's sessions, positions and hidden titles.
type plainAccount struct {
	maxStreams int // 0: never told
	sessions   map[SessionID]*plainSession
	holders    []*plainSession // sessions with a stream, some perhaps past their lease
	positions  map[titleKey]Position
	hidden     map[titleKey]Millis // when, by the server's clock
}

func newPlainAccount() *plainAccount {
	return &plainAccount{sessions: map[SessionID]*plainSession{}, positions: map[titleKey]Position{}}
}

func (a *plainAccount) limit(rules Rules) int {
	if a.maxStreams > 0 {
		return a.maxStreams
	}
	return rules.DefaultStreams
}

// observe takes one event into the account, stamped with the server's clock.
func (a *plainAccount) observe(now Millis, rules Rules, e *Event) Outcome {
	session := a.sessions[e.SessionID]
	if session != nil && !session.isOf(e) {
		return Outcome{Rejected, ReasonOtherIdentity}
	}
	if session != nil && !session.heard.hasRoom(e.Seq) {
		return Outcome{Rejected, ReasonTooManyGaps}
	}
	if e.Offline {
		return a.take(session, now, e, Outcome{Status: Accepted})
	}
	if session != nil && session.overtakes(e) {
		if e.Type == Start && session.denied && !session.admitted {
			return Outcome{Denied, ReasonNeverAdmitted}
		}
		return a.take(session, now, e, Outcome{Status: Accepted})
	}
	if e.Type == Stop {
		outcome := a.take(session, now, e, Outcome{Status: Accepted})
		if outcome.Status == Accepted {
			a.release(a.sessions[e.SessionID])
		}
		return outcome
	}
	return a.play(session, now, rules, e)
}

// play decides whether a session that says it plays may hold a stream.
func (a *plainAccount) play(session *plainSession, now Millis, rules Rules, e *Event) Outcome {
	a.dropExpired(now, rules)
	refusal := ""
	renews := session != nil && session.holds
	if !renews {
		refusal = a.refusal(session, rules, e)
	}
	if refusal != "" {
		outcome := Outcome{Denied, refusal}
		if e.Type == Start {
			return outcome
		}
		outcome = a.take(session, now, e, outcome)
		a.sessions[e.SessionID].denied = true
		return outcome
	}
	outcome := a.take(session, now, e, Outcome{Status: Accepted})
	session = a.sessions[e.SessionID]
	if !renews {
		a.hold(session)
	}
	if !renews || outcome.Status != Duplicate {
		session.lastSeen = now
	}
	return outcome
}

// refusal says why a session that holds no stream may have none, or nothing. A
// session that asks for the first time takes the place of what its device played
// before; one that comes back does not.
func (a *plainAccount) refusal(session *plainSession, rules Rules, e *Event) string {
	others, sameDevice := 0, false
	for _, h := range a.holders {
		if h.DeviceID == e.DeviceID {
			sameDevice = true
		} else {
			others++
		}
	}
	comesBack := session != nil && (session.admitted || session.denied)
	if sameDevice && comesBack {
		return ReasonDeviceMovedOn
	}
	if others >= a.limit(rules) {
		return ReasonTooManyStreams
	}
	return ""
}

// hold gives the session a stream and takes it from what its device played before.
func (a *plainAccount) hold(session *plainSession) {
	a.holders = slices.DeleteFunc(a.holders, func(h *plainSession) bool {
		replaced := h.DeviceID == session.DeviceID
		if replaced {
			h.holds = false
		}
		return replaced
	})
	session.holds, session.admitted = true, true
	a.holders = append(a.holders, session)
}

func (a *plainAccount) release(session *plainSession) {
	session.holds = false
	a.holders = slices.DeleteFunc(a.holders, func(h *plainSession) bool { return h == session })
}

func (a *plainAccount) dropExpired(now Millis, rules Rules) {
	a.holders = slices.DeleteFunc(a.holders, func(h *plainSession) bool {
		expired := !h.active(now, rules.LeaseMS)
		if expired {
			h.holds = false
		}
		return expired
	})
}

// take folds the facts of the event into its session and its title's position,
// and turns an accepted outcome into a duplicate one if they were known.
func (a *plainAccount) take(session *plainSession, now Millis, e *Event, outcome Outcome) Outcome {
	at := min(e.At, now+MaxAheadMS)
	key := titleKey{e.ProfileID, e.TitleID}
	known, ok := a.positions[key]
	if e.ResumePos {
		e.PositionMS = known.PositionMS
	}
	if session == nil {
		session = newPlainSession(e, at, now)
		a.sessions[e.SessionID] = session
	}
	if !session.fold(e, at) {
		if outcome.Status == Accepted {
			outcome.Status = Duplicate
		}
		return outcome
	}
	heard := Position{
		TitleID: e.TitleID, SessionID: e.SessionID, Seq: e.Seq,
		At: at, PositionMS: e.PositionMS, RuntimeMS: max(e.RuntimeMS, known.RuntimeMS),
	}
	if !ok || heard.newerThan(known) {
		a.positions[key] = heard
	} else if heard.RuntimeMS > known.RuntimeMS {
		known.RuntimeMS = heard.RuntimeMS
		a.positions[key] = known
	}
	return outcome
}

// hides says whether the session's title was hidden after the session began.
func (a *plainAccount) hides(s *plainSession) bool {
	at, ok := a.hidden[titleKey{s.ProfileID, s.TitleID}]
	return ok && (s.firstSeen <= at || s.StartedAt <= at)
}

// Session is what is known of one playback.
type plainSession struct {
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

// State is the state of the session at now under a lease.
func (s *plainSession) State(now Millis, leaseMS int64) SessionState {
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
func (s *plainSession) ExpiresAt(leaseMS int64) Millis { return s.lastSeen + Millis(leaseMS) }

func (s *plainSession) active(now Millis, leaseMS int64) bool {
	return s.holds && now < s.ExpiresAt(leaseMS)
}

func newPlainSession(e *Event, at, now Millis) *plainSession {
	return &plainSession{
		ID: e.SessionID, ProfileID: e.ProfileID, TitleID: e.TitleID,
		DeviceID: e.DeviceID, StartedAt: at, firstSeen: now, lastSeen: now,
	}
}

// isOf says whether the event names the same viewer, device and title.
func (s *plainSession) isOf(e *Event) bool {
	return s.ProfileID == e.ProfileID && s.DeviceID == e.DeviceID && s.TitleID == e.TitleID
}

// overtakes says whether the session already knows something newer than e, so
// that e cannot tell whether it plays now.
func (s *plainSession) overtakes(e *Event) bool {
	if s.Events == 0 || e.Seq > s.LastSeq {
		return false
	}
	return e.Seq < s.LastSeq || (s.LastType == Stop && e.Type != Stop)
}

// fold takes the facts of the event, whose at is given within the server's
// bound, and says whether they were new. A repetition changes nothing.
func (s *plainSession) fold(e *Event, at Millis) (fresh bool) {
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

func (s *plainSession) addError(e PlaybackError) {
	at, _ := slices.BinarySearchFunc(s.Errors, e, func(a, b PlaybackError) int { return cmp.Compare(a.Seq, b.Seq) })
	s.Errors = slices.Insert(s.Errors, at, e)
	if len(s.Errors) > maxErrorsKept {
		s.Errors = slices.Delete(s.Errors, 0, 1)
	}
}

// Active lists what holds the account's streams at now, the oldest start first,
// and the account's limit. An account never heard of has an empty list.
func (s *plainState) Active(now Millis, accountID uint64) (maxStreams int, active []ActiveStream) {
	known := s.accounts[accountID]
	if known == nil {
		return s.rules.DefaultStreams, nil
	}
	return known.limit(s.rules), known.active(now, s.rules)
}

func (a *plainAccount) active(now Millis, rules Rules) []ActiveStream {
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
func (s *plainState) Session(now Millis, accountID uint64, id SessionID) (Report, bool) {
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

func (s *plainSession) view(now Millis, rules Rules) View {
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
func (s *plainState) Position(accountID uint64, profileID uint8, titleID uint32) (Position, bool) {
	known := s.accounts[accountID]
	if known == nil {
		return Position{}, false
	}
	position, ok := known.positions[titleKey{profileID, titleID}]
	return position, ok
}

// History lists at most limit views of a profile, the newest beginning first,
// from after the cursor on (nil: from the newest). next is nil on the last page.
func (s *plainState) History(now Millis, accountID uint64, profileID uint8, after *Cursor, limit int) (page []View, next *Cursor) {
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
func (s *plainState) ContinueWatching(now Millis, accountID uint64, profileID uint8, limit int) []View {
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
