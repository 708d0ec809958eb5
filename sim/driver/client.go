package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/playhead-load/playhead/sim/audit"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// client speaks CONTRACT §2 with the target.
type client struct {
	http    *http.Client
	targets []string
	timeout time.Duration
}

func newClient(targets []string, connections int, timeout time.Duration) *client {
	return &client{
		http: &http.Client{Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
			MaxIdleConns:        connections * len(targets),
			MaxIdleConnsPerHost: connections,
			DisableCompression:  true,
		}},
		targets: targets,
		timeout: timeout,
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// send makes one try of a request at a node.
func (c *client) send(r *request, target int) answer {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.method, c.targets[(int(r.entry.Device)+target)%len(c.targets)]+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{fate: audit.Unanswered, failed: true}
	}
	if r.isEvent {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{again: true}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{again: true}
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusInternalServerError:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // absent: 0, the driver's own wait
		return answer{again: true, wait: time.Duration(seconds) * time.Second}
	}
	switch {
	case !r.isEvent:
		return readAnswer(response.StatusCode)
	case r.path == "/v1/events":
		return eventAnswer(response.StatusCode, body)
	}
	return startAnswer(response.StatusCode, body)
}

// readAnswer is that of a question; nothing known is an answer too.
func readAnswer(status int) answer {
	ok := status == http.StatusOK || status == http.StatusNotFound
	return answer{fate: audit.Accepted, failed: !ok}
}

func startAnswer(status int, body []byte) answer {
	var told struct {
		PositionMS *int64 `json:"position_ms"`
	}
	switch status {
	case http.StatusCreated, http.StatusOK:
		if json.Unmarshal(body, &told) != nil || told.PositionMS == nil {
			return answer{fate: audit.Unanswered, failed: true}
		}
		if status == http.StatusOK {
			return answer{fate: audit.Known, positionMS: told.PositionMS}
		}
		return answer{fate: audit.Accepted, positionMS: told.PositionMS}
	case http.StatusConflict:
		return answer{fate: audit.Denied}
	}
	return answer{fate: audit.Rejected, failed: true}
}

func eventAnswer(status int, body []byte) answer {
	var told struct {
		Outcomes []struct {
			Status string `json:"status"`
		} `json:"outcomes"`
	}
	if status != http.StatusOK {
		return answer{fate: audit.Rejected, failed: true}
	}
	if json.Unmarshal(body, &told) != nil || len(told.Outcomes) != 1 {
		return answer{fate: audit.Unanswered, failed: true}
	}
	switch told.Outcomes[0].Status {
	case "accepted":
		return answer{fate: audit.Accepted}
	case "duplicate":
		return answer{fate: audit.Known}
	case "denied":
		return answer{fate: audit.Denied}
	}
	return answer{fate: audit.Rejected, failed: true}
}
