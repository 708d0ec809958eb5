package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Connections of clients.
const (
	maxConnections      = 16384 // open at once, idle ones included; fewer where descriptors are
	reservedDescriptors = 2048  // for the log, the peers, and requests passed on to the leader
	maxTurnedAway       = 256   // connections beyond the limit that are told so; further ones are just closed
	turnAwayWithin      = time.Second
	maxUnheard          = 64 << 10 // bytes that one who is turned away may have sent

	// A client that vanished without a word is noticed within a minute.
	keepaliveIdle     = 15 * time.Second
	keepaliveInterval = 15 * time.Second
	keepaliveCount    = 3
)

// listener accepts clients up to a limit. Beyond it a connection is told 429 with
// Retry-After, whatever it wants, and closed: the clients that are there go on.
type listener struct {
	*net.TCPListener
	max    int64
	open   atomic.Int64
	told   chan struct{} // tokens of those being turned away
	turned atomic.Uint64
}

func listen(address string) (*listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepaliveIdle, Interval: keepaliveInterval, Count: keepaliveCount,
	}}
	inner, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for clients on %s: %w", address, err)
	}
	tcp, ok := inner.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen for clients on %s: not TCP", address), inner.Close())
	}
	return &listener{TCPListener: tcp, max: connectionLimit(), told: make(chan struct{}, maxTurnedAway)}, nil
}

// connectionLimit is maxConnections, or what the descriptors of this process leave.
func connectionLimit() int64 {
	var limit syscall.Rlimit // Go has raised the soft limit to the hard one
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return maxConnections
	}
	return connectionsOf(limit.Cur)
}

// connectionsOf leaves at least half of the descriptors to clients.
func connectionsOf(descriptors uint64) int64 {
	have := int64(min(descriptors, maxConnections+reservedDescriptors))
	return max(have-reservedDescriptors, have/2)
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.max {
			return &clientConn{TCPConn: conn, listener: l}, nil
		}
		l.open.Add(-1)
		l.turned.Add(1)
		select {
		case l.told <- struct{}{}:
			go l.turnAway(conn)
		default:
			_ = conn.Close()
		}
	}
}

// turnedAway is what a connection beyond the limit is told.
var turnedAway = func() []byte {
	const body = `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"the node has all the connections that it can take: try again later, or at another node"}`
	return fmt.Appendf(nil, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\nRetry-After: %d\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		retryAfterS, len(body), body)
}()

// turnAway tells a client to come again, and listens for a moment to what it sends:
// a connection closed over unread bytes is reset, and the answer lost.
func (l *listener) turnAway(conn *net.TCPConn) {
	defer func() { _ = conn.Close(); <-l.told }()
	if err := conn.SetDeadline(time.Now().Add(turnAwayWithin)); err != nil {
		return
	}
	if _, err := conn.Write(turnedAway); err != nil {
		return
	}
	if err := conn.CloseWrite(); err != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, maxUnheard) // until the client hangs up too
}

// clientConn is a connection that was let in; its place is free when it is closed.
type clientConn struct {
	*net.TCPConn
	listener *listener
	closed   sync.Once
}

// Close implements net.Conn.
func (c *clientConn) Close() error {
	c.closed.Do(func() { c.listener.open.Add(-1) })
	return c.TCPConn.Close()
}
