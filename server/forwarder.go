package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

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
	forwardGrace       = 500 * time.Millisecond // for a leader of before to answer what it was sent; one that lives does at once
)

var errOtherLeads = errors.New("another node leads")

// peers is what a forwarder needs to know of the cluster: a raft.Node.
type peers interface {
	KnownLeader() (leader raft.Peer, changed <-chan struct{})
	DialPeer(context.Context, raft.Peer) (net.Conn, error)
}

// forwarder passes requests on to the node that leads, over connections to its raft
// port with one request under way each.
type forwarder struct {
	peers peers
	log   *slog.Logger
	done  chan struct{}

	mu     sync.Mutex
	to     *way // nil: no leader was known yet
	busy   map[link]*way
	closed bool
}

// way is what leads to one leader, for as long as no other is known. A request that
// waits for the one is not to keep others from the next.
type way struct {
	leader  raft.Peer
	ctx     context.Context // ends with the way; its cause says why
	leave   context.CancelCauseFunc
	dialing chan struct{} // tokens

	// Under the forwarder's mu.
	idle   []idleLink // the last used at the end
	warned time.Time
}

type link = *http1.Conn

type idleLink struct {
	link
	since time.Time
}

// newForwarder returns one that leaves a leader when another is known, until close.
func newForwarder(peers peers, log *slog.Logger) *forwarder {
	f := &forwarder{peers: peers, log: log, done: make(chan struct{}), busy: map[link]*way{}}
	go f.watch()
	return f
}

func (f *forwarder) watch() {
	for {
		_, changed, err := f.current()
		if err != nil {
			return
		}
		select {
		case <-changed:
		case <-f.done:
			return
		}
	}
}

// await returns the way to the leader. While none is known it waits for the next.
func (f *forwarder) await(ctx context.Context) (*way, error) {
	for {
		w, changed, err := f.current()
		if w != nil || err != nil {
			return w, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, raft.ErrNoLeader
		}
	}
}

// current returns the way to the leader, nil while none is known, and what is closed
// when that may have changed. A leader that is not known any more keeps its way until
// another is: it may only have been late.
func (f *forwarder) current() (*way, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, nil, errShuttingDown
	}
	leader, changed := f.peers.KnownLeader() // under mu, so that no older look comes after a newer one
	if leader == (raft.Peer{}) {
		return nil, changed, nil
	}
	if f.to == nil || f.to.leader != leader {
		if old := f.to; old != nil {
			old.end(errOtherLeads)
			time.AfterFunc(forwardGrace, func() { f.cut(old) })
		}
		f.to = &way{leader: leader, dialing: make(chan struct{}, forwardDials)}
		f.to.ctx, f.to.leave = context.WithCancelCause(context.Background())
	}
	return f.to, changed, nil
}

// end lets nothing more go this way. It is for who holds the forwarder's mu.
func (w *way) end(cause error) {
	w.leave(cause)
	for _, l := range w.idle {
		_ = l.Close()
	}
	w.idle = nil
}

// cut ends the requests under way to a leader of before.
func (f *forwarder) cut(old *way) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l, w := range f.busy {
		if w == old {
			_ = l.Close()
		}
	}
}

// take returns a connection to the leader, which goes back by put. After an error
// nothing was sent.
func (f *forwarder) take(w *way, deadline time.Time) (link, error) {
	now := time.Now()
	for {
		l, since, err := f.takeIdle(w, now)
		if err != nil {
			return nil, err
		}
		if l == nil {
			break
		}
		if now.Sub(since) < forwardLook || l.Quiet() {
			return l, nil
		}
		f.put(l, false)
	}
	conn, err := f.open(w, deadline)
	if left := context.Cause(w.ctx); err != nil && left != nil {
		return nil, left
	}
	if err != nil {
		return nil, err
	}
	l := http1.NewConn(conn, forwardAnswerBytes)
	f.mu.Lock()
	defer f.mu.Unlock()
	if left := context.Cause(w.ctx); left != nil {
		_ = l.Close()
		return nil, left
	}
	f.busy[l] = w
	return l, nil
}

func (f *forwarder) open(w *way, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(w.ctx, deadline)
	defer cancel()
	select {
	case w.dialing <- struct{}{}:
		defer func() { <-w.dialing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for %d other connections to be opened: %w", forwardDials, ctx.Err())
	}
	ctx, cancelDial := context.WithTimeout(ctx, forwardDialTimeout)
	defer cancelDial()
	return f.peers.DialPeer(ctx, w.leader)
}

// takeIdle returns the connection that was used last, nil if there is none that is
// of use. Those idle for too long are closed.
func (f *forwarder) takeIdle(w *way, now time.Time) (l link, since time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if left := context.Cause(w.ctx); left != nil {
		return nil, since, left
	}
	stale := 0
	for stale < len(w.idle) && now.Sub(w.idle[stale].since) > forwardIdle {
		_ = w.idle[stale].Close()
		stale++
	}
	if stale > 0 {
		kept := copy(w.idle, w.idle[stale:])
		clear(w.idle[kept:])
		w.idle = w.idle[:kept]
	}
	last := len(w.idle) - 1
	if last < 0 {
		return nil, since, nil
	}
	l, since = w.idle[last].link, w.idle[last].since
	w.idle[last] = idleLink{}
	w.idle = w.idle[:last]
	f.busy[l] = w
	return l, since, nil
}

// put takes a connection back: to be used again if it is good, else to be closed.
func (f *forwarder) put(l link, good bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.busy[l]
	delete(f.busy, l)
	if !good || w.ctx.Err() != nil || len(w.idle) >= forwardConnections {
		_ = l.Close()
		return
	}
	w.idle = append(w.idle, idleLink{l, time.Now()})
}

// close closes every connection: requests under way end with an error.
func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	close(f.done)
	if f.to != nil {
		f.to.end(errShuttingDown)
	}
	for l := range f.busy {
		_ = l.Close()
	}
}
