package http1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// soon is a deadline that no sound exchange of these tests needs.
const soon = 10 * time.Second

func get(target string) []byte {
	return AppendNoBody(AppendHead(nil, "GET", target, "playhead"))
}

func post(body []byte) []byte {
	request := AppendHead(nil, "POST", "/v1/events", "playhead")
	return AppendBody(AppendHeader(request, "Content-Type", "application/json"), body)
}

// dialHTTP connects to a net/http server that ends with the test.
func dialHTTP(t testing.TB, handler http.HandlerFunc, maxBody int) *Conn {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return dial(t, server.Listener.Addr().String(), maxBody)
}

func dial(t testing.TB, address string, maxBody int) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), address, maxBody)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dialRaw connects to a server that reads one request's head, answers these bytes
// and, if it is to, closes.
func dialRaw(t testing.TB, answer string, closes bool, maxBody int) *Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	ended := t.Context().Done()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		if !closes {
			<-ended
		}
	}()
	return dial(t, listener.Addr().String(), maxBody)
}

func mustDo(t testing.TB, c *Conn, request []byte) *Answer {
	t.Helper()
	answer, err := c.Do(request, time.Now().Add(soon))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestRequestsOverOneConnection(t *testing.T) {
	t.Parallel()
	var remote string
	c := dialHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if remote == "" {
			remote = r.RemoteAddr
		}
		if r.RemoteAddr != remote || r.Host != "playhead" {
			t.Errorf("from %s, host %s", r.RemoteAddr, r.Host)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Playhead-Index", fmt.Sprint(len(body)))
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/chunked":
			for i := range 5 {
				fmt.Fprintf(w, "%s|", strings.Repeat("x", i*1000))
				_ = http.NewResponseController(w).Flush()
			}
			w.Header().Set(http.TrailerPrefix+"After", "all")
		case "/early":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, r.URL.RawQuery)
		default:
			fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("Content-Type"), body)
		}
	}, 0)
	for range 3 {
		a := mustDo(t, c, post([]byte(`[{}]`)))
		if a.Status != 200 || string(a.Body) != "POST application/json [{}]" || string(a.Header("playhead-INDEX")) != "4" || a.Header("Playhead") != nil {
			t.Fatalf("%d %q %q", a.Status, a.Body, a.headers)
		}
		if a := mustDo(t, c, get("/none")); a.Status != 204 || len(a.Body) != 0 {
			t.Fatalf("%d %q", a.Status, a.Body)
		}
		if a := mustDo(t, c, get("/chunked")); len(a.Body) != 10005 || string(bytes.Trim(a.Body, "x|")) != "" || string(a.Header("Transfer-Encoding")) != "chunked" {
			t.Fatalf("%d bytes, %q", len(a.Body), a.headers)
		}
		if a := mustDo(t, c, get("/early?a=b%20c")); a.Status != 404 || string(a.Body) != "a=b%20c" {
			t.Fatalf("%d %q", a.Status, a.Body)
		}
		large := bytes.Repeat([]byte("y"), 300<<10)
		if a := mustDo(t, c, post(large)); len(a.Body) != len(large)+len("POST application/json ") {
			t.Fatalf("%d bytes of %d", len(a.Body), len(large))
		}
		if !c.Usable() || !c.Quiet() {
			t.Fatal("the connection is of no more use")
		}
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	c := dialHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %v", r.Header.Get("X-Name"), r.Header.Values("Evil"))
	}, 0)
	request := AppendHeader(AppendHead(nil, "GET", "/", "playhead"), "X-Name", "a\r\nEvil: 1\x00")
	if a := mustDo(t, c, AppendNoBody(request)); string(a.Body) != `"a  Evil: 1" []` {
		t.Errorf("the server read %s", a.Body)
	}
}

