package viewing

// MaxAheadMS is how far a device's clock may run ahead of the server's before
// its at is taken back.
const MaxAheadMS = 5000

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

// state is the state of the session at now under a lease.
func (r *sessionRecord) state(now Millis, leaseMS int64) SessionState {
	switch {
	case r.active(now, leaseMS):
		return Active
	case r.lastType == Stop:
		return Stopped
	}
	return Expired
}

// hasRoom says whether a session may hear a seq, for the gaps that it leaves.
func (s *State) hasRoom(r *sessionRecord, seq uint32) bool {
	if !r.has(hasGaps) {
		return true
	}
	heard := s.detailsOf(r).heard
	return heard.hasRoom(seq)
}

// fold takes the facts of the event, whose at is given within the server's bound,
// into an open session and says whether they were new. A repetition changes nothing.
func (s *State) fold(r *sessionRecord, e *Event, at Millis) (fresh bool) {
	var d details
	newest := r.events == 0 || e.Seq > r.lastSeq
	fails := e.Type == Error || e.ErrorCode != ""
	next := r.events == 0 || e.Seq == r.lastSeq+1
	if !next || fails || r.has(hasGaps|hasErrors) { // a device that loses nothing seldom comes here
		d = s.detailsOf(r)
		if !d.heard.add(e.Seq) {
			return false
		}
		if fails {
			d.addError(PlaybackError{e.Seq, at, e.ErrorCode})
		}
	}
	r.events++
	r.setMoment(startedAt, min(r.moment(startedAt), at))
	r.setMedia(mediaRuntime, max(r.media(mediaRuntime), e.RuntimeMS))
	if newest {
		r.lastSeq, r.lastType = e.Seq, e.Type
		r.setMoment(updatedAt, at)
		r.setMedia(mediaPosition, e.PositionMS)
		r.setMedia(mediaPlayed, e.PlayedMS)
		r.setMedia(mediaRebuffer, e.RebufferMS)
		d.deviceType, d.country, d.bitrates = e.DeviceType, e.Country, e.BitrateMS
	}
	s.setDetails(r, &d)
	return true
}
