package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// postEvents takes a batch of events: the collector.
func (s *Server) postEvents(c echo.Context) error {
	scratch, err := s.receiveWrite(c)
	if err != nil {
		return err
	}
	defer s.done(scratch)
	if !s.node.IsLeader() {
		return s.forward(c, scratch.body)
	}
	account, err := boundAccount(c)
	if err != nil {
		return err
	}
	valid, err := s.collect(scratch, c.Request().Header.Get(echo.HeaderContentType), account)
	if err != nil {
		return err
	}
	if valid > 0 {
		answer, err := s.propose(c, scratch.command)
		if err != nil {
			return err
		}
		fillOutcomes(scratch.outcomes, answer.([]viewing.Outcome))
	} else {
		setIndex(c, s.node.AppliedIndex()) // nothing was written: what the reader could have seen
	}
	s.decided(scratch)
	s.metrics.judged(scratch.outcomes)
	scratch.answer = appendOutcomes(scratch.answer[:0], scratch.outcomes)
	return writeJSON(c, http.StatusOK, scratch.answer)
}

// collect turns a body into a command of its valid events and an outcome for each
// event: rejected for those that are not valid, or of another account than the one
// that the request is bound to, open for the others.
func (s *Server) collect(scratch *scratch, contentType string, account uint64) (valid int, err error) {
	format, known := wire.ParseFormat(contentType)
	if !known {
		format = wire.JSON
	}
	scratch.outcomes = scratch.outcomes[:0]
	scratch.command = appendCommand(scratch.command[:0], commandEvents, s.rules)
	head := len(scratch.command)
	scratch.command = append(scratch.command, 0, 0) // the count, in two bytes as a uvarint
	err = scratch.decoder.DecodeEvents(scratch.body, format, func(_ int, e *viewing.Event, err error) error {
		if err == nil && account != 0 && e.AccountID != account {
			err = errForeign
		}
		if err != nil {
			scratch.outcomes = append(scratch.outcomes, viewing.Outcome{Status: viewing.Rejected, Reason: err.Error()})
			return nil
		}
		valid++
		scratch.outcomes = append(scratch.outcomes, viewing.Outcome{})
		scratch.command = wire.AppendEvent(scratch.command, e)
		return nil
	})
	if err != nil {
		return 0, newProblem(http.StatusBadRequest, "body: "+err.Error())
	}
	scratch.command[head] = byte(valid) | 0x80
	scratch.command[head+1] = byte(valid >> 7)
	return valid, nil
}

// fillOutcomes puts what became of the valid events where their outcomes are open.
func fillOutcomes(outcomes, decided []viewing.Outcome) {
	for i := range outcomes {
		if outcomes[i].Status == 0 {
			outcomes[i], decided = decided[0], decided[1:]
		}
	}
}

// postSession decides whether a playback may start: accounting's admission.
func (s *Server) postSession(c echo.Context) error {
	accountID, err := accountParam(c)
	if err != nil {
		return err
	}
	scratch, err := s.receiveWrite(c)
	if err != nil {
		return err
	}
	defer s.done(scratch)
	if !s.node.IsLeader() {
		return s.forward(c, scratch.body)
	}
	e := &scratch.event
	e.Reset()
	if err := scratch.decoder.DecodeStart(scratch.body, e); err != nil {
		return badBody(err)
	}
	if e.AccountID != accountID {
		return badField("account_id", "the account of the path")
	}
	if e.Offline {
		return badField("offline", "false: what was played offline goes to /v1/events")
	}
	sessionID := e.SessionID
	scratch.command = wire.AppendEvent(appendCommand(scratch.command[:0], commandStart, s.rules), e)
	answer, err := s.propose(c, scratch.command)
	if err != nil {
		return err
	}
	admission := answer.(viewing.Admission)
	s.metrics.starts[admission.Status].Inc()
	switch admission.Status {
	case viewing.Denied:
		return tooManyStreams(admission)
	case viewing.Rejected:
		return badField("session_id", strings.TrimPrefix(admission.Reason, "session_id: expected "))
	}
	status := http.StatusCreated
	if admission.Status == viewing.Duplicate {
		status = http.StatusOK
	}
	scratch.answer = appendAdmission(scratch.answer[:0], sessionID, admission, s.keepaliveMS)
	return writeJSON(c, status, scratch.answer)
}

