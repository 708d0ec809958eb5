package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/raft"
)

const (
	forwardWarnEvery = 5 * time.Second // at most, of one leader
	leaderWait       = 2 * time.Second // for an election to end; it takes about one
)

// What becomes of requests that could not be passed on.
var (
	errUnreachable = newProblemLater("the leader cannot be reached; nothing was done")
	errWriteSilent = newProblemLater("the leader did not answer, and the write may have been done: repeat it, repetition is harmless")
	errReadSilent  = newProblemLater("the leader did not answer the read: repeat it")
)

// headersForward are the headers of a request that the leader needs, headersBack
// those of its answer that the client needs.
var (
	headersForward = [...]string{echo.HeaderContentType, headerMinIndex}
	headersBack    = [...]string{echo.HeaderContentType, "Retry-After", headerIndex}
)

// forward lets the leader answer the request, whose body was read already. The body
// is the caller's again when it returns. What another node has passed on goes no
// further: two nodes which each take the other for the leader are not to play tennis.
func (s *Server) forward(c echo.Context, body []byte) error {
	if isPassedOn(c) {
		return raft.ErrNotLeader
	}
	account, err := boundAccount(c)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(requestTimeout)
	ctx := s.elections.context()
	w, err := s.forwarder.await(ctx)
	if err != nil {
		return err
	}
	incoming := c.Request()
	out := scratches.Get().(*scratch)
	defer out.free()
	request := http1.AppendHead(out.command[:0], incoming.Method, incoming.URL.RequestURI(), w.leader.RaftAddress)
	for _, name := range headersForward {
		if v := incoming.Header.Get(name); v != "" {
			request = http1.AppendHeader(request, name, v)
		}
	}
	if account != 0 {
		request = http1.AppendHeader(request, headerAccount, strconv.FormatUint(account, 10))
	}
	s.metrics.forwarded.Inc()
	request = http1.AppendBody(request, body)
	out.command = request
	return s.forwarder.pass(ctx, c, w, request, deadline)
}

// pass sends a request to the leader, and its answer to the client. What was not sent
// before another came to lead is sent to that one.
func (f *forwarder) pass(ctx context.Context, c echo.Context, w *way, request []byte, deadline time.Time) error {
	for {
		l, err := f.take(w, deadline)
		switch {
		case err == nil:
			return f.ask(c, w, l, request, deadline)
		case errors.Is(err, errShuttingDown):
			return err
		case !errors.Is(err, errOtherLeads) || time.Now().After(deadline):
			f.warn(w, err)
			return fmt.Errorf("%w: %w", errUnreachable, err)
		}
		if w, err = f.await(ctx); err != nil {
			return err
		}
	}
}

// ask sends a request over a connection and passes the answer back. Without an answer
// it cannot be known here whether the leader took the request.
func (f *forwarder) ask(c echo.Context, w *way, l link, request []byte, deadline time.Time) error {
	answer, err := l.Do(request, deadline)
	if err != nil {
		f.put(l, false)
		if left := context.Cause(w.ctx); left != nil {
			err = fmt.Errorf("%w: %w", left, err)
		}
		if !errors.Is(err, errShuttingDown) {
			f.warn(w, err)
		}
		if c.Request().Method == http.MethodGet {
			return fmt.Errorf("%w: %w", errReadSilent, err)
		}
		return fmt.Errorf("%w: %w", errWriteSilent, err)
	}
	err = passBack(c, answer)
	f.put(l, l.Usable())
	return err
}

// warn says why a request was not passed on, or not answered; not of each.
func (f *forwarder) warn(w *way, err error) {
	f.mu.Lock()
	told := time.Since(w.warned) < forwardWarnEvery
	if !told {
		w.warned = time.Now()
	}
	f.mu.Unlock()
	if !told {
		f.log.Warn("a request could not be passed on to the leader", "leader_id", w.leader.NodeID, "raft_address", w.leader.RaftAddress, "error", err)
	}
}

// passBack sends the leader's answer, which is whole: half of one would look like a
// good answer to the client.
func passBack(c echo.Context, answer *http1.Answer) error {
	header := c.Response().Header()
	for _, name := range headersBack {
		if v := answer.Header(name); v != nil {
			header[name] = []string{string(v)}
		}
	}
	if err := writeWhole(c, answer.Status, answer.Body); err != nil {
		return fmt.Errorf("pass the leader's answer on: %w", err)
	}
	return nil
}
