package http1

import (
	"context"
	"errors"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Between tries to accept a connection, after an error that may pass.
const (
	leastAcceptPause = 5 * time.Millisecond
	mostAcceptPause  = time.Second
)

// Server answers what clients and load generators mostly send for less than net/http
// does: requests of HTTP/1.1 that are plain, in that they arrive with their head whole,
// say their length and ask for nothing that most do not. They find the handler and the
// time-outs of an [http.Server], and its answers. With the first request that is
// anything else a connection passes to that server, for good: what is not understood
// here is never guessed at.
//
// A handler reads its request and writes its answer on one goroutine at a time, and is
// done with both when it returns. Its context ends with the connection, or by Close: a
// client that goes away is not noticed before the handler has returned. There is no
// hijacking, no parsing of multipart forms, no trailer and no informational answer; of
// requests that were passed on TLS is nil, and ReadHeaderTimeout may count twice.
type Server struct {
	whole   *http.Server
	handed  handover
	closing atomic.Bool

	mu       sync.Mutex
	listener net.Listener
	conns    map[*serverConn]bool
	empty    chan struct{} // closed once closing and without a connection
}

// NewServer returns a server in front of whole, which is its own from then on and has a
// Handler. That, BaseContext, ErrorLog and the time-outs count for plain requests too.
func NewServer(whole *http.Server) *Server {
	return &Server{
		whole:  whole,
		handed: handover{conns: make(chan net.Conn), done: make(chan struct{})},
		conns:  map[*serverConn]bool{},
		empty:  make(chan struct{}),
	}
}

// Serve answers on the connections of l, which it closes, until Shutdown or Close. It is
// to be called once. Its error is never nil: [http.ErrServerClosed] after those.
func (s *Server) Serve(l net.Listener) error {
	defer func() { _ = l.Close() }()
	s.mu.Lock()
	s.listener = l
	closing := s.closing.Load()
	s.mu.Unlock()
	if closing {
		return http.ErrServerClosed
	}
	base := context.Background()
	if s.whole.BaseContext != nil {
		base = s.whole.BaseContext(l)
	}
	base = context.WithValue(base, http.ServerContextKey, s.whole)
	s.handed.address = l.Addr()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.whole.Serve(&s.handed) // until s is closed
	}()
	err := s.accept(base, l)
	if s.closing.Load() { // else connections that are open are served on, as by net/http
		<-ended
	}
	return err
}

func (s *Server) accept(base context.Context, l net.Listener) error {
	pause := leastAcceptPause
	for {
		conn, err := l.Accept()
		var passing interface{ Temporary() bool }
		switch {
		case err == nil:
			pause = leastAcceptPause
			s.take(base, conn)
		case s.closing.Load():
			return http.ErrServerClosed
		case errors.As(err, &passing) && passing.Temporary(): // out of descriptors, say
			s.logf("accept on %s: %v; again in %v", l.Addr(), err, pause)
			time.Sleep(pause)
			pause = min(2*pause, mostAcceptPause)
		default:
			return err
		}
	}
}

// take serves a connection, unless the server is closing.
func (s *Server) take(base context.Context, conn net.Conn) {
	c := newServerConn(base, s, conn)
	s.mu.Lock()
	closing := s.closing.Load()
	if !closing {
		s.conns[c] = true
	}
	s.mu.Unlock()
	if closing {
		c.end()
		return
	}
	go c.serve()
}

// forget is told of a connection that has ended, or passed to net/http.
func (s *Server) forget(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.checkEmpty()
}

// checkEmpty is called with mu held.
func (s *Server) checkEmpty() {
	if !s.closing.Load() || len(s.conns) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// Shutdown ends Serve, closes the connections that have no request under way, and waits
// for the others to be answered, for as long as ctx allows.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.stop(func(c *serverConn) {
		if c.state.CompareAndSwap(waiting, over) {
			c.end()
		}
	})
	err = errors.Join(err, s.whole.Shutdown(ctx))
	select {
	case <-s.empty:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// Close ends Serve, closes every connection and ends what handlers wait for.
func (s *Server) Close() error {
	err := s.stop(func(c *serverConn) {
		c.state.Store(over)
		c.end()
	})
	return errors.Join(err, s.whole.Close())
}

// stop closes the listener, and calls end for each connection.
func (s *Server) stop(end func(*serverConn)) error {
	s.mu.Lock()
	s.closing.Store(true)
	listener, conns := s.listener, slices.Collect(maps.Keys(s.conns)) // no other is taken from now on
	s.checkEmpty()
	s.mu.Unlock()
	var err error
	if listener != nil {
		if err = listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	for _, c := range conns { // over TLS a client that does not read makes one wait
		end(c)
	}
	return err
}

func (s *Server) logf(format string, args ...any) {
	if s.whole.ErrorLog != nil {
		s.whole.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

// handover is the listener by which net/http is passed connections.
type handover struct {
	address net.Addr
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return h.address }

// heard is a connection of which something was read already.
type heard struct {
	net.Conn
	said []byte
}

// Read implements net.Conn.
func (h *heard) Read(p []byte) (int, error) {
	if len(h.said) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.said)
	h.said = h.said[n:]
	return n, nil
}

// CloseWrite is for net/http, which lets a client read an answer before it closes over
// what that has still sent.
func (h *heard) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
