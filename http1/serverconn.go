package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// A plain request's head is in the first bytes that come. Its body is read to its end
	// also where nobody wants it: as long as a batch of a thousand events, not longer.
	plainHeadBytes = 4 << 10
	plainBodyBytes = 1 << 20

	mostLineEnds = 4 // before a request, after a POST

	// lazily is how much later than promised a deadline may come: it is set anew so
	// often, not for each request.
	lazily = time.Second
)

// What a connection is at.
const (
	waiting   int32 = iota // for a request
	answering              // one
	over                   // by Shutdown or Close
)

// serverConn is one client's connection. Its goroutine alone uses it, but for state and end.
type serverConn struct {
	server *Server
	conn   net.Conn
	cancel context.CancelFunc // of what its handlers wait for
	state  atomic.Int32

	buf      []byte
	unread   []byte // of it
	lineEnds int    // passed over since the last request

	readBy, writeBy time.Time // the deadlines that are set
	quiet           bool      // nothing is written between answers

	blank   http.Request // what all requests of the connection have in common
	request http.Request
	head    requestHead
	body    requestBody
	answer  answerWriter
}

func newServerConn(base context.Context, s *Server, conn net.Conn) *serverConn {
	c := &serverConn{server: s, conn: conn}
	base, c.cancel = context.WithCancel(context.WithValue(base, http.LocalAddrContextKey, conn.LocalAddr()))
	c.blank = *(&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: conn.RemoteAddr().String(),
	}).WithContext(base)
	_, c.quiet = conn.(syscall.Conn) // TLS answers for itself now and then
	c.head.header = http.Header{}
	c.answer.conn, c.answer.header = c, http.Header{}
	return c
}

// end closes the connection. It may be called from any goroutine.
func (c *serverConn) end() {
	c.cancel()
	_ = c.conn.Close()
}

func (c *serverConn) serve() {
	defer c.server.forget(c)
	handed := false
	defer func() {
		c.cancel() // the requests before are over, whoever has the connection
		if !handed {
			_ = c.conn.Close()
		}
	}()
	if c.greet() && c.serveAll() {
		handed = c.handOver()
	}
}

// serveAll answers requests until the connection is over, or until one is not plain,
// which is still to be answered then.
func (c *serverConn) serveAll() (more bool) {
	c.buf = make([]byte, plainHeadBytes)
	for answered := false; c.await(answered); {
		if c.skipLineEnds(); len(c.unread) == 0 {
			if !c.rest() {
				return false
			}
			continue
		}
		length, plain := c.head.parse(c.unread)
		if !plain {
			return true
		}
		c.unread = c.unread[length:]
		if !c.exchange() || !c.rest() {
			return false
		}
		answered, c.lineEnds = true, 0
	}
	return false
}

// rest says whether another request may come.
func (c *serverConn) rest() bool {
	if !c.state.CompareAndSwap(answering, waiting) {
		return false
	}
	if !c.quiet && !c.writeBy.IsZero() && c.setWriteDeadline(time.Time{}) != nil {
		return false
	}
	return !c.server.closing.Load() || !c.state.CompareAndSwap(waiting, over)
}

// skipLineEnds passes over what old clients send after the body of a POST, as far as
// net/http does.
func (c *serverConn) skipLineEnds() {
	if c.request.Method != http.MethodPost {
		return
	}
	for len(c.unread) > 0 && c.lineEnds < mostLineEnds && (c.unread[0] == '\r' || c.unread[0] == '\n') {
		c.unread = c.unread[1:]
		c.lineEnds++
	}
}

