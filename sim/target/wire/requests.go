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
	maxAnswer   = 1 << 20 // bytes that are read of the answer to a first saying
	copyTimeout = 10 * time.Second
	overtaken   = 50 * time.Millisecond // for how long a request is held up, at most, so that others overtake it
)

// readRequests reads whole requests. One that is overtaken waits, and others come first
// on other connections. One that is said twice is said first over a connection of its own,
// and again when that was answered: who asked gets the second answer, and so knows the
// latest that was decided. Without the first answer the connection ends.
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
		p := way.piece(bytes.Clone(said.Next(said.Len() - reader.Buffered())))
		now, _ := way.look()
		if chance(now.Reorder) {
			p.due = p.due.Add(upTo(overtaken))
		}
		if chance(now.Duplicate) && !w.sayFirst(p) || !send(p) {
			return
		}
	}
}

// sayFirst says a request on a connection of its own, and says whether it was answered.
func (w *Wire) sayFirst(p piece) (answered bool) {
	if p.reset || !w.There.await(w.over, p.due) {
		return false
	}
	conn, err := w.dial()
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(w.over, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(copyTimeout))
	if _, err := conn.Write(p.bytes); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	return response.Body.Close() == nil
}
