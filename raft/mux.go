package raft

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
)

// Limits of the raft port.
const (
	maxRaftConns    = 512             // open connections of peers, in and out
	maxUnsaidConns  = 256             // connections that have not said what they are
	maxControlConns = 64              // connections that say hello
	firstByteWithin = 2 * time.Second // a new connection's first byte, its TLS handshake included
	// helloByte begins a hello, forwardByte requests that a node passes on;
	// hashicorp/raft's requests begin with 0 to 4.
	helloByte    = 'H'
	forwardByte  = 'F'
	lastRaftByte = 15
)

var errIsolated = errors.New("this node has fallen silent until its disk or leadership recovers")

// mux is the raft port. It tells hashicorp/raft's protocol, hello and requests
// passed on apart by the first byte of a connection, and holds those of the log,
// so that a node can fall silent at once. It implements hraft.StreamLayer.
type mux struct {
	listener net.Listener
	address  string // told to the peers
	detours  Detours
	hello    func(net.Conn)
	dial     func(network, address string, timeout time.Duration) (net.Conn, error)
	identity func() Identity                 // nil: nobody proves anything
	memberAt func(raftAddress string) string // the id of the member that has it; empty: none
	logger   *slog.Logger

	forwarded *forwarded

	raft    chan net.Conn
	unsaid  chan struct{} // tokens
	control chan struct{} // tokens
	done    chan struct{}
	closed  sync.Once
	silent  atomic.Bool

	mu      sync.Mutex
	conns   map[net.Conn]struct{} // as they were accepted or dialled, below TLS
	refused time.Time             // when a refused connection was logged last
}

// newMux listens on address; serve has to be called once hello is known.
func newMux(address string) (*mux, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	if _, port, err := net.SplitHostPort(address); err == nil && port == "0" {
		address = listener.Addr().String()
	}
	return &mux{
		listener: listener, address: address, dial: net.DialTimeout,
		logger: slog.New(slog.DiscardHandler), forwarded: newForwarded(listener.Addr()),
		raft:    make(chan net.Conn),
		unsaid:  make(chan struct{}, maxUnsaidConns),
		control: make(chan struct{}, maxControlConns),
		done:    make(chan struct{}),
		conns:   map[net.Conn]struct{}{},
	}, nil
}

func (m *mux) serve(hello func(net.Conn)) {
	m.hello = hello
	go func() {
		for {
			conn, err := m.listener.Accept()
			if err != nil {
				if pause(10*time.Millisecond, m.done) { // out of file descriptors, say
					return
				}
				continue
			}
			select {
			case m.unsaid <- struct{}{}:
				go m.sort(conn)
			default:
				_ = conn.Close()
			}
		}
	}()
}

// sort learns from whom a connection is, reads its first byte and hands it on.
func (m *mux) sort(conn net.Conn) {
	held, err := m.hold(conn)
	if err != nil {
		<-m.unsaid
		return
	}
	first, err := m.begin(held)
	<-m.unsaid // from here on raft's connections, hellos and forwarding are counted apart
	if err != nil {
		m.logRefused(conn, err)
		_ = held.Close()
		return
	}
	switch {
	case first == helloByte:
		select {
		case m.control <- struct{}{}:
			m.hello(held)
			<-m.control
		default:
		}
		_ = held.Close()
	case first == forwardByte:
		m.release(held)
		m.forwarded.hand(held.Conn)
	case first <= lastRaftByte:
		held.first = []byte{first}
		select {
		case m.raft <- held:
		case <-m.done:
			_ = held.Close()
		}
	default:
		_ = held.Close()
	}
}

// begin reads the first byte, of a node that has proven to be one.
func (m *mux) begin(held *heldConn) (byte, error) {
	_ = held.raw.SetDeadline(time.Now().Add(firstByteWithin))
	if m.identity != nil {
		secure := tls.Server(held.raw, m.identity().forAccepting())
		if err := secure.Handshake(); err != nil {
			return 0, err
		}
		held.Conn = secureConn{secure}
	}
	var first [1]byte
	if _, err := io.ReadFull(held, first[:]); err != nil {
		return 0, err
	}
	return first[0], held.raw.SetDeadline(time.Time{})
}

// logRefused tells of one that is no node, or is silent; not of each.
func (m *mux) logRefused(conn net.Conn, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.identity == nil || time.Since(m.refused) < repeatEvery {
		return
	}
	m.refused = time.Now()
	m.logger.Warn("refused a connection to the raft port", "from", conn.RemoteAddr().String(), "error", err)
}

// heldConn is a connection the mux knows of; first is given back to the reader.
type heldConn struct {
	net.Conn // with TLS, if the nodes have it
	raw      net.Conn
	mux      *mux
	first    []byte
}

func (c *heldConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

func (c *heldConn) Close() error {
	c.mux.release(c)
	return c.raw.Close()
}

// release lets a connection live on when the node falls silent.
func (m *mux) release(c *heldConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.conns, c.raw)
}

func (m *mux) hold(conn net.Conn) (*heldConn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.done:
		return nil, errors.Join(net.ErrClosed, conn.Close())
	default:
	}
	if m.silent.Load() {
		return nil, errors.Join(errIsolated, conn.Close())
	}
	if len(m.conns) >= maxRaftConns {
		return nil, errors.Join(errors.New("too many connections on the raft port"), conn.Close())
	}
	m.conns[conn] = struct{}{}
	return &heldConn{Conn: conn, raw: conn, mux: m}, nil
}

// isolate cuts every connection and refuses new ones, or ends that.
func (m *mux) isolate(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent.Store(on)
	if on {
		m.closeConns()
	}
}

// cut closes every connection; peers dial again.
func (m *mux) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closeConns()
}

func (m *mux) closeConns() {
	for conn := range m.conns {
		_ = conn.Close()
	}
	clear(m.conns)
}

// Accept implements net.Listener for hashicorp/raft's transport.
func (m *mux) Accept() (net.Conn, error) {
	select {
	case conn := <-m.raft:
		return conn, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: it ends the port and all its connections.
func (m *mux) Close() error {
	var err error
	m.closed.Do(func() {
		close(m.done)
		err = errors.Join(m.listener.Close(), m.forwarded.Close())
		m.cut()
	})
	return err
}

// Addr implements net.Listener: the address told to the peers.
func (m *mux) Addr() net.Addr { return address(m.address) }

// Dial implements hraft.StreamLayer.
func (m *mux) Dial(to hraft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	if m.silent.Load() {
		return nil, errIsolated
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	raw, err := m.dial("tcp", m.detours.to(string(to)), timeout)
	if err != nil {
		return nil, err
	}
	held, err := m.hold(raw)
	if err != nil || m.identity == nil {
		return held, err
	}
	id := m.memberAt(string(to))
	if id == "" {
		return nil, errors.Join(fmt.Errorf("no member is at %s", to), held.Close())
	}
	if held.Conn, err = prove(ctx, raw, m.identity, id); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return held, nil
}

// address is a net.Addr for host:port as it was configured.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
