package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Limits of a connection. Sizes in bytes.
const (
	// MaxHeadBytes bounds the status line and the headers of an answer, and the
	// trailers and framing of a chunked one each.
	MaxHeadBytes = 16 << 10
	// DefaultMaxBody bounds a body where the Limits do not.
	DefaultMaxBody = 1 << 20

	firstBytes   = 2 << 10  // of memory a connection begins with
	keptBytes    = 64 << 10 // of memory it keeps from one answer to the next
	writeAside   = 64 << 10 // longer requests are written while the answer is read
	gapBytes     = 16 << 10 // of framing of a chunked body before it is closed up
	interimHeads = 8        // 1xx answers before the one that counts
)

// Errors of an answer; what was wrong stands before them.
var (
	// ErrMalformed says that an answer is not HTTP/1.1, or not the part of it that
	// is understood here.
	ErrMalformed = errors.New("expected an HTTP/1.1 answer")
	// ErrTooLarge says that an answer is beyond its limit.
	ErrTooLarge = errors.New("expected a shorter answer")
	// ErrUnusable says that the connection ended with the answer before.
	ErrUnusable = errors.New("the connection takes no further request: dial another")
)

// Conn is a connection with at most one request under way. One goroutine at a time
// may use it, but for Close, which any may call.
type Conn struct {
	conn    net.Conn
	source  io.Reader       // of the answers: conn, or what a Reading was brought
	raw     syscall.RawConn // nil: cannot be peeked at
	peek    func(fd uintptr) bool
	quiet   bool // what peek found: open, and nothing to read
	maxBody int

	partial  bool   // the answer may have to be read again from its beginning: it is not moved before it is whole
	buf      []byte // an answer begins at 0
	filled   int    // bytes of buf that were read
	answer   Answer
	unusable bool
}

// Dial opens a connection to host:port. An answer's body may have at most maxBody
// bytes; 0 is DefaultMaxBody.
func Dial(ctx context.Context, address string, maxBody int) (*Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return NewConn(conn, maxBody), nil
}

// NewConn talks over an open connection, which is the Conn's from then on. It may be
// one of TLS that was established already.
func NewConn(conn net.Conn, maxBody int) *Conn {
	if maxBody <= 0 {
		maxBody = DefaultMaxBody
	}
	c := &Conn{conn: conn, source: conn, maxBody: maxBody, buf: make([]byte, firstBytes)}
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS over it
		conn = over.NetConn()
	}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			c.raw = raw
			c.peek = func(fd uintptr) bool {
				var one [1]byte
				_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
				c.quiet = errors.Is(err, syscall.EAGAIN)
				return true
			}
		}
	}
	return c
}

// Close closes the connection; a request under way ends with an error.
func (c *Conn) Close() error { return c.conn.Close() }

// Usable says whether the connection may take another request: its last answer
// neither failed nor announced the end.
func (c *Conn) Usable() bool { return !c.unusable }

// Quiet says whether an idle connection is still open and nothing was sent that
// nobody asked for. It costs a system call, and is only a hint: the end may come at
// any moment.
func (c *Conn) Quiet() bool {
	if c.unusable || c.raw == nil {
		return !c.unusable
	}
	c.quiet = false
	return c.raw.Read(c.peek) == nil && c.quiet
}

// Do sends a request, whole as it stands, and reads its answer. The answer is valid
// until the next Do. After an error the connection is of no further use, and whether
// the request was carried out is unknown.
func (c *Conn) Do(request []byte, deadline time.Time) (*Answer, error) {
	if c.unusable {
		return nil, ErrUnusable
	}
	c.unusable = true // until the answer is whole
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	c.forget()
	if len(request) > writeAside {
		return c.doAside(request)
	}
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	if err := c.readAnswer(); err != nil {
		return nil, err
	}
	c.unusable = c.answer.Close
	return &c.answer, nil
}

// forget makes room for the next answer.
func (c *Conn) forget() {
	c.filled = 0
	if len(c.buf) > keptBytes {
		c.buf = make([]byte, firstBytes)
	}
}

// doAside writes a long request while the answer is read: a server may refuse it
// before its end and read no further.
func (c *Conn) doAside(request []byte) (*Answer, error) {
	written := make(chan error, 1)
	go func() {
		_, err := c.conn.Write(request)
		written <- err
	}()
	readErr := c.readAnswer()
	// An answer is here, or none will come: what is not written yet is not wanted.
	_ = c.conn.SetWriteDeadline(time.Unix(1, 0))
	writeErr := <-written
	if readErr != nil {
		return nil, readErr
	}
	c.answer.Close = c.answer.Close || writeErr != nil
	c.unusable = c.answer.Close
	return &c.answer, nil
}

// fill reads more of the answer, of which at most limit bytes may come in all.
func (c *Conn) fill(limit int) error {
	if c.filled >= limit {
		return fmt.Errorf("%d bytes and no end: %w", c.filled, ErrTooLarge)
	}
	if c.filled == len(c.buf) {
		c.grow(limit)
	}
	n, err := c.source.Read(c.buf[c.filled:])
	c.filled += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

func (c *Conn) grow(limit int) {
	grown := make([]byte, min(2*len(c.buf), max(limit, len(c.buf)+1)))
	copy(grown, c.buf)
	c.buf = grown
}
