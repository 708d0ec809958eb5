// Package audittest helps tests that play a few devices against real servers and audit
// what became of them.
package audittest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/playhead-load/playhead/sim/audit"
	"github.com/playhead-load/playhead/viewing"
	"github.com/playhead-load/playhead/viewing/wire"
)

// Request is where and how a node is told of one event: of a start by itself, of
// anything else in a batch of one.
func Request(node string, e *viewing.Event) (url string, body []byte) {
	if e.Type == viewing.Start {
		return fmt.Sprintf("%s/v1/accounts/%d/sessions", node, e.AccountID), wire.AppendEventJSON(nil, e)
	}
	return node + "/v1/events", append(wire.AppendEventJSON([]byte{'['}, e), ']')
}

// Send tells a node of one event, once, and reads what became of it: Unanswered while the
// node could not say. An answer that is not in the contract is an error.
func Send(client *http.Client, node string, e *viewing.Event) (audit.Fate, error) {
	url, body := Request(node, e)
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return audit.Unanswered, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests {
		return audit.Unanswered, nil
	}
	fate, _, err := Fate(response.StatusCode, text)
	if err != nil {
		return audit.Unanswered, fmt.Errorf("%v seq %d: %w", e.Type, e.Seq, err)
	}
	return fate, nil
}

// Fate reads what became of the event from the answer, and where a start is to begin. An
// answer that decides nothing is an error.
func Fate(status int, body []byte) (fate audit.Fate, positionMS int64, err error) {
	var told struct {
		PositionMS int64 `json:"position_ms"`
		Outcomes   []struct {
			Status string `json:"status"`
		} `json:"outcomes"`
	}
	if err := json.Unmarshal(body, &told); err != nil {
		return audit.Unanswered, 0, err
	}
	answer := strconv.Itoa(status)
	if len(told.Outcomes) == 1 {
		answer += told.Outcomes[0].Status
	}
	fate, ok := map[string]audit.Fate{
		"201": audit.Accepted, "200": audit.Known, "409": audit.Denied,
		"200accepted": audit.Accepted, "200duplicate": audit.Known, "200denied": audit.Denied,
	}[answer]
	if !ok {
		return audit.Unanswered, 0, fmt.Errorf("answer %d: %s", status, body)
	}
	return fate, told.PositionMS, nil
}
