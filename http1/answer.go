package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Answer is what a server answered. Its bytes belong to the connection.
type Answer struct {
	Status int
	Body   []byte
	Close  bool // the connection ends with it

	headers []byte // the lines, without the empty one
}

// Header returns the first value of a header, nil where there is none.
func (a *Answer) Header(name string) []byte {
	for rest := a.headers; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		if colon := bytes.IndexByte(line, ':'); colon == len(name) && equalFold(line[:colon], name) {
			return bytes.Trim(line[colon+1:], " \t")
		}
	}
	return nil
}

// framing is what the headers say of the body.
type framing struct {
	length  int // -1: not told
	chunked bool
	close   bool
	keep    bool // HTTP/1.0 says so where it does
}

var (
	endOfLine = []byte("\r\n")
	endOfHead = []byte("\r\n\r\n")
)

// readAnswer reads one answer into c.answer.
func (c *Conn) readAnswer() error {
	head := 0 // where the head begins
	for range interimHeads {
		end, err := c.readHead(head)
		if err != nil {
			return err
		}
		status, minor, err := parseStatus(c.buf[head:end])
		if err != nil {
			return err
		}
		if status == 101 {
			return malformed("the server switches protocols", nil)
		}
		if status < 200 {
			head = end
			continue
		}
		_, headers := cutLine(c.buf[head : end-len(endOfLine)])
		f, err := parseHeaders(headers)
		if err == nil && f.chunked && minor == 0 { // RFC 9112, 6.1: its framing is to be taken for faulty
			err = malformed("Transfer-Encoding in HTTP/1.0", nil)
		}
		if err != nil {
			return err
		}
		c.answer.Status = status
		c.answer.Close = f.close || minor == 0 && !f.keep
		begin, length, err := c.readBody(end, status, f)
		if err != nil {
			return err
		}
		// Memory may have moved while the body was read.
		_, c.answer.headers = cutLine(c.buf[head : end-len(endOfLine)])
		c.answer.Body = c.buf[begin : begin+length : begin+length]
		return nil
	}
	return malformed("informational answers without end", nil)
}

// readHead reads until the empty line, and returns where the head ends.
func (c *Conn) readHead(begin int) (end int, err error) {
	seen := begin
	for {
		if i := bytes.Index(c.buf[seen:c.filled], endOfHead); i >= 0 {
			return seen + i + len(endOfHead), nil
		}
		seen = max(begin, c.filled-len(endOfHead)+1)
		if err := c.fill(begin + MaxHeadBytes); err != nil {
			return 0, inAnswer(err, c.filled > 0)
		}
	}
}

// readBody reads the body that begins at begin, where it also ends up.
func (c *Conn) readBody(begin, status int, f framing) (at, length int, err error) {
	switch {
	case status == 204 || status == 304:
		length = 0
	case f.chunked && c.partial && !chunksEnd(c.buf[begin:c.filled], c.maxBody):
		return 0, 0, errMore
	case f.chunked:
		length, err = c.readChunks(begin)
		if errors.Is(err, errMore) { // trailers without end
			err = ErrTooLarge
		}
		return begin, length, err
	case f.length < 0:
		length, err = c.readToEnd(begin)
		return begin, length, err
	case f.length > c.maxBody:
		return 0, 0, fmt.Errorf("a body of %d bytes, at most %d are read: %w", f.length, c.maxBody, ErrTooLarge)
	default:
		length = f.length
	}
	if err := c.need(begin+length, begin+length); err != nil {
		return 0, 0, err
	}
	if c.filled > begin+length { // nobody asked for more
		c.answer.Close = true
	}
	return begin, length, nil
}

// need reads until so many bytes are there.
func (c *Conn) need(filled, limit int) error {
	for c.filled < filled {
		if err := c.fill(limit); err != nil {
			return inAnswer(err, true)
		}
	}
	return nil
}

