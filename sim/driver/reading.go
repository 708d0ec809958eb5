package driver

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
)

// positionAnswer is readAnswer, with what the target said to a question for a position.
// What is not in the contract is nonsense.
func positionAnswer(got *http1.Answer) answer {
	a := readAnswer(got.Status)
	var told struct {
		PositionMS *int64            `json:"position_ms"`
		UpdatedAt  time.Time         `json:"updated_at"`
		SessionID  viewing.SessionID `json:"session_id"`
	}
	switch {
	case got.Status == http.StatusNotFound:
		a.read = true
	case got.Status != http.StatusOK:
	case json.Unmarshal(got.Body, &told) != nil, told.PositionMS == nil, told.UpdatedAt.UnixMilli() <= 0, told.SessionID == (viewing.SessionID{}):
		a.failed = true
	default:
		a.read, a.reading = true, audit.Reading{
			Known: true, Session: told.SessionID, AtMS: viewing.Millis(told.UpdatedAt.UnixMilli()), PositionMS: *told.PositionMS,
		}
	}
	return a
}

// noteReading logs what a device was told that asked, if it was told.
func (d *Driver) noteReading(r *request, answer answer, doneUS int64) {
	if !answer.read {
		return
	}
	reading := answer.reading
	reading.Account, reading.Profile, reading.Title = r.entry.Account, r.entry.Profile, r.entry.Title
	reading.AskedUS, reading.AnsweredUS = r.sentUS, doneUS
	d.config.Log.AddReading(reading)
}
