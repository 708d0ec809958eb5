package raft

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// maxForwardConns bounds the connections of other nodes that pass requests on.
const maxForwardConns = 16384

// Peer is a node as the others reach it. Peers are comparable.
type Peer struct {
	NodeID      string
	RaftAddress string
}

// Leader is the node that leads, which may be this one. While none is known it
// waits for the next; when ctx ends first, ErrNoLeader.
func (n *Node) Leader(ctx context.Context) (Peer, error) {
	for {
		leader, changed := n.KnownLeader()
		if leader != (Peer{}) {
			return leader, nil
		}
		select {
		case <-changed:
		case <-time.After(peerRetryAfter):
		case <-ctx.Done():
			return Peer{}, ErrNoLeader
		case <-n.closing:
			return Peer{}, ErrClosed
		}
	}
}

// KnownLeader is the node that leads as far as this one knows, the zero Peer if none
// is known, and a channel that is closed when that may have changed since the call.
func (n *Node) KnownLeader() (leader Peer, changed <-chan struct{}) {
	changed = n.changed.changed() // before the look, so that no change is missed
	if address, id := n.raft.LeaderWithID(); id != "" {
		leader = Peer{string(id), string(address)}
	}
	return leader, changed
}

// DialPeer opens a connection that the other node's Forwarded accepts. With
// [Config].Identity it is to that node and no other, and the other knows that it
// comes from one of the nodes.
func (n *Node) DialPeer(ctx context.Context, to Peer) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", n.cfg.DialThrough.to(to.RaftAddress))
	if err != nil {
		return nil, err
	}
	if conn, err = prove(ctx, conn, n.cfg.Identity, to.NodeID); err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{forwardByte}); err != nil {
		return nil, errors.Join(fmt.Errorf("ask %s to take requests: %w", to.NodeID, err), conn.Close())
	}
	return conn, nil
}

// Forwarded accepts what other nodes dial with DialPeer, on the raft port. The
// connections are the caller's, as is closing the listener, which leaves the port
// to the log.
func (n *Node) Forwarded() net.Listener { return n.mux.forwarded }

// forwarded is the part of the raft port that requests are passed on over.
type forwarded struct {
	addr   net.Addr
	conns  chan net.Conn
	open   chan struct{} // tokens
	done   chan struct{}
	closed sync.Once
}

func newForwarded(addr net.Addr) *forwarded {
	return &forwarded{
		addr: addr, conns: make(chan net.Conn),
		open: make(chan struct{}, maxForwardConns), done: make(chan struct{}),
	}
}

// hand gives a connection to whoever accepts, or closes it.
func (f *forwarded) hand(conn net.Conn) {
	select {
	case f.open <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	counted := &forwardedConn{Conn: conn, open: f.open}
	select {
	case f.conns <- counted:
	case <-f.done:
		_ = counted.Close()
	}
}

// Accept implements net.Listener.
func (f *forwarded) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *forwarded) Close() error {
	f.closed.Do(func() { close(f.done) })
	return nil
}

// Addr implements net.Listener.
func (f *forwarded) Addr() net.Addr { return f.addr }

type forwardedConn struct {
	net.Conn
	open   chan struct{}
	closed sync.Once
}

// Close implements net.Conn.
func (c *forwardedConn) Close() error {
	c.closed.Do(func() { <-c.open })
	return c.Conn.Close()
}
