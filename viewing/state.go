package viewing

// State is every account and what follows from its events. One goroutine may
// change it while none reads it; any number may read it at once.
type State struct {
	rules    Rules
	accounts map[uint64]*account
}

// NewState returns a state that has heard of nobody.
func NewState(rules Rules) *State {
	return &State{rules: rules, accounts: map[uint64]*account{}}
}

// Rules are those of the newest command.
func (s *State) Rules() Rules { return s.rules }

// SetRules says what the commands that follow are judged by.
func (s *State) SetRules(rules Rules) { s.rules = rules }

// Observe takes an event that arrived at now by the server's clock. The event
// must be valid; it may be changed, and is not kept.
func (s *State) Observe(now Millis, e *Event) Outcome {
	return s.account(e.AccountID).observe(now, s.rules, e)
}

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
func (a *account) ask(now Millis, rules Rules, e *Event, known *Session) Outcome {
	overtaken := known != nil && known.isOf(e) && known.overtakes(e)
	if overtaken && known.LastType != Stop && !known.active(now, rules.LeaseMS) && known.heard.hasRoom(e.Seq) {
		return a.play(known, now, rules, e)
	}
	return a.observe(now, rules, e)
}

// SetMaxStreams sets the limit of an account. It ends nothing that plays.
func (s *State) SetMaxStreams(accountID uint64, streams int) {
	s.account(accountID).maxStreams = streams
}

// Hide takes a title out of a profile's history and continue-watching: every
// session of it that began, or was heard of, until now.
func (s *State) Hide(now Millis, accountID uint64, profileID uint8, titleID uint32) {
	account := s.account(accountID)
	if account.hidden == nil {
		account.hidden = map[titleKey]Millis{}
	}
	account.hidden[titleKey{profileID, titleID}] = now
}

func (s *State) account(id uint64) *account {
	known := s.accounts[id]
	if known == nil {
		known = newAccount()
		s.accounts[id] = known
	}
	return known
}
