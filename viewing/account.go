package viewing

import "slices"

// Rules are what admission goes by. They travel with every command, so that all
// nodes judge alike.
type Rules struct {
	LeaseMS        int64 // how long a session stays active after it was last heard from
	DefaultStreams int   // the limit of an account whose plan was never told
}

// Status is what became of an event.
type Status uint8

// What may become of an event.
const (
	Accepted  Status = 1 + iota // its facts are kept, and its session plays, if it says that it does
	Duplicate                   // its facts were known
	Denied                      // its session holds no stream; a fact all the same, unless it is a start
	Rejected                    // it contradicts what is known, or is malformed: nothing of it is kept
)

var statusNames = [...]string{"", "accepted", "duplicate", "denied", "rejected"}

func (s Status) String() string { return statusNames[s] }

// Outcome is what became of an event, and why if it was not simply accepted.
type Outcome struct {
	Status Status
	Reason string
}

// The reasons that the rules give.
const (
	ReasonTooManyStreams = "too many streams"
	ReasonDeviceMovedOn  = "the device has started another session since"
	ReasonNeverAdmitted  = "its session was denied"
	ReasonTooManyGaps    = "seq: expected fewer gaps before it in its session"
	ReasonOtherIdentity  = "session_id: expected one that no other profile, device or title of the account has used"
)

// account is one account's sessions, positions and hidden titles.
type account struct {
	maxStreams int // 0: never told
	sessions   map[SessionID]*Session
	holders    []*Session // sessions with a stream, some perhaps past their lease
	positions  map[titleKey]Position
	hidden     map[titleKey]Millis // when, by the server's clock
}

func newAccount() *account {
	return &account{sessions: map[SessionID]*Session{}, positions: map[titleKey]Position{}}
}

func (a *account) limit(rules Rules) int {
	if a.maxStreams > 0 {
		return a.maxStreams
	}
	return rules.DefaultStreams
}

// observe takes one event into the account, stamped with the server's clock.
func (a *account) observe(now Millis, rules Rules, e *Event) Outcome {
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
func (a *account) play(session *Session, now Millis, rules Rules, e *Event) Outcome {
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
func (a *account) refusal(session *Session, rules Rules, e *Event) string {
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
func (a *account) hold(session *Session) {
	a.holders = slices.DeleteFunc(a.holders, func(h *Session) bool {
		replaced := h.DeviceID == session.DeviceID
		if replaced {
			h.holds = false
		}
		return replaced
	})
	session.holds, session.admitted = true, true
	a.holders = append(a.holders, session)
}

func (a *account) release(session *Session) {
	session.holds = false
	a.holders = slices.DeleteFunc(a.holders, func(h *Session) bool { return h == session })
}

func (a *account) dropExpired(now Millis, rules Rules) {
	a.holders = slices.DeleteFunc(a.holders, func(h *Session) bool {
		expired := !h.active(now, rules.LeaseMS)
		if expired {
			h.holds = false
		}
		return expired
	})
}

// take folds the facts of the event into its session and its title's position,
// and turns an accepted outcome into a duplicate one if they were known.
func (a *account) take(session *Session, now Millis, e *Event, outcome Outcome) Outcome {
	at := min(e.At, now+MaxAheadMS)
	key := titleKey{e.ProfileID, e.TitleID}
	known, ok := a.positions[key]
	if e.ResumePos {
		e.PositionMS = known.PositionMS
	}
	if session == nil {
		session = newSession(e, at, now)
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
func (a *account) hides(s *Session) bool {
	at, ok := a.hidden[titleKey{s.ProfileID, s.TitleID}]
	return ok && (s.firstSeen <= at || s.StartedAt <= at)
}