func TestAnswerThatEndsTheConnection(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"announced":  "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nok",
		"by its end": "HTTP/1.1 200 OK\r\n\r\nok",
		"1.0":        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"too much":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
		"chunked":    "HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nA: b\r\n\r\nmore",
	} {
		c := dialRaw(t, answer, true, 0)
		if a := mustDo(t, c, get("/")); a.Status != 200 || string(a.Body) != "ok" || !a.Close {
			t.Errorf("%s: %+v", name, a)
		}
		if c.Usable() || c.Quiet() {
			t.Errorf("%s: the connection is usable", name)
		}
		if _, err := c.Do(get("/"), time.Now().Add(soon)); !errors.Is(err, ErrUnusable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := dialRaw(t, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false, 0)
	if mustDo(t, c, get("/")); !c.Usable() {
		t.Error("HTTP/1.0 that keeps the connection is not believed")
	}
}

// What is not a sound answer is an error at once, and the connection of no more use.
func TestGarbage(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*MaxHeadBytes)
	for name, c := range map[string]struct {
		answer string
		want   error
	}{
		"nothing":              {"", io.EOF},
		"half a status":        {"HTTP/1.1 20", io.ErrUnexpectedEOF},
		"half a head":          {"HTTP/1.1 200 OK\r\nA: b\r\n", io.ErrUnexpectedEOF},
		"half a body":          {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", io.ErrUnexpectedEOF},
		"half a chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok", io.ErrUnexpectedEOF},
		"no last chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", io.ErrUnexpectedEOF},
		"another protocol":     {"SSH-2.0-OpenSSH_9.9\r\n\r\n", ErrMalformed},
		"binary":               {"\x00\x01\x02\r\n\r\n", ErrMalformed},
		"HTTP/2":               {"HTTP/2.0 200 OK\r\n\r\n", ErrMalformed},
		"short status":         {"HTTP/1.1 20\r\n\r\n", ErrMalformed},
		"long status":          {"HTTP/1.1 2000 OK\r\n\r\n", ErrMalformed},
		"status in letters":    {"HTTP/1.1 abc OK\r\n\r\n", ErrMalformed},
		"status of zero":       {"HTTP/1.1 000 OK\r\n\r\n", ErrMalformed},
		"a header of nothing":  {"HTTP/1.1 200 OK\r\n: b\r\n\r\n", ErrMalformed},
		"a header with spaces": {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", ErrMalformed},
		"a folded header":      {"HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\n\r\n", ErrMalformed},
		"half a line's end":    {"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\n", ErrMalformed},
		"its other half":       {"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 2\r\n\r\n", ErrMalformed},
		"no colon":             {"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", ErrMalformed},
		"negative length":      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ErrMalformed},
		"no length":            {"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", ErrMalformed},
		"length overflows":     {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", ErrMalformed},
		"two lengths":          {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", ErrMalformed},
		"length and chunks":    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", ErrMalformed},
		"compressed":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", ErrMalformed},
		"chunked twice":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", ErrMalformed},
		"chunk size":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", ErrMalformed},
		"no chunk size":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", ErrMalformed},
		"chunk size overflows": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", ErrMalformed},
		"chunk's end":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n", ErrMalformed},
		"upgrade":              {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrMalformed},
		"for ever 100":         {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), ErrMalformed},
		"long head":            {"HTTP/1.1 200 OK\r\nA: " + long, ErrTooLarge},
		"long chunk line":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + long, ErrTooLarge},
		"long trailers":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 20_000), ErrTooLarge},
		"long body":            {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", ErrTooLarge},
		"long chunk":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", ErrTooLarge},
		"long chunks":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("a\r\n0123456789\r\n", 101), ErrTooLarge},
		"long to its end":      {"HTTP/1.1 200 OK\r\n\r\n" + long, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dialRaw(t, c.answer, true, 1000)
			begun := time.Now()
			a, err := conn.Do(get("/"), begun.Add(soon))
			if !errors.Is(err, c.want) {
				t.Errorf("%+v, %v: want %v", a, err, c.want)
			}
			if errors.Is(c.want, ErrMalformed) && len(err.Error()) > 200 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if conn.Usable() || time.Since(begun) > soon/2 {
				t.Errorf("usable: %v, after %v", conn.Usable(), time.Since(begun))
			}
		})
	}
}

// As much framing as body, in tiny chunks: bounded in time and memory.
func TestTinyChunks(t *testing.T) {
	t.Parallel()
	const size = 200_000
	c := dialRaw(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat("1\r\nx\r\n", size)+"0\r\n\r\n", false, size)
	if a := mustDo(t, c, get("/")); string(a.Body) != strings.Repeat("x", size) || !c.Usable() {
		t.Errorf("%d bytes", len(a.Body))
	}
	if len(c.buf) > 4*size {
		t.Errorf("%d bytes of memory for a body of %d", len(c.buf), size)
	}
}

func TestSlowServer(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"says nothing":    "",
		"half a head":     "HTTP/1.1 200 OK\r\nA",
		"half a body":     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
		"half a chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nok",
		"body to its end": "HTTP/1.1 200 OK\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, request := range [][]byte{get("/"), post(make([]byte, 8<<20))} {
				c := dialRaw(t, begin, false, 0)
				begun := time.Now()
				_, err := c.Do(request, begun.Add(200*time.Millisecond))
				if !os.IsTimeout(err) || time.Since(begun) > soon/2 || c.Usable() {
					t.Errorf("%v after %v, usable: %v", err, time.Since(begun), c.Usable())
				}
			}
		})
	}
	// It trickles: every byte in time, all of them not.
	c := dialHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}, 0)
	if _, err := c.Do(get("/"), time.Now().Add(200*time.Millisecond)); !os.IsTimeout(err) {
		t.Errorf("a trickle: %v", err)
	}
}

