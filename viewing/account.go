package viewing

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

// Admission is the answer to a start.
type Admission struct {
	Status     Status // Accepted, Duplicate (this session was admitted before, or is over), Denied or Rejected
	Reason     string // why it was denied or rejected
	PositionMS int64  // where to begin
	ExpiresAt  Millis // the stream is lost then, unless the session is heard from
	MaxStreams int
	Active     []ActiveStream // what holds the account's streams, if it was denied
}

// Start decides on a start that arrived at now by the server's clock. Unlike a
// start among other events it is a question of a device that waits: one that was
// overtaken by its own session's keepalives is answered for the session as it is.
func (s *State) Start(now Millis, e *Event) Admission {
	known := s.recall(e.AccountID, &e.SessionID)
	repeated := known != 0 && s.sessions.at(known).has(wasAdmitted)
	outcome := s.ask(now, known, e)
	account := s.findAccount(e.AccountID)
	answer := Admission{Status: outcome.Status, Reason: outcome.Reason, MaxStreams: s.limit(account)}
	switch outcome.Status {
	case Rejected:
	case Denied:
		answer.Active = s.active(now, account)
	default:
		session := s.sessions.at(s.findSession(e.AccountID, &e.SessionID))
		answer.Status = Accepted
		answer.PositionMS, answer.ExpiresAt = session.media(mediaPosition), session.expiresAt(s.rules.LeaseMS)
		if repeated {
			answer.Status = Duplicate
		}
		if !session.has(holdsStream) { // its own stop was here first
			answer.Status, answer.ExpiresAt = Duplicate, session.moment(lastSeen)
		}
	}
	return answer
}

// ask is observe for a start whose device waits for the answer.
func (s *State) ask(now Millis, known uint32, e *Event) Outcome {
	if known != 0 && !e.Offline {
		r := s.sessions.at(known)
		overtaken := r.isOf(e) && r.overtakes(e)
		if overtaken && r.lastType != Stop && !r.active(now, s.rules.LeaseMS) && s.hasRoom(r, e.Seq) {
			return s.play(now, known, e)
		}
	}
	return s.observe(now, known, e)
}

// Observe takes an event that arrived at now by the server's clock. The event
// must be valid; it may be changed, and is not kept.
func (s *State) Observe(now Millis, e *Event) Outcome {
	return s.observe(now, s.recall(e.AccountID, &e.SessionID), e)
}

func (s *State) observe(now Millis, session uint32, e *Event) Outcome {
	overtaken := false
	if session != 0 {
		r := s.sessions.at(session)
		if !r.isOf(e) {
			return Outcome{Rejected, ReasonOtherIdentity}
		}
		if !s.hasRoom(r, e.Seq) {
			return Outcome{Rejected, ReasonTooManyGaps}
		}
		overtaken = r.overtakes(e)
		if overtaken && !e.Offline && e.Type == Start && r.has(wasDenied) && !r.has(wasAdmitted) {
			return Outcome{Denied, ReasonNeverAdmitted}
		}
	}
	if !e.Offline && !overtaken && e.Type != Stop {
		return s.play(now, session, e)
	}
	ref, r, fresh := s.take(now, s.ownerOf(session, e), session, e)
	if fresh && !e.Offline && !overtaken { // it stops
		s.setHolds(ref, r, false)
	}
	s.closeSession(r)
	return heard(fresh)
}

func heard(fresh bool) Outcome {
	if !fresh {
		return Outcome{Status: Duplicate}
	}
	return Outcome{Status: Accepted}
}

// ownerOf is the account of a session, or of an event that begins one.
func (s *State) ownerOf(session uint32, e *Event) uint32 {
	if session != 0 {
		return s.sessions.at(session).account
	}
	return s.account(e.AccountID)
}

// play decides whether a session that says it plays may hold a stream.
func (s *State) play(now Millis, session uint32, e *Event) Outcome {
	account := s.ownerOf(session, e)
	renews := session != 0 && s.sessions.at(session).active(now, s.rules.LeaseMS)
	if !renews {
		s.dropExpired(now, account)
		if refusal := s.refusal(account, session, e); refusal != "" {
			if e.Type != Start {
				_, r, _ := s.take(now, account, session, e)
				r.set(wasDenied, true)
				s.closeSession(r)
			}
			return Outcome{Denied, refusal}
		}
	}
	ref, r, fresh := s.take(now, account, session, e)
	if !renews {
		s.hold(account, ref, r)
	}
	if !renews || fresh {
		r.setMoment(lastSeen, now)
	}
	s.closeSession(r)
	return heard(fresh)
}

