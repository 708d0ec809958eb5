// Package wire carries what one process says to another over TCP, through this process,
// where it can be cut off, held up, narrowed and lost.
//
// TCP brings every byte, once and in order, or breaks the connection. What happens to a
// packet is therefore seen as a real TCP would show it: what is lost is late, by the time
// in which it is sent again, and all behind it on its connection with it.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Limits of a wire.
const (
	maxConns    = 16_384          // open at once; another is closed
	pieceBytes  = 16 << 10        // that are read at once
	piecesAhead = 16              // of a connection in one direction that are on their way, as a TCP window bounds them
	dialTimeout = 2 * time.Second // to where the wire leads
)

// Wire leads to one address. Its methods may be called from any goroutine.
type Wire struct {
	Address string // where it is to be dialled instead of where it leads
	There   *Way   // from whoever dials
	Back    *Way   // what is answered

	to       string
	requests bool
	listener net.Listener
	over     context.Context
	end      context.CancelFunc
	running  sync.WaitGroup
	conns    chan struct{} // tokens
}

// Lead returns a wire to an address, at which nobody need listen yet. It is the caller's
// to close.
func Lead(to string) (*Wire, error) { return lead(to, false) }

// LeadRequests is Lead for HTTP/1.1 requests, of which it knows where each ends: they can
// be said twice and overtake each other.
func LeadRequests(to string) (*Wire, error) { return lead(to, true) }

func lead(to string, requests bool) (*Wire, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lead a wire to %s: %w", to, err)
	}
	w := &Wire{
		Address: listener.Addr().String(), There: newWay(), Back: newWay(),
		to: to, requests: requests, listener: listener,
		conns: make(chan struct{}, maxConns),
	}
	w.over, w.end = context.WithCancel(context.Background())
	w.running.Go(w.accept)
	return w, nil
}

// Close ends the wire and all its connections.
func (w *Wire) Close() error {
	w.end()
	err := w.listener.Close()
	w.running.Wait()
	return err
}

func (w *Wire) accept() {
	for {
		conn, err := w.listener.Accept()
		switch {
		case w.over.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return
		case err != nil:
			select { // out of file descriptors, say
			case <-w.over.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		select {
		case w.conns <- struct{}{}:
			w.running.Go(func() {
				w.carry(conn)
				<-w.conns
			})
		default:
			_ = conn.Close()
		}
	}
}

// carry passes on what both ends of a connection say until both have ended, or one is gone.
func (w *Wire) carry(caller net.Conn) {
	// Whoever dials through a cut wire waits: of three packets two go there and one back.
	if !w.There.await(w.over, time.Time{}) || !w.Back.await(w.over, time.Time{}) {
		_ = caller.Close()
		return
	}
	called, err := w.dial()
	if err != nil {
		_ = caller.Close()
		return
	}
	hangUp := sync.OnceFunc(func() { _ = errors.Join(caller.Close(), called.Close()) })
	defer hangUp()
	stop := context.AfterFunc(w.over, hangUp)
	defer stop()
	read := readPieces
	if w.requests {
		read = w.readRequests
	}
	var ways sync.WaitGroup
	ways.Go(func() { w.pass(caller, called, w.There, read, hangUp) })
	ways.Go(func() { w.pass(called, caller, w.Back, readPieces, hangUp) })
	ways.Wait()
}

func (w *Wire) dial() (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	return dialer.DialContext(w.over, "tcp", w.to)
}

// piece is bytes on their way, and the earliest time at which they are there.
type piece struct {
	bytes []byte
	due   time.Time
	reset bool // instead of them the connection breaks
}

// pass carries one direction of a connection to its end, or hangs up.
func (w *Wire) pass(in, out net.Conn, way *Way, read func(net.Conn, *Way, func(piece) bool), hangUp func()) {
	ctx, stop := context.WithCancel(w.over)
	defer stop()
	pieces := make(chan piece, piecesAhead)
	w.running.Go(func() {
		defer close(pieces)
		read(in, way, func(p piece) bool {
			select {
			case pieces <- p:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	for p := range pieces {
		if !way.await(ctx, p.due) || p.reset || !way.admit(ctx, len(p.bytes)) {
			hangUp()
			return
		}
		if _, err := out.Write(p.bytes); err != nil {
			hangUp()
			return
		}
	}
	if tcp, ok := out.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the other direction may go on
	}
}

// readPieces reads until the end, however the bytes come.
func readPieces(in net.Conn, way *Way, send func(piece) bool) {
	for {
		buf := make([]byte, pieceBytes)
		n, err := in.Read(buf)
		if n > 0 && !send(way.piece(buf[:n])) || err != nil {
			return
		}
	}
}
