package trace

import (
	"fmt"

	"github.com/playhead-load/playhead/viewing"
)

// MaxSessions is how many sessions a trace may have: more than a run's audit has
// memory for, at the seventeen events that a session has in the mean.
const MaxSessions = 1 << 22

var errTooMany = fmt.Errorf("more than %d sessions: play fewer accounts of it, or a shorter time", MaxSessions)

// maxGaps is how many gaps docs/api.md allows a session's seqs.
const maxGaps = 255

// What a session may not do. A target would refuse it, or count one event twice.
var (
	errIdentity = &viewing.FieldError{Field: "session_id", Expected: "the same account, profile, device and title as in the session's events before"}
	errSeq      = &viewing.FieldError{Field: "seq", Expected: "more than in the session's events before: this one is repeated, or out of order"}
	errGaps     = &viewing.FieldError{Field: "seq", Expected: fmt.Sprintf("one without a gap before it: the session has %d already, all that a target allows", maxGaps)}
	errResumes  = &viewing.FieldError{Field: "position_ms", Expected: "one in a start that is offline: nobody tells it where to resume (it is missing)"}
)

// playable says what keeps an event from being played, whatever its session told.
func playable(e *viewing.Event) *viewing.FieldError {
	if e.Type == viewing.Start && e.Offline && e.ResumePos {
		return errResumes
	}
	return nil
}

// sessions holds every session to being one playback whose seqs ascend.
type sessions map[viewing.SessionID]told

// told is what a session has told.
type told struct {
	account, device uint64
	seq             uint32
	title           uint32
	profile         uint8
	gaps            uint8 // in its seqs
}

// check takes the next event in time. A fault is the event's, an error everybody's.
func (s sessions) check(e *viewing.Event) (fault *viewing.FieldError, err error) {
	before, known := s[e.SessionID]
	now := told{e.AccountID, e.DeviceID, e.Seq, e.TitleID, e.ProfileID, before.gaps}
	switch {
	case !known && len(s) == MaxSessions:
		return nil, errTooMany
	case known && (before.account != now.account || before.device != now.device || before.title != now.title || before.profile != now.profile):
		return errIdentity, nil
	case known && before.seq >= now.seq:
		return errSeq, nil
	case known && before.seq+1 < now.seq && before.gaps == maxGaps:
		return errGaps, nil
	case known && before.seq+1 < now.seq:
		now.gaps++
	}
	s[e.SessionID] = now
	return nil, nil
}
