package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// A plain request's head is in the first bytes that come, its body no longer than
	// net/http would read of one that nobody wants.
	plainHeadBytes = 4 << 10
	plainBodyBytes = 256 << 10

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

// serverConn is one client's connection. Its goroutine alone uses it, but for state.
type serverConn struct {
	server *Server
	conn   net.Conn
	state  atomic.Int32

	buf        []byte
	begin, end int // of what was read and is not used yet
	lineEnds   int // passed over since the last request

	readBy, writeBy time.Time // the deadlines that are set

	blank   http.Request // what all requests of the connection have in common
	request http.Request
	head    requestHead
	body    requestBody
	answer  answerWriter
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	c := &serverConn{server: s, conn: conn}
	c.head.header = http.Header{}
	c.body.conn = c
	c.answer.conn, c.answer.header = c, http.Header{}
	return c
}

func (c *serverConn) serve(base context.Context) {
	ctx, cancel := context.WithCancel(context.WithValue(base, http.LocalAddrContextKey, c.conn.LocalAddr()))
	defer cancel()
	defer c.server.forget(c)
	c.blank = *(&http.Request{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: c.conn.RemoteAddr().String(),
	}).WithContext(ctx)
	if c.greet() && c.serveAll() {
		c.handOver()
		return
	}
	_ = c.conn.Close()
}

// serveAll answers requests until the connection is over, or until one is not plain,
// which is still to be answered then.
func (c *serverConn) serveAll() (more bool) {
	c.buf = make([]byte, plainHeadBytes)
	for answered := false; c.await(answered); {
		if c.skipLineEnds(); c.begin == c.end {
			if !c.rest() {
				return false
			}
			continue
		}
		length, plain := c.head.parse(c.buf[c.begin:c.end])
		if !plain {
			return true
		}
		c.begin += length
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
	return !c.server.closing.Load() || !c.state.CompareAndSwap(waiting, over)
}

// skipLineEnds passes over what old clients send after the body of a POST, as far as
// net/http does.
func (c *serverConn) skipLineEnds() {
	if c.request.Method != http.MethodPost {
		return
	}
	for c.begin < c.end && c.lineEnds < mostLineEnds && (c.buf[c.begin] == '\r' || c.buf[c.begin] == '\n') {
		c.begin++
		c.lineEnds++
	}
}

// greet gives a client ReadHeaderTimeout for its first request, and what TLS does before.
func (c *serverConn) greet() bool {
	if within := c.server.whole.ReadHeaderTimeout; within > 0 {
		c.readBy = time.Now().Add(within)
		if c.conn.SetReadDeadline(c.readBy) != nil {
			return false
		}
	}
	secured, ok := c.conn.(*tls.Conn)
	if !ok {
		return true
	}
	if secured.SetWriteDeadline(c.readBy) != nil {
		return false
	}
	if err := secured.Handshake(); err != nil {
		var clear tls.RecordHeaderError
		if errors.As(err, &clear) && clear.Conn != nil && looksLikeHTTP(clear.RecordHeader) {
			_, _ = io.WriteString(clear.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		c.server.logf("TLS handshake with %s: %v", c.conn.RemoteAddr(), err)
		return false
	}
	state := secured.ConnectionState()
	c.blank.TLS = &state
	return true
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
	if c.begin == c.end { // else it did not wait for the answer before
		if answered && !c.readLazily(c.idleTimeout()) {
			return false
		}
		n, err := c.conn.Read(c.buf)
		if n == 0 && err != nil {
			return false
		}
		c.begin, c.end = 0, n
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

// readLazily lets reading end after a time-out, or up to lazily thereafter.
func (c *serverConn) readLazily(timeout time.Duration) bool {
	return !renewed(&c.readBy, timeout) || c.conn.SetReadDeadline(c.readBy) == nil
}

func (c *serverConn) writeLazily(timeout time.Duration) bool {
	return !renewed(&c.writeBy, timeout) || c.conn.SetWriteDeadline(c.writeBy) == nil
}

// renewed sets a deadline anew unless it is within lazily after the time-out; without a
// time-out there is none.
func renewed(deadline *time.Time, timeout time.Duration) bool {
	if timeout <= 0 {
		had := !deadline.IsZero()
		*deadline = time.Time{}
		return had
	}
	now := time.Now()
	if left := deadline.Sub(now); left >= timeout && left <= timeout+lazily {
		return false
	}
	*deadline = now.Add(timeout + lazily)
	return true
}

// exchange answers the request whose head was parsed, and says whether the connection
// takes another.
func (c *serverConn) exchange() bool {
	c.request = c.blank
	c.head.fill(&c.request)
	c.body.left = c.request.ContentLength
	if c.body.left > 0 {
		c.request.Body = &c.body
	}
	if c.body.left > int64(c.end-c.begin) && !c.readLazily(c.server.whole.ReadTimeout) ||
		!c.writeLazily(c.server.whole.WriteTimeout) {
		return false
	}
	c.answer.reset()
	return c.handle() && c.answer.finish()
}

// handle calls the handler, and says whether it returned.
func (c *serverConn) handle() (returned bool) {
	defer func() {
		if trouble := recover(); trouble != nil && trouble != http.ErrAbortHandler { //nolint:errorlint // as net/http compares what was panicked with
			c.server.logf("panic serving %s: %v\n%s", c.request.RemoteAddr, trouble, debug.Stack())
		}
	}()
	c.server.whole.Handler.ServeHTTP(&c.answer, &c.request)
	return true
}

// handOver passes the connection to net/http, with what was read and not answered.
func (c *serverConn) handOver() {
	if c.conn.SetDeadline(time.Time{}) == nil {
		select {
		case c.server.handed.conns <- &heard{Conn: c.conn, bytes: c.buf[c.begin:c.end]}:
			return
		case <-c.server.handed.done:
		}
	}
	_ = c.conn.Close()
}

// requestBody reads a body of known length.
type requestBody struct {
	conn *serverConn
	left int64
}

// Read implements io.Reader. The end comes with the last bytes.
func (b *requestBody) Read(p []byte) (n int, err error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	if c := b.conn; c.begin < c.end {
		n = copy(p, c.buf[c.begin:c.end])
		c.begin += n
	} else {
		n, err = c.conn.Read(p)
	}
	b.left -= int64(n)
	switch {
	case b.left == 0:
		err = io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer. What is left is read once there is an answer.
func (b *requestBody) Close() error { return nil }

// drain reads what the handler did not want of the body, without which the next request
// would not be found.
func (b *requestBody) drain() bool {
	if b.left == 0 {
		return true
	}
	_, err := io.Copy(io.Discard, b)
	return err == nil
}
