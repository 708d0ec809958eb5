package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/raft"
)

// headerForwarded says that a node has passed the request on already, so that two
// nodes which each take the other for the leader do not play tennis.
const headerForwarded = "Playhead-Forwarded"

const (
	forwardConnections = 512 // idle connections kept to the leader
	forwardDialTimeout = time.Second
	leaderWait         = 2 * time.Second // for an election to end; it takes about one
)

// forwarder passes requests on to the node that leads.
type forwarder struct{ client *http.Client }

func newForwarder() *forwarder {
	dialer := &net.Dialer{Timeout: forwardDialTimeout}
	return &forwarder{&http.Client{
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			MaxIdleConns:        forwardConnections,
			MaxIdleConnsPerHost: forwardConnections,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		},
		Timeout: requestTimeout,
	}}
}

// headersForward are the headers of a request that the leader needs, headersBack
// those of its answer that the client needs.
var (
	headersForward = [...]string{echo.HeaderContentType, headerMinIndex}
	headersBack    = [...]string{echo.HeaderContentType, echo.HeaderContentLength, "Retry-After", headerIndex}
)

// forward lets the leader answer the request, whose body was read already.
func (s *Server) forward(c echo.Context, body []byte) error {
	incoming := c.Request()
	if incoming.Header.Get(headerForwarded) != "" {
		return raft.ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(incoming.Context(), requestTimeout)
	defer cancel()
	electing, cancelWait := context.WithTimeout(ctx, leaderWait)
	defer cancelWait()
	leader, err := s.node.LeaderHTTP(electing)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, incoming.Method, "http://"+leader+incoming.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("forward to the leader: %w", err)
	}
	for _, name := range headersForward {
		if v := incoming.Header.Get(name); v != "" {
			request.Header.Set(name, v)
		}
	}
	request.Header.Set(headerForwarded, s.nodeID)
	s.metrics.forwarded.Inc()
	answer, err := s.forwarder.client.Do(request)
	if err != nil {
		// Whether the leader took the request before it fell silent cannot be
		// known here: the client repeats it, and repetition is harmless.
		return fmt.Errorf("%w: the leader did not answer: %w", raft.ErrOutcomeUnknown, err)
	}
	defer func() { _ = answer.Body.Close() }()
	return passBack(c, answer)
}

// passBack sends the leader's answer once it is whole: half of one would look like
// a good answer to the client.
func passBack(c echo.Context, answer *http.Response) error {
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("%w: the leader fell silent in its answer: %w", raft.ErrOutcomeUnknown, err)
	}
	header := c.Response().Header()
	for _, name := range headersBack {
		if v := answer.Header.Get(name); v != "" {
			header.Set(name, v)
		}
	}
	c.Response().WriteHeader(answer.StatusCode)
	if _, err := c.Response().Write(body); err != nil {
		return fmt.Errorf("pass the leader's answer on: %w", err)
	}
	return nil
}
