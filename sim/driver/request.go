package driver

import (
	"net/http"
	"strconv"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// request is one thing a device has to say or to ask.
type request struct {
	op      results.Op
	entry   audit.Entry // of an event; of a question, of whom, and for a position, of which title
	isEvent bool
	asks    bool // an event that asks to be admitted: a start that was not offline

	path []byte // after that of the node
	body []byte // of an event

	dueUS      int64 // of a question: of the event that it comes with
	sentUS     int64 // the last try
	tries      int
	repeated   bool  // it was acknowledged, and is told once more,
	againUS    int64 // first then; 0: not yet
	late       bool  // its device held it back until it had told a later one
	measured   bool  // due after the warm-up
	unhindered bool  // nothing but the driver itself can delay it
}

var opOf = [...]results.Op{
	viewing.Start: results.OpStart, viewing.Keepalive: results.OpKeepalive, viewing.Pause: results.OpPause,
	viewing.Resume: results.OpResume, viewing.Seek: results.OpSeek, viewing.Telemetry: results.OpTelemetry,
	viewing.Error: results.OpError, viewing.Stop: results.OpStop,
}

// opFor is the operation that telling an event is.
func opFor(e *viewing.Event) results.Op {
	if e.Offline {
		return results.OpUpload
	}
	return OpOf(e.Type)
}

// OpOf is the operation that telling an event of a kind is, with a connection.
func OpOf(kind viewing.EventType) results.Op { return opOf[kind] }

const eventsPath = "/v1/events"

// blank is a request in memory that was used before, if there is some.
func (d *Driver) blank() *request {
	last := len(d.spare) - 1
	if last < 0 {
		return &request{}
	}
	r := d.spare[last]
	d.spare = d.spare[:last]
	*r = request{path: r.path[:0], body: r.body[:0]}
	return r
}

// free gives a request's memory back.
func (d *Driver) free(r *request) { d.spare = append(d.spare, r) }

func (d *Driver) newRequest(e *viewing.Event, dueUS int64, measured bool) *request {
	r := d.blank()
	r.op, r.isEvent, r.dueUS, r.measured = opFor(e), true, dueUS, measured
	r.entry = audit.NewEntry(e)
	if e.Type == viewing.Start && !e.Offline {
		r.asks = true
		r.path = append(strconv.AppendUint(append(r.path, "/v1/accounts/"...), e.AccountID, 10), "/sessions"...)
		r.body = wire.AppendEventJSON(r.body, e)
		return r
	}
	r.path = append(r.path, eventsPath...)
	r.body = append(wire.AppendEventJSON(append(r.body, '['), e), ']')
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

func (d *Driver) newQuestion(ask question, e *viewing.Event, dueUS int64, measured bool) *request {
	r := d.blank()
	r.dueUS, r.measured = dueUS, measured
	r.entry = audit.Entry{Account: e.AccountID}
	r.path = strconv.AppendUint(append(r.path, "/v1/accounts/"...), e.AccountID, 10)
	if ask == whatElse {
		r.op, r.path = results.OpActiveSessions, append(r.path, "/sessions"...)
		return r
	}
	r.entry.Profile = e.ProfileID
	r.path = strconv.AppendUint(append(r.path, "/profiles/"...), uint64(e.ProfileID), 10)
	switch ask {
	case whereWasI:
		r.op, r.entry.Title = results.OpPosition, e.TitleID
		r.path = strconv.AppendUint(append(r.path, "/positions/"...), uint64(e.TitleID), 10)
	case haveWatched:
		r.op, r.path = results.OpHistory, append(r.path, "/history"...)
	case continueWatching:
		r.op, r.path = results.OpContinueWatching, append(r.path, "/continue-watching"...)
	}
	return r
}

// appendRequest writes a request as it is sent to a node.
func (d *Driver) appendRequest(dst []byte, r *request, n *node) []byte {
	if !r.isEvent {
		return http1.AppendNoBody(d.appendDevice(appendHead(dst, http.MethodGet, n, r.path), r.entry.Account))
	}
	dst = d.appendDevice(appendHead(dst, http.MethodPost, n, r.path), r.entry.Account)
	return http1.AppendBody(append(dst, contentJSON...), r.body)
}

// The types of a body of events, as headers.
var (
	contentJSON   = "Content-Type: " + wire.JSON.ContentType() + "\r\n"
	contentBinary = "Content-Type: " + wire.Binary.ContentType() + "\r\n"
)

// appendHead begins a request: nothing in it comes from outside but the node's URL,
// which was parsed.
func appendHead(dst []byte, method string, n *node, path []byte) []byte {
	dst = append(append(dst, method...), ' ')
	dst = append(append(dst, n.base...), path...)
	dst = append(append(dst, " HTTP/1.1\r\nHost: "...), n.host...)
	return append(dst, "\r\n"...)
}
