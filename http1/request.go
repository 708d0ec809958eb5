package http1

import "strconv"

// AppendHead begins a request: its first line and the Host header. The target is a
// path and a query, escaped already.
func AppendHead(dst []byte, method, target, host string) []byte {
	dst = appendClean(dst, method)
	dst = append(dst, ' ')
	dst = appendClean(dst, target)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = appendClean(dst, host)
	return append(dst, "\r\n"...)
}

// AppendHeader adds a header. What could end the line within the name or the value
// is written as a space.
func AppendHeader(dst []byte, name, value string) []byte {
	dst = appendClean(dst, name)
	dst = append(dst, ": "...)
	dst = appendClean(dst, value)
	return append(dst, "\r\n"...)
}

// AppendBody ends a request: Content-Length, the empty line and the body.
func AppendBody(dst, body []byte) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

// AppendNoBody ends a request that has no body, such as a GET.
func AppendNoBody(dst []byte) []byte { return append(dst, "\r\n"...) }

func appendClean(dst []byte, text string) []byte {
	begin := len(dst)
	dst = append(dst, text...)
	for i := begin; i < len(dst); i++ {
		if dst[i] == '\r' || dst[i] == '\n' || dst[i] == 0 {
			dst[i] = ' '
		}
	}
	return dst
}
