package driver

import (
	"fmt"
	"net/http"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// lane is a device's way to the target: what it has to say, in order, and beside
// it what it has to ask. What one of its two lanes waits for does not hold up the
// other. The driver's lock guards busy and queue. While the lane is busy one party
// at a time has it: a worker, the ready queue or the timer of its next try. Its
// target and its first request belong to that party, and pass on with it.
type lane struct {
	device int32
	limit  int32 // of its queue, what is under way included
	busy   bool
	target int // which node it talks to
	queue  []*request
}

// newLanes returns a lane for each device. The devices begin with one node after
// another.
func newLanes(devices, limit, targets int) []lane {
	lanes := make([]lane, devices)
	for i := range lanes {
		lanes[i].device, lanes[i].limit, lanes[i].target = int32(i), int32(limit), i%targets
	}
	return lanes
}

// request is one thing a device has to say or to ask.
type request struct {
	op      results.Op
	entry   audit.Entry // of an event; of a question for a position, of which title of whom
	isEvent bool
	asks    bool              // an event that asks to be admitted: a start that was not offline
	session viewing.SessionID // of an event

	method string
	path   string
	body   []byte

	dueUS      int64 // of a question: of the event that it comes with
	sentUS     int64 // the last try
	tries      int
	measured   bool // due after the warm-up
	unhindered bool // nothing but the driver itself can delay it
}

var opOf = [...]results.Op{
	viewing.Start: results.OpStart, viewing.Keepalive: results.OpKeepalive, viewing.Pause: results.OpPause,
	viewing.Resume: results.OpResume, viewing.Seek: results.OpSeek, viewing.Telemetry: results.OpTelemetry,
	viewing.Error: results.OpError, viewing.Stop: results.OpStop,
}

// eventBytes is room for nearly every event in JSON.
const eventBytes = 512

func newRequest(e *viewing.Event, dueUS int64, measured bool) *request {
	r := &request{
		op: opOf[e.Type], entry: audit.NewEntry(e), isEvent: true, session: e.SessionID,
		method: http.MethodPost, path: "/v1/events", dueUS: dueUS, measured: measured,
	}
	switch {
	case e.Offline:
		r.op = results.OpUpload
	case e.Type == viewing.Start:
		r.asks = true
		r.path = fmt.Sprintf("/v1/accounts/%d/sessions", e.AccountID)
		r.body = wire.AppendEventJSON(make([]byte, 0, eventBytes), e)
		return r
	}
	r.body = append(wire.AppendEventJSON(append(make([]byte, 0, eventBytes), '['), e), ']')
	return r
}

// question is what a screen asks of itself.
type question uint8

const (
	none question = iota
	whereWasI
	whatElse
	haveWatched
	continueWatching
)

// comesWith says which question a device asks at the moment of an event: where to
// play from; who else plays, when it pauses; and what to show when it has stopped,
// which is one list or the other, by the length of what was played.
func comesWith(e *viewing.Event) question {
	switch {
	case e.Offline:
		return none
	case e.Type == viewing.Start:
		return whereWasI
	case e.Type == viewing.Pause:
		return whatElse
	case e.Type == viewing.Stop && e.Seq%2 == 0:
		return haveWatched
	case e.Type == viewing.Stop:
		return continueWatching
	}
	return none
}

func newQuestion(ask question, with *request) *request {
	e := &with.entry
	viewer := fmt.Sprintf("/v1/accounts/%d/profiles/%d", e.Account, e.Profile)
	r := &request{method: http.MethodGet, dueUS: with.dueUS, measured: with.measured}
	switch ask {
	case whereWasI:
		r.entry = audit.Entry{Account: e.Account, Profile: e.Profile, Title: e.Title}
		r.op, r.path = results.OpPosition, fmt.Sprintf("%s/positions/%d", viewer, e.Title)
	case whatElse:
		r.op, r.path = results.OpActiveSessions, fmt.Sprintf("/v1/accounts/%d/sessions", e.Account)
	case haveWatched:
		r.op, r.path = results.OpHistory, viewer+"/history"
	case continueWatching:
		r.op, r.path = results.OpContinueWatching, viewer+"/continue-watching"
	}
	return r
}

// leave takes what the lane still has to say of a session, after its first
// request, off the lane and returns it.
func (l *lane) leave(session viewing.SessionID) (dropped []*request) {
	kept := l.queue[:1] // in the same memory
	for _, r := range l.queue[1:] {
		if r.session == session {
			dropped = append(dropped, r)
		} else {
			kept = append(kept, r)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	return dropped
}
