package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/playhead-load/playhead/results"
	"github.com/playhead-load/playhead/sim/audit"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// client speaks docs/api.md with the target.
type client struct {
	http    *http.Client
	targets []string
	timeout time.Duration
}

// followNone is for clients of a target: a redirect is not in the contract, and
// followed, it would turn a write into a question.
func followNone(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func newClient(targets []string, connections int, timeout time.Duration) *client {
	return &client{
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
				MaxIdleConns:        connections * len(targets),
				MaxIdleConnsPerHost: connections,
				DisableCompression:  true,
			},
			CheckRedirect: followNone,
		},
		targets: targets,
		timeout: timeout,
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// send makes one try of a request at a node.
func (c *client) send(ctx context.Context, r *request, target int) answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.method, c.targets[target]+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{failed: true}
	}
	if r.isEvent {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{again: true}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // to its end: the connection is kept
	if err != nil {
		return answer{again: true}
	}
	status := response.StatusCode
	switch {
	case mayBeRepeated(status):
		return answer{again: true, wait: retryAfter(response.Header)}
	case r.op == results.OpPosition:
		return positionAnswer(status, body)
	case !r.isEvent:
		return readAnswer(status)
	case status >= 400:
		return refusal(r, status, body)
	case r.asks:
		return startAnswer(status, body)
	}
	return eventAnswer(status, body)
}

// mayBeRepeated says whether the target could not say: it may the next time.
func mayBeRepeated(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// retryAfter is how long the target asks to wait, in seconds or until a date
// (RFC 9110 section 10.2.3); 0 if it does not say.
func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(retryLimit/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}

// refusal is a 4xx: a start's denial if it says so, else an error of the request.
func refusal(r *request, status int, body []byte) answer {
	var problem struct {
		Type string `json:"type"`
	}
	if r.asks && status == http.StatusConflict &&
		json.Unmarshal(body, &problem) == nil && strings.HasSuffix(problem.Type, "too-many-streams") {
		return answer{fate: audit.Denied}
	}
	return answer{fate: audit.Rejected, failed: true}
}

// readAnswer is that of a question; nothing known is an answer too.
func readAnswer(status int) answer {
	ok := status == http.StatusOK || status == http.StatusNotFound
	return answer{fate: audit.Accepted, failed: !ok}
}

// startAnswer is that of a start. What is not in the contract is nonsense, and
// leaves open whether the event is there.
func startAnswer(status int, body []byte) answer {
	var told struct {
		PositionMS *int64 `json:"position_ms"`
	}
	if json.Unmarshal(body, &told) != nil || told.PositionMS == nil {
		return answer{failed: true}
	}
	switch status {
	case http.StatusCreated:
		return answer{fate: audit.Accepted, positionMS: told.PositionMS}
	case http.StatusOK:
		return answer{fate: audit.Known, positionMS: told.PositionMS}
	}
	return answer{failed: true}
}

// eventAnswer is that of a batch of one event.
func eventAnswer(status int, body []byte) answer {
	var told struct {
		Outcomes []struct {
			Status string `json:"status"`
		} `json:"outcomes"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &told) != nil || len(told.Outcomes) != 1 {
		return answer{failed: true}
	}
	switch told.Outcomes[0].Status {
	case "accepted":
		return answer{fate: audit.Accepted}
	case "duplicate":
		return answer{fate: audit.Known}
	case "denied":
		return answer{fate: audit.Denied}
	case "rejected":
		return answer{fate: audit.Rejected, failed: true}
	}
	return answer{failed: true}
}
