package http1

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// heldBytes of an answer are held back, for its length to be told if that is all.
	heldBytes  = 2 << 10
	sniffBytes = 512 // of which http.DetectContentType makes a type
	// sendBytes are sent at once, of an answer that comes in pieces.
	sendBytes = 16 << 10
)

// answerWriter is the http.ResponseWriter of a request.
type answerWriter struct {
	conn   *serverConn
	header http.Header
	names  []string // of header

	bytes   *answerBytes // once there is something
	status  int          // 0: not told yet
	length  int64        // of the body, as the handler has told it; -1: it has not
	written int64        // of the body
	typed   bool         // the handler has told the body's type, or encoding
	begun   bool         // the head is done
	chunked bool
	close   bool
	full    bool  // the handler answers before it has read all
	failed  error // to send: nothing more is
}

// answerBytes are what is to be sent, and the first of the body until the head is done.
type answerBytes struct{ out, held []byte }

var answerBuffers = sync.Pool{New: func() any { return new(answerBytes) }}

func (w *answerWriter) reset() {
	clear(w.header)
	*w = answerWriter{conn: w.conn, header: w.header, names: w.names[:0], length: -1}
}

// Header implements http.ResponseWriter.
func (w *answerWriter) Header() http.Header { return w.header }

// EnableFullDuplex is for http.ResponseController.
func (w *answerWriter) EnableFullDuplex() error { w.full = true; return nil }

// SetReadDeadline is for http.ResponseController.
func (w *answerWriter) SetReadDeadline(deadline time.Time) error {
	return w.conn.setReadDeadline(deadline)
}

// SetWriteDeadline is for http.ResponseController.
func (w *answerWriter) SetWriteDeadline(deadline time.Time) error {
	return w.conn.setWriteDeadline(deadline)
}

// WriteHeader implements http.ResponseWriter. The headers are those of this moment.
func (w *answerWriter) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid status %d", status)) // as net/http does
	}
	if w.status != 0 || status < 200 {
		return
	}
	w.status = status
	w.bytes = answerBuffers.Get().(*answerBytes)
	out := append(w.bytes.out[:0], "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	if text := http.StatusText(status); text != "" {
		out = append(out, text...)
	} else {
		out = strconv.AppendInt(append(out, "status code "...), int64(status), 10)
	}
	out = append(out, "\r\n"...)
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		out = w.appendHeader(out, name, w.header[name])
	}
	if _, told := w.header["Date"]; !told {
		out = appendDate(out)
	}
	w.bytes.out, w.bytes.held = out, w.bytes.held[:0]
}

func (w *answerWriter) appendHeader(out []byte, name string, values []string) []byte {
	switch name {
	case "Content-Length":
		if len(values) == 1 {
			if length, err := strconv.ParseInt(values[0], 10, 64); err == nil && length >= 0 {
				w.length = length
			}
		}
		return out // where it belongs, or not at all
	case "Connection":
		w.close = w.close || slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, "close") })
		return out
	case "Transfer-Encoding", "Trailer":
		return out
	case "Content-Type", "Content-Encoding":
		w.typed = true
		if w.status == http.StatusNotModified && name == "Content-Type" {
			return out
		}
	}
	if !only(name, inToken) {
		return out
	}
	for _, value := range values {
		out = append(out, name...)
		out = append(out, ": "...)
		if strings.ContainsAny(value, "\r\n") { // nothing that is told ends the head
			value = lineEnds.Replace(value)
		}
		out = append(out, strings.Trim(value, " \t")...)
		out = append(out, "\r\n"...)
	}
	return out
}

var lineEnds = strings.NewReplacer("\n", " ", "\r", " ")

// bodiless says whether answers of this status have no body (RFC 9110, 6.4.1).
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, nil
	case bodiless(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if !w.begun && w.length < 0 && w.written <= heldBytes {
		w.bytes.held = append(w.bytes.held, p...)
		return len(p), nil
	}
	if !w.begun {
		w.chunked = w.length < 0
		w.endHead(p)
	}
	if err := w.add(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// endHead ends the head, and goes on with what was held back; p comes after that. It
// reads what of the body the handler has not, as far as the client sends it: that may not
// listen before it has sent all.
func (w *answerWriter) endHead(p []byte) {
	w.begun = true
	if !w.full && w.conn.body.drain() != nil || w.conn.server.closing.Load() {
		w.close = true
	}
	out, held := w.bytes.out, w.bytes.held
	if !w.typed && len(held)+len(p) > 0 {
		first := append(held, p[:min(len(p), max(0, sniffBytes-len(held)))]...)
		out = append(append(append(out, "Content-Type: "...), http.DetectContentType(first)...), "\r\n"...)
	}
	switch {
	case bodiless(w.status):
	case w.chunked:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	default:
		out = append(strconv.AppendInt(append(out, "Content-Length: "...), max(w.length, w.written), 10), "\r\n"...)
	}
	if w.close {
		out = append(out, "Connection: close\r\n"...)
	}
	w.bytes.out = append(out, "\r\n"...)
	if len(held) > 0 {
		w.frame(held)
	}
}

// frame adds a part of the body to what is to be sent.
func (w *answerWriter) frame(p []byte) {
	out := w.bytes.out
	if w.chunked {
		out = append(strconv.AppendInt(out, int64(len(p)), 16), "\r\n"...)
	}
	out = append(out, p...)
	if w.chunked {
		out = append(out, "\r\n"...)
	}
	w.bytes.out = out
}

// add adds to the body, and sends what has come together.
func (w *answerWriter) add(p []byte) error {
	if !w.chunked && len(p) >= sendBytes { // not copied
		if err := w.send(); err != nil {
			return err
		}
		_, w.failed = w.conn.conn.Write(p)
		return w.failed
	}
	w.frame(p)
	if len(w.bytes.out) < sendBytes {
		return w.failed
	}
	return w.send()
}

// send sends what has come together, unless something before it was not.
func (w *answerWriter) send() error {
	if w.failed == nil && len(w.bytes.out) > 0 {
		_, w.failed = w.conn.conn.Write(w.bytes.out)
	}
	w.bytes.out = w.bytes.out[:0]
	return w.failed
}

// FlushError is for http.ResponseController.
func (w *answerWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.chunked = w.length < 0 && !bodiless(w.status)
		w.endHead(nil)
	}
	return w.send()
}

// finish sends what is left, and says whether the connection takes another request.
func (w *answerWriter) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun {
		w.endHead(nil)
	}
	if w.chunked {
		w.bytes.out = append(w.bytes.out, "0\r\n\r\n"...)
	}
	err := w.send()
	if cap(w.bytes.out) <= 2*sendBytes {
		answerBuffers.Put(w.bytes)
	}
	w.bytes = nil
	short := w.length > w.written && !bodiless(w.status) // net/http closes too
	return err == nil && !short && !w.close && w.conn.body.drain() == nil
}

// dated is the line of a second.
type dated struct {
	second int64
	line   []byte
}

var lastDate atomic.Pointer[dated]

// appendDate makes the line once a second.
func appendDate(out []byte) []byte {
	now := time.Now()
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &dated{now.Unix(), now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat+"\r\n")}
		lastDate.Store(d)
	}
	return append(out, d.line...)
}
