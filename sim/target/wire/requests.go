package wire

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// Limits of a wire of requests.
const (
	maxRequest  = 8 << 20 // bytes; a connection with a larger one is ended
	maxCopies   = 256     // second sayings under way; beyond them a request is said once
	copyTimeout = 10 * time.Second
	overtaken   = 50 * time.Millisecond // for how long a request is held up, at most, so that others overtake it
	maxAnswer   = 1 << 20               // bytes that are read of the answer to a second saying
)

// readRequests reads whole requests. One that is said twice is said at the same moment
// over a connection of its own, whose answer nobody reads; one that is overtaken waits,
// and others come first on other connections.
func (w *Wire) readRequests(in net.Conn, way *Way, send func(piece) bool) {
	var said bytes.Buffer
	reader := bufio.NewReader(io.TeeReader(in, &said))
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, io.LimitReader(request.Body, maxRequest))
		if err != nil || n == maxRequest {
			return
		}
		whole := bytes.Clone(said.Next(said.Len() - reader.Buffered()))
		p := way.piece(whole)
		now, _ := way.look()
		if chance(now.Reorder) {
			p.due = p.due.Add(upTo(overtaken))
		}
		if chance(now.Duplicate) {
			w.sayAgain(p)
		}
		if !send(p) {
			return
		}
	}
}

// sayAgain says a request on a connection of its own.
func (w *Wire) sayAgain(p piece) {
	select {
	case w.copies <- struct{}{}:
	default:
		return
	}
	w.running.Go(func() {
		defer func() { <-w.copies }()
		if p.reset || !w.There.await(w.over, p.due) {
			return
		}
		conn, err := w.dial()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		defer context.AfterFunc(w.over, func() { _ = conn.Close() })()
		_ = conn.SetDeadline(time.Now().Add(copyTimeout))
		if _, err := conn.Write(p.bytes); err != nil {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return
		}
		_, _ = io.CopyN(io.Discard, response.Body, maxAnswer) // the target is not to see it hung up
		_ = response.Body.Close()
	})
}
