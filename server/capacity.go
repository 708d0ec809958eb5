package server

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/raft"
)

// What a node takes on at once; beyond it 429. What is made of a body, the command
// and the answer, takes about as much memory again.
const (
	maxInFlight    = maxConnections // requests: HTTP/1.1 has one a connection
	maxBodiesBytes = 256 << 20      // of their bodies, counted as they come

	// maxWritesBytes is of the bodies of writes that are decided at once, and so
	// bounds what waits for the log and how long a write that is accepted takes. No
	// command is larger than its body: what has its turn finds room in the log's
	// queue, and is never refused once work was spent on it.
	maxWritesBytes  = 16 << 20
	leastWriteBytes = 4 << 10 // that a write counts as: 4096 of them at once

	// writesPatience is how long a write waits for its turn before it is refused.
	// Refused at once, a client that asks again at once would cost more than one
	// that is served.
	writesPatience = time.Second
)

// bound counts the requests under way. A busy node lives and can be watched:
// whoever asks for that is never refused.
func (s *Server) bound(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if path := c.Path(); path == "/healthz" || path == "/metrics" {
			return next(c)
		}
		select {
		case s.inFlight <- struct{}{}:
			defer func() { <-s.inFlight }()
		default:
			return s.refuse(refusedRequests)
		}
		return next(c)
	}
}

func (s *Server) refuse(reason string) error {
	if s.closing.Load() { // Close has taken what was free
		return errShuttingDown
	}
	s.metrics.refused.WithLabelValues(reason).Inc()
	return raft.ErrOverloaded
}

// receiveWrite reads the body of a write and waits for its turn, before it is
// decoded or passed on. What it returns is to be given back by done.
func (s *Server) receiveWrite(c echo.Context) (*scratch, error) {
	in, err := s.receive(c)
	if err != nil {
		return nil, err
	}
	if err := s.awaitTurn(in); err != nil {
		s.done(in)
		return nil, err
	}
	return in, nil
}

// receive reads a body. What it returns is to be given back by done.
func (s *Server) receive(c echo.Context) (*scratch, error) {
	in := scratches.Get().(*scratch)
	err := s.readBody(in, c.Request())
	if err == nil {
		return in, nil
	}
	s.done(in)
	if errors.Is(err, raft.ErrOverloaded) {
		turnDown(c, err)
	}
	return nil, err
}

// turnDown answers a request whose body finds no memory, and then lets that come to
// nothing: a client that cannot send all of it might not listen to the answer.
func turnDown(c echo.Context, reason error) {
	control := http.NewResponseController(c.Response())
	if control.EnableFullDuplex() != nil {
		return // the answer comes all the same, and may be lost
	}
	writeProblem(reason, c)
	if control.Flush() != nil {
		return // the client is gone
	}
	// Beyond what is allowed it is not read; net/http closes the connection then.
	_, _ = io.CopyN(io.Discard, c.Request().Body, maxBodyBytes)
}

func (s *Server) awaitTurn(in *scratch) error {
	share := max(int64(len(in.body)), leastWriteBytes)
	if !s.writes.TryAcquire(share) && s.writes.Acquire(s.turns.context(), share) != nil {
		return s.refuse(refusedWrites)
	}
	in.share = share
	return nil
}

// decided gives the turn to another write: what is left is the answer, and a client may
// be slow to read a long one.
func (s *Server) decided(in *scratch) {
	s.writes.Release(in.share)
	in.share = 0
}

// done gives back what a request was given.
func (s *Server) done(in *scratch) {
	s.decided(in)
	s.bodies.Release(in.charged)
	in.charged = 0
	in.free()
}

// readBody reads the whole body into in, and refuses one that is too large, or finds
// no memory.
func (s *Server) readBody(in *scratch, r *http.Request) error {
	tooLarge := newProblem(http.StatusRequestEntityTooLarge, "body: expected at most 4 MiB")
	if r.ContentLength > maxBodyBytes {
		return tooLarge
	}
	length := r.ContentLength
	if length < 0 {
		length = maxBodyBytes
	}
	if err := s.charge(in, min(length, trustedBytes)); err != nil {
		return err
	}
	in.body = slices.Grow(in.body[:0], int(min(max(r.ContentLength, 0), trustedBytes))+1)
	for {
		if len(in.body) == cap(in.body) {
			in.body = append(in.body, 0)[:len(in.body)]
		}
		n, err := r.Body.Read(in.body[len(in.body):cap(in.body)])
		in.body = in.body[:len(in.body)+n]
		came := int64(len(in.body))
		switch {
		case came > maxBodyBytes:
			return tooLarge
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return newProblem(http.StatusRequestTimeout, "body: expected it whole within "+readTimeout.String())
		case err != nil:
			return newProblem(http.StatusBadRequest, "body: expected it whole: "+err.Error())
		}
		if came >= in.charged {
			if err := s.charge(in, min(length, 2*came)); err != nil {
				return err
			}
		}
	}
}

// charge takes as much of the memory for bodies as a body that has so many bytes.
func (s *Server) charge(in *scratch, bytes int64) error {
	if !s.bodies.TryAcquire(bytes - in.charged) {
		return s.refuse(refusedBodies)
	}
	in.charged = bytes
	return nil
}