func (c *Conn) readToEnd(begin int) (length int, err error) {
	c.answer.Close = true
	for {
		err := c.fill(begin + c.maxBody + 1)
		if c.filled > begin+c.maxBody {
			return 0, fmt.Errorf("a body of more than %d bytes: %w", c.maxBody, ErrTooLarge)
		}
		if errors.Is(err, io.EOF) {
			return c.filled - begin, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// readChunks reads a chunked body and moves its chunks together.
func (c *Conn) readChunks(begin int) (length int, err error) {
	limit := begin + c.maxBody + gapBytes + 2*MaxHeadBytes // framing and trailers included
	at := begin
	for {
		if body := begin + length; at-body > gapBytes {
			c.filled = body + copy(c.buf[body:], c.buf[at:c.filled])
			at = body
		}
		line, next, err := c.readLine(at, limit)
		if err != nil {
			return 0, err
		}
		size, err := parseChunkSize(line)
		if err != nil {
			return 0, err
		}
		if size > c.maxBody-length {
			return 0, fmt.Errorf("a body of more than %d bytes: %w", c.maxBody, ErrTooLarge)
		}
		if size == 0 {
			at = next
			break
		}
		end := next + size
		if err := c.need(end+len(endOfLine), limit); err != nil {
			return 0, err
		}
		if !bytes.Equal(c.buf[end:end+len(endOfLine)], endOfLine) {
			return 0, malformed("a chunk that does not end where it says", c.buf[end:end+len(endOfLine)])
		}
		copy(c.buf[begin+length:], c.buf[next:end])
		length += size
		at = end + len(endOfLine)
	}
	for {
		line, next, err := c.readLine(at, limit)
		if err != nil {
			return 0, err
		}
		at = next
		if len(line) == 0 {
			break
		}
	}
	if c.filled > at {
		c.answer.Close = true
	}
	return length, nil
}

// readLine reads a line that begins at begin, and returns it without its end, and
// where the next begins.
func (c *Conn) readLine(begin, limit int) (line []byte, next int, err error) {
	for seen := begin; ; {
		if i := bytes.Index(c.buf[seen:c.filled], endOfLine); i >= 0 {
			return c.buf[begin : seen+i], seen + i + len(endOfLine), nil
		}
		seen = max(begin, c.filled-1)
		if err := c.fill(min(limit, begin+MaxHeadBytes)); err != nil {
			return nil, 0, inAnswer(err, true)
		}
	}
}

// parseStatus reads "HTTP/1.1 200 …".
func parseStatus(head []byte) (status, minor int, err error) {
	line, _ := cutLine(head)
	const prefix = "HTTP/1."
	if len(line) < len("HTTP/1.1 200") || string(line[:len(prefix)]) != prefix ||
		line[7] != '0' && line[7] != '1' || line[8] != ' ' || len(line) > 12 && line[12] != ' ' || endsWithin(line) {
		return 0, 0, malformed("the first line is", line)
	}
	for _, digit := range line[9:12] {
		if digit < '0' || digit > '9' {
			return 0, 0, malformed("the first line is", line)
		}
		status = 10*status + int(digit-'0')
	}
	if status < 100 {
		return 0, 0, malformed("the first line is", line)
	}
	return status, int(line[7] - '0'), nil
}

func parseHeaders(lines []byte) (f framing, err error) {
	f.length = -1
	for len(lines) > 0 {
		var line []byte
		line, lines = cutLine(lines)
		colon := bytes.IndexByte(line, ':')
		if colon < 1 || bytes.ContainsAny(line[:colon], " \t") || endsWithin(line) {
			return f, malformed("a header is", line)
		}
		name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
		switch {
		case equalFold(name, "content-length"):
			length, err := parseLength(value)
			if err != nil {
				return f, err
			}
			if f.length >= 0 && f.length != length {
				return f, malformed("two lengths, the second is", value)
			}
			f.length = length
		case equalFold(name, "transfer-encoding"):
			if !equalFold(value, "chunked") || f.chunked {
				return f, malformed("Transfer-Encoding is", value)
			}
			f.chunked = true
		case equalFold(name, "connection"):
			f.close = f.close || hasToken(value, "close")
			f.keep = f.keep || hasToken(value, "keep-alive")
		}
	}
	if f.chunked && f.length >= 0 {
		return f, malformed("both Transfer-Encoding and Content-Length", nil)
	}
	return f, nil
}

// maxLengthDigits keeps a length within an int.
const maxLengthDigits = 18

func parseLength(text []byte) (length int, err error) {
	if len(text) == 0 || len(text) > maxLengthDigits {
		return 0, malformed("Content-Length is", text)
	}
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			return 0, malformed("Content-Length is", text)
		}
		length = 10*length + int(digit-'0')
	}
	return length, nil
}

// maxSizeDigits keeps the size of a chunk within 32 bits.
const maxSizeDigits = 7

// parseChunkSize reads hexadecimal digits; an extension after them is passed over.
func parseChunkSize(line []byte) (size int, err error) {
	digits := line
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		digits = line[:i]
	}
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > maxSizeDigits {
		return 0, malformed("the size of a chunk is", line)
	}
	for _, digit := range digits {
		switch {
		case digit >= '0' && digit <= '9':
			size = size<<4 | int(digit-'0')
		case digit|0x20 >= 'a' && digit|0x20 <= 'f':
			size = size<<4 | int(digit|0x20-'a'+10)
		default:
			return 0, malformed("the size of a chunk is", line)
		}
	}
	return size, nil
}

// hasToken says whether a list, separated by commas, holds a token.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		element := list
		if i := bytes.IndexByte(list, ','); i >= 0 {
			element, list = list[:i], list[i+1:]
		} else {
			list = nil
		}
		if equalFold(bytes.Trim(element, " \t"), token) {
			return true
		}
	}
	return false
}

// cutLine returns the first line without its end, and what follows it.
func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.Index(b, endOfLine); i >= 0 {
		return b[:i], b[i+len(endOfLine):]
	}
	return b, nil
}

// endsWithin says whether half an end of line stands in a line: others might read
// two lines there.
func endsWithin(line []byte) bool {
	return bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0
}

// equalFold compares ASCII without regard to case.
func equalFold(b []byte, text string) bool {
	if len(b) != len(text) {
		return false
	}
	for i := range b {
		x, y := b[i], text[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// inAnswer makes of an end within an answer what it is.
func inAnswer(err error, begun bool) error {
	if begun && errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// shown is how much of a bad answer an error shows.
const shown = 60

func malformed(what string, got []byte) error {
	if got == nil {
		return fmt.Errorf("%s: %w", what, ErrMalformed)
	}
	return fmt.Errorf("%s %.*q: %w", what, shown, got, ErrMalformed)
}
