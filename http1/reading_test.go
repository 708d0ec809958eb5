package http1

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// take brings the bytes of an answer in pieces of so many, and then its end where the
// server ends the connection.
func take(t *testing.T, r *Reading, text string, piece int, ends bool) (*Answer, error) {
	t.Helper()
	for len(text) > 0 {
		n := min(piece, len(text), len(r.Room()))
		copy(r.Room(), text[:n])
		r.Take(n)
		text = text[n:]
		if a, err := r.Answer(); a != nil || err != nil {
			if len(text) > 0 && err == nil {
				t.Errorf("an answer before its end: %d bytes are left", len(text))
			}
			return a, err
		}
	}
	if !ends {
		return nil, nil
	}
	r.End()
	return r.Answer()
}

func TestReadingInPieces(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		text  string
		ends  bool
		body  string
		close bool
	}{
		"length":           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, "hello", false},
		"no body":          {"HTTP/1.1 204 No Content\r\n\r\n", false, "", false},
		"interim":          {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "ok", false},
		"chunks":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n", false, "abcdefg", false},
		"chunks, trailers": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n", false, "a", false},
		"long":             {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, false, long, false},
		"to the end":       {"HTTP/1.1 200 OK\r\n\r\nall of it", true, "all of it", true},
		"close":            {"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false, "", true},
	} {
		for _, piece := range []int{1, 2, 7, 1000, 1 << 20} {
			if piece < 7 && len(c.text) > 10_000 {
				continue
			}
			r := NewReading(0)
			for again := range 2 { // the second on the same connection
				if again > 0 && c.ends {
					break
				}
				a, err := take(t, r, c.text, piece, c.ends)
				if err != nil || a == nil {
					t.Errorf("%s in pieces of %d: %v, %v", name, piece, a, err)
					break
				}
				if string(a.Body) != c.body || a.Close != c.close {
					t.Errorf("%s in pieces of %d: %.50q, close %v, want %.50q, %v", name, piece, a.Body, a.Close, c.body, c.close)
				}
				r.Next()
			}
		}
	}
}

func TestReadingWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		ends bool
		want error
	}{
		"not HTTP":         {"SSH-2.0-OpenSSH\r\n\r\n", false, ErrMalformed},
		"a head too long":  {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*MaxHeadBytes), false, ErrTooLarge},
		"a body too long":  {"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n", false, ErrTooLarge},
		"chunks too long":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("100\r\n"+strings.Repeat("x", 256)+"\r\n", 8), false, ErrTooLarge},
		"trailers":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 100)+"\r\n", 400), false, ErrTooLarge},
		"no chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, ErrMalformed},
		"cut in the head":  {"HTTP/1.1 200", true, io.ErrUnexpectedEOF},
		"cut in the body":  {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", true, io.ErrUnexpectedEOF},
		"nothing":          {"", true, io.EOF},
		"cut in the chunk": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", true, io.ErrUnexpectedEOF},
	} {
		for _, piece := range []int{1, 1000} {
			a, err := take(t, NewReading(1000), c.text, piece, c.ends)
			if a != nil || !errors.Is(err, c.want) {
				t.Errorf("%s in pieces of %d: %v, %v, want %v", name, piece, a, err, c.want)
			}
		}
	}
}