// refusal says why a session that holds no stream may have none, or nothing. A
// session that asks for the first time takes the place of what its device played
// before; one that comes back does not.
func (s *State) refusal(account, session uint32, e *Event) string {
	others, sameDevice := 0, false
	for ref := s.accounts.at(account).holders; ref != 0; {
		holder := s.sessions.at(ref)
		if holder.device() == e.DeviceID {
			sameDevice = true
		} else {
			others++
		}
		ref = holder.next
	}
	comesBack := session != 0 && s.sessions.at(session).has(wasAdmitted|wasDenied)
	if sameDevice && comesBack {
		return ReasonDeviceMovedOn
	}
	if others >= s.limit(account) {
		return ReasonTooManyStreams
	}
	return ""
}

func (s *State) limit(account uint32) int {
	if streams := s.accounts.at(account).maxStreams; streams > 0 {
		return int(streams)
	}
	return s.rules.DefaultStreams
}

// hold gives an open session a stream and takes it from what its device played before.
func (s *State) hold(account, ref uint32, r *sessionRecord) {
	for at := s.accounts.at(account).holders; at != 0; {
		next := s.sessions.at(at).next
		if s.sessions.at(at).device() == r.device() {
			s.drop(at)
		}
		at = next
	}
	s.setHolds(ref, r, true)
	r.set(wasAdmitted, true)
}

// dropExpired takes the streams of sessions whose lease has ended.
func (s *State) dropExpired(now Millis, account uint32) {
	for at := s.accounts.at(account).holders; at != 0; {
		r := s.sessions.at(at)
		next := r.next
		if !r.active(now, s.rules.LeaseMS) {
			s.drop(at)
		}
		at = next
	}
}

// drop takes a session's stream.
func (s *State) drop(ref uint32) {
	r := s.editSession(ref)
	s.setHolds(ref, r, false)
	s.closeSession(r)
}

// take folds the facts of the event into its session, which it leaves open for
// changes, and its title's position, and says whether they were new.
func (s *State) take(now Millis, account, session uint32, e *Event) (ref uint32, r *sessionRecord, fresh bool) {
	at := min(e.At, now+MaxAheadMS)
	if ref = session; ref == 0 {
		ref = s.beginSession(now, at, account, e)
		r = s.sessions.at(ref)
	} else {
		r = s.editSession(ref)
	}
	if r.place == 0 {
		r.place = s.findPosition(account, e.ProfileID, e.TitleID)
	}
	var known Position
	if r.place != 0 {
		known = s.positions.at(r.place).value()
	}
	if e.ResumePos {
		e.PositionMS = known.PositionMS
	}
	if !s.fold(r, e, at) {
		return ref, r, false
	}
	heard := Position{
		TitleID: e.TitleID, SessionID: e.SessionID, Seq: e.Seq,
		At: at, PositionMS: e.PositionMS, RuntimeMS: max(e.RuntimeMS, known.RuntimeMS),
	}
	if r.place == 0 || heard.newerThan(known) {
		r.place = s.setPosition(r.place, account, e.ProfileID, heard)
	} else if heard.RuntimeMS > known.RuntimeMS {
		known.RuntimeMS = heard.RuntimeMS
		s.setPosition(r.place, account, e.ProfileID, known)
	}
	return ref, r, true
}

// beginSession stores a session of which nothing but its identity is known.
func (s *State) beginSession(now, at Millis, account uint32, e *Event) uint32 {
	r := sessionRecord{id: e.SessionID, account: account, profile: e.ProfileID, title: e.TitleID}
	r.setDevice(e.DeviceID)
	r.setMoment(startedAt, at)
	r.setMoment(firstSeen, now)
	r.setMoment(lastSeen, now)
	return s.addSession(r)
}

// hidden says whether the session's title was hidden after the session began.
func (s *State) hidden(r *sessionRecord) bool {
	return s.hiddenSince(r.account, r.profile, r.title, min(r.moment(firstSeen), r.moment(startedAt)))
}

// hiddenSince says whether a title was hidden at a moment or later.
func (s *State) hiddenSince(account uint32, profile uint8, title uint32, since Millis) bool {
	if s.accounts.at(account).hides == 0 {
		return false
	}
	ref := s.findHide(account, profile, title)
	return ref != 0 && since <= s.hides.at(ref).at
}
