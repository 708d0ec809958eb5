package server

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/raft"
)

// What a node takes on at once; beyond it 429. What is made of a body, the command
// and the answer, takes about as much memory again.
const (
	maxInFlight    = 4096      // requests
	maxBodiesBytes = 256 << 20 // bodies of these requests
)

// bound refuses what is beyond the node's capacity before any work is spent on it.
// A busy node lives and can be watched: whoever asks for that is never refused.
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
		bytes := bodyBytes(c.Request())
		if !s.bodies.TryAcquire(bytes) {
			return s.refuse(refusedBodies)
		}
		defer s.bodies.Release(bytes)
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

// bodyBytes is the most memory that reading the request's body can take: what the
// client says, or the limit where it does not say.
func bodyBytes(r *http.Request) int64 {
	switch {
	case r.Method != http.MethodPost && r.Method != http.MethodPut:
		return 0 // nobody reads it
	case r.ContentLength < 0:
		return maxBodyBytes
	case r.ContentLength > maxBodyBytes:
		return 0 // refused unread
	}
	return r.ContentLength
}
