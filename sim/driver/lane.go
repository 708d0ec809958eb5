package driver

import (
	"fmt"
	"net/http"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// lane is one device's way to the target: what it has to say, in order. The
// driver's lock guards busy and queue. While the lane is busy one party at a time
// has it: a worker, the ready queue or the timer of its next try. Its target and
// its first request belong to that party, and pass on with it.
type lane struct {
	device int32
	busy   bool
	target int // which node it talks to
	queue  []*request
}

// request is one thing a device has to say or to ask.
type request struct {
	op      results.Op
	entry   audit.Entry // of an event
	isEvent bool
	session viewing.SessionID

	method string
	path   string
	body   []byte

	dueUS      int64 // of a question: when the one before it has ended
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
	if e.Type == viewing.Start {
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
	continueWatching
)

// follows says which question a device asks after an event: where to play from,
// and what to show when it has stopped.
func follows(t viewing.EventType) question {
	switch t {
	case viewing.Start:
		return whereWasI
	case viewing.Stop:
		return continueWatching
	}
	return none
}

func newQuestion(ask question, after *request) *request {
	e := &after.entry
	viewer := fmt.Sprintf("/v1/accounts/%d/profiles/%d", e.Account, e.Profile)
	r := &request{method: http.MethodGet, session: e.Session, measured: after.measured}
	switch ask {
	case whereWasI:
		r.op, r.path = results.OpPosition, fmt.Sprintf("%s/positions/%d", viewer, e.Title)
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
