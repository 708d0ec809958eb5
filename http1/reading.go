package http1

import (
	"bytes"
	"errors"
	"io"
)

// errMore says that an answer goes on with bytes that are not here yet.
var errMore = errors.New("the answer goes on")

// Reading reads the answers of a connection whose bytes the caller brings, as who waits
// for many connections at once does: read into Room, say with Take how much it was, and
// ask for the Answer. It keeps to the limits of a Conn. One goroutine at a time may use
// it.
type Reading struct {
	conn  Conn
	ended bool
}

// NewReading reads answers whose bodies have at most maxBody bytes; 0 is
// DefaultMaxBody.
func NewReading(maxBody int) *Reading {
	if maxBody <= 0 {
		maxBody = DefaultMaxBody
	}
	r := &Reading{conn: Conn{maxBody: maxBody, partial: true, buf: make([]byte, firstBytes)}}
	r.conn.source = (*brought)(r)
	return r
}

// Room is where the next bytes belong: at least one. It is valid until the next call of
// a method.
func (r *Reading) Room() []byte {
	if r.conn.filled == len(r.conn.buf) {
		r.conn.grow(2 * len(r.conn.buf)) // an answer beyond its limits is refused before the next
	}
	return r.conn.buf[r.conn.filled:]
}

// Take says that n bytes were put into Room.
func (r *Reading) Take(n int) { r.conn.filled += n }

// End says that the server sends no more: what is not whole by now never will be.
func (r *Reading) End() { r.ended, r.conn.partial = true, false }

// Answer is the answer, nil as long as there is more to come. After an error the
// connection is of no further use. The answer is valid until the next Room or Next.
func (r *Reading) Answer() (*Answer, error) {
	r.conn.answer = Answer{}
	err := r.conn.readAnswer()
	if errors.Is(err, errMore) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r.conn.answer, nil
}

// Next makes ready for the answer to the next request.
func (r *Reading) Next() { r.conn.forget() }

// brought has no bytes but those that are in the buffer.
type brought Reading

// Read implements io.Reader.
func (b *brought) Read([]byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	return 0, errMore
}

// chunksEnd says whether a chunked body is whole, or wrong, which its reader finds out.
func chunksEnd(b []byte, maxBody int) bool {
	for total := 0; ; {
		line, rest := cutLine(b)
		if rest == nil && len(line) == len(b) {
			return len(line) > MaxHeadBytes
		}
		size, err := parseChunkSize(line)
		if total += size; err != nil || total > maxBody || total < 0 {
			return true
		}
		if size == 0 {
			return bytes.HasPrefix(rest, endOfLine) || bytes.Contains(rest, endOfHead) || len(rest) > MaxHeadBytes
		}
		if len(rest) < size+len(endOfLine) {
			return false
		}
		b = rest[size+len(endOfLine):]
	}
}