// A long request that is refused before its end is answered nevertheless.
func TestRefusedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	c := dialRaw(t, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", false, 0)
	a := mustDo(t, c, post(make([]byte, 32<<20)))
	if a.Status != 413 || string(a.Body) != "no" || !a.Close || c.Usable() {
		t.Errorf("%+v, usable: %v", a, c.Usable())
	}
}

func TestCloseEndsARequest(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	c := dialHTTP(t, func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() }, 0)
	stop := context.AfterFunc(t.Context(), func() {})
	defer stop()
	go func() { <-asked; _ = c.Close() }()
	if _, err := c.Do(get("/"), time.Now().Add(soon)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if _, err := c.Do(get("/"), time.Now().Add(soon)); !errors.Is(err, ErrUnusable) {
		t.Errorf("again: %v", err)
	}
}

// Quiet sees what happened while the connection was idle.
func TestQuiet(t *testing.T) {
	t.Parallel()
	const sound = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	quietly := func(c *Conn) bool {
		for deadline := time.Now().Add(soon); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if !c.Quiet() {
				return false
			}
		}
		return true
	}
	c := dialRaw(t, sound, true, 0)
	if mustDo(t, c, get("/")); quietly(c) {
		t.Error("the server has closed, and nobody noticed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c = dial(t, listener.Addr().String(), 0)
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if !c.Quiet() {
		t.Error("not quiet")
	}
	if _, err := io.WriteString(server, sound); err != nil {
		t.Fatal(err)
	}
	if quietly(c) {
		t.Error("an answer that nobody asked for, and nobody noticed")
	}
}

func TestNoAllocation(t *testing.T) {
	c := dialRaw(t, strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1), false, 0)
	mustDo(t, c, get("/"))
	echo := newEcho(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nPlayhead-Index: 77\r\nContent-Length: 2\r\n\r\nok")
	c = dial(t, echo, 0)
	request, body := []byte(nil), []byte(`[{"seq":1}]`)
	deadline := time.Now().Add(soon)
	if n := testing.AllocsPerRun(1000, func() {
		request = AppendBody(AppendHeader(AppendHead(request[:0], "POST", "/v1/events", "playhead"), "Content-Type", "application/json"), body)
		a, err := c.Do(request, deadline)
		if err != nil || a.Status != 200 || string(a.Header("playhead-index")) != "77" {
			t.Fatal(a, err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations a request", n)
	}
}

// newEcho is a server that costs little and allocates nothing: it answers whatever
// it reads, of which a read must bring one whole request.
func newEcho(t testing.TB, answer string) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf, out := make([]byte, 4096), []byte(answer)
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(out); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// memory is a net.Conn that answers bytes from memory, a piece at a time.
type memory struct {
	net.Conn // nil: what is not below is not called
	rest     []byte
	piece    int
}

func (m *memory) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, m.rest[:min(m.piece, len(m.rest))])
	m.rest = m.rest[n:]
	return n, nil
}

func (m *memory) Write(p []byte) (int, error)      { return len(p), nil }
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// FuzzAnswer: no answer panics, hangs or goes beyond its limits, it does not matter
// in which pieces it comes, and what is taken is what net/http takes.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
		"HTTP/1.0 503 Later\r\nRetry-After: 1\r\n\r\nno",
		"HTTP/1.1 200\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok and more",
	} {
		f.Add([]byte(seed), 1)
	}
	const maxBody = 1000
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		do := func(piece int) (*Answer, error) {
			return NewConn(&memory{rest: text, piece: piece}, maxBody).Do(get("/"), time.Time{})
		}
		whole, err := do(len(text) + 1)
		pieces, errPieces := do(max(1, piece%64))
		if (err == nil) != (errPieces == nil) {
			t.Fatalf("whole: %v, in pieces: %v", err, errPieces)
		}
		if err != nil {
			return
		}
		if whole.Status != pieces.Status || !bytes.Equal(whole.Body, pieces.Body) || !bytes.Equal(whole.headers, pieces.headers) {
			t.Fatalf("whole: %+v, in pieces: %+v", whole, pieces)
		}
		if len(whole.Body) > maxBody || whole.Status < 200 || whole.Status > 999 {
			t.Fatalf("%+v", whole)
		}
		reader := bufio.NewReader(bytes.NewReader(text))
		for {
			response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
			if err != nil {
				return // net/http looks closer at what is not read here, such as names of headers
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode >= 100 && response.StatusCode < 200 {
				continue
			}
			if err == nil && (response.StatusCode != whole.Status || !bytes.Equal(body, whole.Body)) {
				t.Fatalf("%d %q, net/http: %d %q", whole.Status, whole.Body, response.StatusCode, body)
			}
			return
		}
	})
}