// greet gives a client a time for its first request, and what TLS does before.
func (c *serverConn) greet() bool {
	within := c.server.whole.ReadHeaderTimeout
	if within == 0 {
		within = c.server.whole.ReadTimeout
	}
	if within > 0 && c.setReadDeadline(time.Now().Add(within)) != nil {
		return false
	}
	secured, ok := c.conn.(*tls.Conn)
	if !ok {
		return true
	}
	if c.setWriteDeadline(c.readBy) != nil {
		return false
	}
	if err := secured.Handshake(); err != nil {
		var notTLS tls.RecordHeaderError
		if errors.As(err, &notTLS) && notTLS.Conn != nil && looksLikeHTTP(notTLS.RecordHeader) {
			_, _ = io.WriteString(notTLS.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		c.server.logf("TLS handshake with %s: %v", c.conn.RemoteAddr(), err)
		return false
	}
	state := secured.ConnectionState()
	c.blank.TLS = &state
	return c.setWriteDeadline(time.Time{}) == nil
}

func looksLikeHTTP(begin [5]byte) bool {
	switch string(begin[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET":
		return true
	}
	return false
}

// await waits until a client has sent something, and says whether it is to be answered.
func (c *serverConn) await(answered bool) bool {
	if len(c.unread) == 0 { // else it did not wait for the answer before
		if answered && !c.readWithin(c.idleTimeout()) {
			return false
		}
		runtime.Gosched() // a read before the next request has come costs what one after does: others may have theirs first
		n, err := c.conn.Read(c.buf)
		if n == 0 && err != nil {
			return false
		}
		c.unread = c.buf[:n]
	}
	return c.state.CompareAndSwap(waiting, answering)
}

// idleTimeout is as net/http has it.
func (c *serverConn) idleTimeout() time.Duration {
	if idle := c.server.whole.IdleTimeout; idle != 0 {
		return idle
	}
	return c.server.whole.ReadTimeout
}

// readWithin lets reading end after a time-out, or up to lazily thereafter.
func (c *serverConn) readWithin(timeout time.Duration) bool {
	deadline, changed := renew(c.readBy, timeout)
	return !changed || c.setReadDeadline(deadline) == nil
}

// writeWithin is readWithin for writing.
func (c *serverConn) writeWithin(timeout time.Duration) bool {
	deadline, changed := renew(c.writeBy, timeout)
	return !changed || c.setWriteDeadline(deadline) == nil
}

// renew returns another deadline unless this one is within lazily after the time-out;
// without a time-out there is none.
func renew(deadline time.Time, timeout time.Duration) (next time.Time, changed bool) {
	if timeout <= 0 {
		return time.Time{}, !deadline.IsZero()
	}
	now := time.Now()
	if left := deadline.Sub(now); left >= timeout && left <= timeout+lazily {
		return deadline, false
	}
	return now.Add(timeout + lazily), true
}

func (c *serverConn) setReadDeadline(deadline time.Time) error {
	c.readBy = deadline
	return c.conn.SetReadDeadline(deadline)
}

func (c *serverConn) setWriteDeadline(deadline time.Time) error {
	c.writeBy = deadline
	return c.conn.SetWriteDeadline(deadline)
}

// exchange answers the request whose head was parsed, and says whether the connection
// takes another.
func (c *serverConn) exchange() (more bool) {
	c.request = c.blank
	c.head.fill(&c.request)
	c.body = requestBody{conn: c, left: c.request.ContentLength}
	if c.body.left > 0 {
		c.request.Body = &c.body
	}
	if c.body.left > int64(len(c.unread)) && !c.readWithin(c.server.whole.ReadTimeout) {
		return false
	}
	if !c.writeWithin(c.server.whole.WriteTimeout) {
		return false
	}
	c.answer.reset()
	defer func() {
		if trouble := recover(); trouble != nil && trouble != http.ErrAbortHandler { //nolint:errorlint // as net/http compares what was panicked with
			c.server.logf("panic serving %s: %v\n%s", c.request.RemoteAddr, trouble, debug.Stack())
		}
	}()
	c.server.whole.Handler.ServeHTTP(&c.answer, &c.request)
	return c.answer.finish()
}

// handOver passes the connection to net/http, with what was read and not answered.
func (c *serverConn) handOver() (handed bool) {
	if c.conn.SetDeadline(time.Time{}) != nil {
		return false
	}
	select {
	case c.server.handed.conns <- &heard{Conn: c.conn, said: c.unread}:
		return true
	case <-c.server.handed.done:
		return false
	}
}

// requestBody reads a body of known length.
type requestBody struct {
	conn   *serverConn
	left   int64
	closed bool // what was left is gone
	cut    bool // the client sends no more of it
}

// Read implements io.Reader. The end comes with the last bytes; that it came too early is
// told once, as net/http does.
func (b *requestBody) Read(p []byte) (n int, err error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.left == 0 || b.cut {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	if c := b.conn; len(c.unread) > 0 {
		n = copy(p, c.unread)
		c.unread = c.unread[n:]
	} else {
		n, err = c.conn.Read(p)
	}
	b.left -= int64(n)
	switch {
	case b.left == 0:
		err = io.EOF
	case errors.Is(err, io.EOF):
		b.cut = true
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer. What is left is read once there is an answer.
func (b *requestBody) Close() error { return nil }

// drain reads what the handler did not want of the body, without which the next request
// would not be found.
func (b *requestBody) drain() error {
	switch {
	case b.left == 0:
		return nil
	case b.cut:
		return io.ErrUnexpectedEOF
	}
	if _, err := io.Copy(io.Discard, b); err != nil {
		return err
	}
	b.closed = true
	return nil
}
