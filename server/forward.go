package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/raft"
)

const (
	forwardConnections = 512 // idle connections kept to the leader
	forwardDials       = 32  // connections being opened; each is unknown to the leader until it has said what it is
	forwardDialTimeout = time.Second
	forwardIdle        = time.Minute            // then an idle connection is not used again; the leader closes it after idleTimeout
	forwardLook        = 100 * time.Millisecond // a connection idle for longer is looked at first
	forwardAnswerBytes = 16 << 20               // of the leader's answer
	leaderWait         = 2 * time.Second        // for an election to end; it takes about one
)

var errForwarderClosed = errors.New("this node is closing")

// forwarder passes requests on to the node that leads, over connections to its raft
// port with one request under way each.
type forwarder struct {
	dial    func(context.Context, raft.Peer) (net.Conn, error)
	dialing chan struct{} // tokens

	mu     sync.Mutex
	leader raft.Peer  // whom idle connections lead to
	idle   []idleLink // the last used at the end
	busy   map[link]struct{}
	closed bool
}

type link = *http1.Conn

type idleLink struct {
	link
	since time.Time
}

func newForwarder(dial func(context.Context, raft.Peer) (net.Conn, error)) *forwarder {
	return &forwarder{dial: dial, dialing: make(chan struct{}, forwardDials), busy: map[link]struct{}{}}
}

// take returns a connection to the leader, which goes back by put.
func (f *forwarder) take(ctx context.Context, leader raft.Peer) (link, error) {
	now := time.Now()
	for {
		l, since, err := f.takeIdle(leader, now)
		if err != nil {
			return nil, err
		}
		if l == nil {
			break
		}
		if now.Sub(since) < forwardLook || l.Quiet() {
			return l, nil
		}
		f.put(l, leader, false)
	}
	conn, err := f.open(ctx, leader)
	if err != nil {
		return nil, err
	}
	l := http1.NewConn(conn, forwardAnswerBytes)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, errors.Join(errForwarderClosed, l.Close())
	}
	f.busy[l] = struct{}{}
	return l, nil
}

func (f *forwarder) open(ctx context.Context, leader raft.Peer) (net.Conn, error) {
	select {
	case f.dialing <- struct{}{}:
		defer func() { <-f.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, forwardDialTimeout)
	defer cancel()
	return f.dial(ctx, leader)
}

// takeIdle returns the connection that was used last, nil if there is none that is
// of use. Those to a leader of before are closed, as are those idle for too long.
func (f *forwarder) takeIdle(leader raft.Peer, now time.Time) (l link, since time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, since, errForwarderClosed
	}
	stale := 0
	if f.leader != leader {
		f.leader, stale = leader, len(f.idle)
	}
	for stale < len(f.idle) && now.Sub(f.idle[stale].since) > forwardIdle {
		stale++
	}
	if stale > 0 {
		for _, old := range f.idle[:stale] {
			_ = old.Close()
		}
		kept := copy(f.idle, f.idle[stale:])
		clear(f.idle[kept:])
		f.idle = f.idle[:kept]
	}
	last := len(f.idle) - 1
	if last < 0 {
		return nil, since, nil
	}
	l, since = f.idle[last].link, f.idle[last].since
	f.idle[last] = idleLink{}
	f.idle = f.idle[:last]
	f.busy[l] = struct{}{}
	return l, since, nil
}

// put takes a connection back: to be used again if it is good, else to be closed.
func (f *forwarder) put(l link, leader raft.Peer, good bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, l)
	if !good || f.closed || leader != f.leader || len(f.idle) >= forwardConnections {
		_ = l.Close()
		return
	}
	f.idle = append(f.idle, idleLink{l, time.Now()})
}

// close closes every connection: requests under way end with an error.
func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for l := range f.busy {
		_ = l.Close()
	}
	for _, l := range f.idle {
		_ = l.Close()
	}
	f.idle = nil
}

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
	leader, err := s.node.Leader(s.elections.context())
	if err != nil {
		return err
	}
	incoming := c.Request()
	out := scratches.Get().(*scratch)
	defer out.free()
	request := http1.AppendHead(out.command[:0], incoming.Method, incoming.URL.RequestURI(), leader.RaftAddress)
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
	return s.forwarder.pass(s.patience.context(), c, leader, request, deadline)
}

// pass sends a request to the leader, and its answer to the client.
func (f *forwarder) pass(ctx context.Context, c echo.Context, leader raft.Peer, request []byte, deadline time.Time) error {
	l, err := f.take(ctx, leader)
	if err != nil {
		return leaderSilent(err)
	}
	answer, err := l.Do(request, deadline)
	if err != nil {
		f.put(l, leader, false)
		return leaderSilent(err)
	}
	err = passBack(c, answer)
	f.put(l, leader, l.Usable())
	return err
}

// leaderSilent says that whether the leader took the request before it fell silent
// cannot be known here: the client repeats it, and repetition is harmless.
func leaderSilent(err error) error {
	return fmt.Errorf("%w: the leader did not answer: %w", raft.ErrOutcomeUnknown, err)
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