func tooManyStreams(a viewing.Admission) *problem {
	p := newProblem(http.StatusConflict, a.Reason)
	p.Type, p.Title = typeTooManyStreams, "Too many streams"
	p.MaxStreams, p.Active = a.MaxStreams, streamsOf(a.Active)
	for i := range p.Active {
		p.Active[i].ExpiresAt = 0
	}
	return p
}

// putAccount sets how many streams an account may play at once.
func (s *Server) putAccount(c echo.Context) error {
	accountID, err := accountParam(c)
	if err != nil {
		return err
	}
	var account struct {
		AccountID  uint64 `json:"account_id"`
		MaxStreams *int   `json:"max_streams"`
	}
	scratch, err := s.receiveWrite(c)
	if err != nil {
		return err
	}
	defer s.done(scratch)
	if err := decodeStrict(scratch.body, &account, "account_id", "max_streams"); err != nil {
		return err
	}
	if !s.node.IsLeader() {
		return s.forward(c, scratch.body)
	}
	if account.AccountID != 0 && account.AccountID != accountID {
		return badField("account_id", "the account of the path")
	}
	if account.MaxStreams == nil || *account.MaxStreams < 1 || *account.MaxStreams > viewing.MaxStreams {
		return badField("max_streams", "an integer from 1 to 1000")
	}
	if _, err := s.propose(c, appendAccountCommand(nil, s.rules, accountID, *account.MaxStreams)); err != nil {
		return err
	}
	account.AccountID = accountID
	return c.JSON(http.StatusOK, account)
}

// deleteFromHistory hides a title.
func (s *Server) deleteFromHistory(c echo.Context) error {
	accountID, profileID, titleID, err := watchedParams(c)
	if err != nil {
		return err
	}
	scratch, err := s.receiveWrite(c)
	if err != nil {
		return err
	}
	defer s.done(scratch)
	if !s.node.IsLeader() {
		return s.forward(c, nil)
	}
	if _, err := s.propose(c, appendHideCommand(nil, s.rules, accountID, profileID, titleID)); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// propose puts a command into the log and returns what applying it answered. The
// command's bytes are the caller's again when it returns.
func (s *Server) propose(c echo.Context, command []byte) (any, error) {
	answer, index, err := s.node.Propose(s.patience.context(), command)
	if err != nil {
		s.metrics.proposed(err)
		return nil, err
	}
	setIndex(c, index)
	return answer, nil
}

func decodeStrict(body []byte, to any, fields ...string) error {
	if err := checkFields(body, fields); err != nil {
		return err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return badBody(err)
	}
	return nil
}

// checkFields wants one JSON object of these fields, each at most once: to
// encoding/json alone case would not matter, and the last of two would count.
func checkFields(body []byte, fields []string) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	begin, err := decoder.Token()
	if err != nil {
		return badBody(err)
	}
	if begin != json.Delim('{') {
		return badField("body", "a JSON object")
	}
	var seen []string
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return badBody(err)
		}
		name, _ := token.(string) // a key is a string, or Token would have failed
		if !slices.Contains(fields, name) {
			return badField(name, "it to be absent, there is no such field")
		}
		if slices.Contains(seen, name) {
			return badField(name, "no second value")
		}
		seen = append(seen, name)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return badBody(err)
		}
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return badBody(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badField("body", "one JSON object and nothing after it")
	}
	return nil
}

// badBody tells what is wrong with a body, by its field if one is to blame.
func badBody(err error) error {
	var field *viewing.FieldError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &field):
		return field
	case errors.As(err, &wrongType):
		return badField(wrongType.Field, "a value of type "+wrongType.Type.String())
	}
	return newProblem(http.StatusBadRequest, "body: "+err.Error())
}
