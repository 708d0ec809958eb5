package http1

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// requestHead is the head of a plain request. Its memory is used for one after another.
type requestHead struct {
	method string
	url    url.URL
	target string
	host   string
	length int64
	header http.Header
	values []string // of header, which has slices of it
}

// parse reads the head that b begins with, and says how long it is and whether it is
// plain: whole, and such that net/http would read the same of it.
func (h *requestHead) parse(b []byte) (length int, plain bool) {
	end := bytes.Index(b, endOfHead)
	if end < 0 {
		return 0, false
	}
	length = end + len(endOfHead)
	clear(h.header)
	h.values = h.values[:0]
	h.host, h.length = "", -1
	line, rest, _ := strings.Cut(string(b[:end+len(endOfLine)]), "\r\n")
	if !h.parseLine(line) {
		return 0, false
	}
	for rest != "" {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if !h.parseHeader(line) {
			return 0, false
		}
	}
	h.length = max(h.length, 0)
	return length, h.host != ""
}

// fill makes a request of it, but for the body.
func (h *requestHead) fill(r *http.Request) {
	r.Method, r.URL, r.RequestURI, r.Host = h.method, &h.url, h.target, h.host
	r.Header, r.ContentLength, r.Body = h.header, h.length, http.NoBody
}

// parseLine reads "GET /v1/accounts/7/sessions?consistency=stale HTTP/1.1".
func (h *requestHead) parseLine(line string) (plain bool) {
	method, rest, _ := strings.Cut(line, " ")
	target, version, _ := strings.Cut(rest, " ")
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete:
	default:
		return false
	}
	path, query, asks := strings.Cut(target, "?")
	if version != "HTTP/1.1" || asks && query == "" || path == "" || path[0] != '/' || strings.HasPrefix(path, "//") ||
		!only(path, inPath) || !only(query, inQuery) {
		return false
	}
	h.method, h.target = method, target
	h.url = url.URL{Path: path, RawQuery: query}
	return true
}

func (h *requestHead) parseHeader(line string) (plain bool) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || !only(name, inToken) || !only(value, inValue) {
		return false
	}
	value = strings.Trim(value, " \t")
	switch name = textproto.CanonicalMIMEHeaderKey(name); name {
	case "Host":
		plain = h.host == "" && value != "" && only(value, inHost)
		h.host = value
		return plain
	case "Content-Length":
		length, err := strconv.ParseUint(value, 10, 31) // digits alone
		if err != nil || h.length >= 0 || length > plainBodyBytes {
			return false
		}
		h.length = int64(length)
	case "Connection":
		if !strings.EqualFold(value, "keep-alive") {
			return false
		}
	case "Transfer-Encoding", "Trailer", "Expect", "Upgrade", "Pragma":
		return false
	}
	if before, ok := h.header[name]; ok {
		h.header[name] = append(before, value)
		return true
	}
	h.values = append(h.values, value)
	last := len(h.values)
	h.header[name] = h.values[last-1 : last : last]
	return true
}

// What the bytes of a plain head may stand in.
const (
	inPath uint8 = 1 << iota // without being escaped, or read as anything but themselves
	inQuery
	inToken // a method, the name of a header
	inValue // of a header
	inHost
)

var places = func() (of [256]uint8) {
	for b := '!'; b <= '~'; b++ {
		of[b] = inQuery | inValue
	}
	of['%'] &^= inQuery // may be escaped wrongly
	of['#'] &^= inQuery
	of[' '], of['\t'] = inValue, inValue
	for _, b := range "!#$%&'*+-.^_`|~" {
		of[b] |= inToken
	}
	for _, b := range "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		of[b] |= inPath | inToken | inHost
	}
	for _, b := range "/-_.~" {
		of[b] |= inPath
	}
	for _, b := range "-.:[]" {
		of[b] |= inHost
	}
	return of
}()

func only(text string, place uint8) bool {
	for i := range len(text) {
		if places[text[i]]&place == 0 {
			return false
		}
	}
	return true
}
