package server

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/viewing"
)

// problem is an error as RFC 9457 wants it told.
type problem struct {
	Type       string      `json:"type"` // about:blank, or one of the problem types below
	Title      string      `json:"title"`
	Status     int         `json:"status"`
	Detail     string      `json:"detail,omitempty"`
	Field      string      `json:"field,omitempty"` // what was wrong, if one field was
	MaxStreams int         `json:"max_streams,omitempty"`
	Active     []streamDTO `json:"active,omitzero"` // not nil in a denial, though it may be empty

	retryAfterS int
}

func (p *problem) Error() string { return p.Detail }

const typeTooManyStreams = "too-many-streams"

// retryAfterS is what a client is told to wait before it asks again: long enough
// for an election, short enough for a device's next try.
const retryAfterS = 1

// overloadRetryS spreads those who were refused over as many seconds: told the same,
// they would all be back at the same moment.
const overloadRetryS = 3

func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// newProblemLater says that this node cannot answer now: 503 with Retry-After.
func newProblemLater(detail string) *problem {
	p := newProblem(http.StatusServiceUnavailable, detail)
	p.retryAfterS = retryAfterS
	return p
}

// errShuttingDown answers what comes while the node closes.
var errShuttingDown = newProblemLater("the node is shutting down")

func badField(field, expected string) *problem {
	p := newProblem(http.StatusBadRequest, field+": expected "+expected)
	p.Field = field
	return p
}

// problemOf tells any error of a handler as a problem.
func problemOf(err error) *problem {
	var p *problem
	var field *viewing.FieldError
	var fromEcho *echo.HTTPError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &field):
		return badField(field.Field, field.Expected)
	case errors.As(err, &fromEcho):
		return newProblem(fromEcho.Code, messageOf(fromEcho))
	}
	return problemOfLog(err)
}

func messageOf(err *echo.HTTPError) string {
	if text, ok := err.Message.(string); ok {
		return text
	}
	return http.StatusText(err.Code)
}

// problemOfLog tells why the log took no command, or may have.
func problemOfLog(err error) *problem {
	status, detail := http.StatusInternalServerError, err.Error()
	switch {
	case errors.Is(err, raft.ErrOverloaded):
		status, detail = http.StatusTooManyRequests, "the node is at its capacity: try again later"
	case errors.Is(err, raft.ErrOutcomeUnknown):
		status, detail = http.StatusServiceUnavailable, "leadership changed while the write was on its way: repeat it, repetition is harmless"
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrNoLeader), errors.Is(err, raft.ErrClosed):
		status, detail = http.StatusServiceUnavailable, "no leader with a quorum is known: try again"
	case errors.Is(err, raft.ErrUnknownMember):
		status = http.StatusNotFound
	case errors.Is(err, raft.ErrMemberRefused), errors.Is(err, raft.ErrNothingToSnapshot):
		status = http.StatusConflict
	case errors.Is(err, raft.ErrCommandTooLarge):
		status = http.StatusRequestEntityTooLarge
	case isTimeout(err):
		status, detail = http.StatusServiceUnavailable, "the cluster did not answer in time: repeat the request, repetition is harmless"
	}
	p := newProblem(status, detail)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		p.retryAfterS = retryAfterS
	}
	if status == http.StatusTooManyRequests {
		p.retryAfterS += rand.IntN(overloadRetryS)
	}
	return p
}

// writeProblem is the server's echo.HTTPErrorHandler.
func writeProblem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil {
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	if p.retryAfterS > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(p.retryAfterS))
	}
	// The client is gone if this fails: there is nobody to tell.
	_ = c.Blob(p.Status, "application/problem+json", body)
}
