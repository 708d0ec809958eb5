package http1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tell answers with everything that a handler can see of a request, in the manner that
// its path asks for.
func tell(w http.ResponseWriter, r *http.Request) {
	var seen bytes.Buffer
	fmt.Fprintf(&seen, "%s %q %q %q %q %v %q %s %d %v %v\n", r.Method, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.RequestURI,
		r.URL.ForceQuery, r.Host, r.Proto, r.ContentLength, r.TransferEncoding, r.Close)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&seen, "%q: %q\n", name, r.Header[name])
	}
	if !strings.HasPrefix(r.URL.Path, "/unread") && r.URL.Path != "/back" {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(&seen, "%q %v\n", body, err)
	}
	w.Header().Set("Playhead-Index", "7")
	switch r.URL.Path {
	case "/length":
		w.Header().Set("Content-Length", strconv.Itoa(seen.Len()))
	case "/short":
		w.Header().Set("Content-Length", strconv.Itoa(seen.Len()+1))
	case "/over":
		w.Header().Set("Content-Length", strconv.Itoa(seen.Len()-1))
	case "/typed":
		w.Header().Set("Content-Type", "application/json")
	case "/split":
		w.Header()["Reason"] = []string{"a\r\nSet-Cookie: b", " c "}
		w.Header()["Bad Name"] = []string{"d"}
	case "/close":
		w.Header().Set("Connection", "close")
	case "/long":
		seen.WriteString(strings.Repeat("x", 40_000))
	case "/html":
		_, _ = io.WriteString(w, "<")
		seen.Reset()
		seen.WriteString("html>" + strings.Repeat("x", 3*heldBytes))
	case "/back": // the answer begins before the request is read
		_, _ = io.WriteString(w, strings.Repeat("x", 2*heldBytes))
		_, err := r.Body.Read(make([]byte, 1))
		fmt.Fprint(w, err)
		return
	case "/lowstatus":
		w.WriteHeader(99)
	case "/edge":
		seen.WriteString(strings.Repeat("x", max(0, heldBytes-seen.Len())))
	case "/none", "/unchanged", "/unchanged/typed", "/empty", "/unread/none":
		if strings.HasSuffix(r.URL.Path, "/typed") {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(map[string]int{"/none": 204, "/unchanged": 304, "/unchanged/typed": 304, "/empty": 200, "/unread/none": 401}[r.URL.Path])
		return
	case "/odd":
		w.WriteHeader(599)
	case "/twice":
		w.WriteHeader(201)
		w.Header().Set("Late", "1")
		w.WriteHeader(202)
	case "/flush":
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
	case "/abort":
		panic(http.ErrAbortHandler)
	case "/unread/now": // a client may still be sending
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_, _ = io.WriteString(w, "too much")
		_ = control.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	if r.URL.Path == "/pieces" {
		for b := range slices.Chunk(seen.Bytes(), 7) {
			_, _ = w.Write(b)
		}
		return
	}
	_, _ = w.Write(seen.Bytes())
}

// script is a connection that a client has written these segments to, and then closed.
type script struct {
	mu       sync.Mutex
	segments [][]byte
	written  bytes.Buffer
	closed   chan struct{}
	once     sync.Once
}

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.segments) > 0 && len(s.segments[0]) == 0 {
		s.segments = s.segments[1:]
	}
	if len(s.segments) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.segments[0])
	s.segments[0] = s.segments[0][n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	default:
		return s.written.Write(p)
	}
}
func (s *script) Close() error                     { s.once.Do(func() { close(s.closed) }); return nil }
func (s *script) LocalAddr() net.Addr              { return scripted{} }
func (s *script) RemoteAddr() net.Addr             { return scripted{} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

type scripted struct{}

func (scripted) Network() string { return "script" }
func (scripted) String() string  { return "script" }

// scripts is a listener that accepts what is played.
type scripts chan net.Conn

func (l scripts) Accept() (net.Conn, error) {
	if conn, ok := <-l; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (l scripts) Close() error   { return nil }
func (l scripts) Addr() net.Addr { return scripted{} }

// play plays segments to a server and returns all that it answers until it closes.
func (l scripts) play(segments ...[]byte) string {
	conn := &script{closed: make(chan struct{})}
	for _, segment := range segments {
		conn.segments = append(conn.segments, bytes.Clone(segment))
	}
	l <- conn
	<-conn.closed
	return conn.written.String()
}

var silent = log.New(io.Discard, "", 0)

// newPair serves tell by net/http alone, and behind a Server, within a bubble of synctest:
// net/http waits a while before it closes on some.
func newPair(t *testing.T) (whole, plain scripts) {
	whole, plain = make(scripts), make(scripts)
	of := func() *http.Server {
		return &http.Server{Handler: http.HandlerFunc(tell), ErrorLog: silent, MaxHeaderBytes: 16 << 10}
	}
	alone, front := of(), NewServer(of())
	var serving sync.WaitGroup
	serving.Go(func() { _ = alone.Serve(whole) })
	serving.Go(func() { _ = front.Serve(plain) })
	t.Cleanup(func() {
		close(whole)
		close(plain)
		if err := errors.Join(alone.Close(), front.Close()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return whole, plain
}

// answersOf takes what a server sent apart, for the order of headers and the cuts
// between chunks may differ.
func answersOf(sent string) (answers []string) {
	from := bufio.NewReader(strings.NewReader(sent))
	for {
		if _, err := from.Peek(1); err != nil {
			return answers
		}
		r, err := http.ReadResponse(from, nil)
		if err != nil {
			return append(answers, "no answer: "+err.Error())
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		dates := len(r.Header.Values("Date"))
		r.Header.Del("Date")
		answers = append(answers, fmt.Sprintf("%s %s %q, %d dates, length %d %v, close %v\n%s%v", r.Proto, r.Status, r.Header, dates,
			r.ContentLength, r.TransferEncoding, r.Close, body, err))
	}
}

func same(t *testing.T, whole, plain scripts, segments ...[]byte) {
	t.Helper()
	want, got := answersOf(whole.play(segments...)), answersOf(plain.play(segments...))
	if last := len(got) - 1; last == len(want) && strings.HasPrefix(got[last], "HTTP/1.1 400 ") { // net/http does not answer an end within four bytes
		got = got[:last]
	}
	if last := len(want) - 1; last >= 0 && last == len(got)-1 { // net/http does not always say that it is going to close
		want[last] = strings.Replace(want[last], ", close false\n", ", close true\n", 1)
		got[last] = strings.Replace(got[last], ", close false\n", ", close true\n", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%.200q: (-net/http +Server)\n%s", segments, diff)
	}
}

const headOf = "POST /typed HTTP/1.1\r\nHost: playhead\r\nContent-Length: 2\r\n"

// requests are whole, plain ones and others.
var requests = func() []string {
	list := []string{
		"GET / HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET /v1/accounts/7/sessions?consistency=stale&limit=3 HTTP/1.1\r\nHost: 127.0.0.1:80\r\naccept: */*\r\nUser-Agent:x\r\n\r\n",
		"DELETE /none HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"PUT /a HTTP/1.1\r\nHost: playhead\r\nContent-Length: 0\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: playhead\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"CONNECT a:1 HTTP/1.1\r\nHost: playhead\r\n\r\n", "get / HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: playhead\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: playhead\r\n\r\n", "GET /\r\nHost: playhead\r\n\r\n", "GET  / HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: playhead\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\nHost: playhead\n\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nA: b\n c\r\n\r\n", "GET / HTTP/1.1\r\nHost: playhead\r\nA: b\r\n c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\nHost: playhead\r\n: b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nA: b\x00\r\n\r\n", "GET / HTTP/1.1\r\nHost: playhead\r\nA: \xc3\xa9\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nA: b\rc\r\n\r\n", "\r\nGET / HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\na: 1\r\nA: 2\r\nx-y-z: 3\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nPragma: no-cache\r\n\r\n", "GET / HTTP/1.1\r\nHost: playhead\r\nCookie: a=b; c\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nHost: playhead\r\nConnection: Keep-Alive\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
		"GET /a%20b HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET /a%zz HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET //a/b HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET http://a/b HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET /a? HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET /a?b?c HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET /a?b#c HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET /a?%zz HTTP/1.1\r\nHost: playhead\r\n\r\n",
		"GET /../a/./b HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET /a;b=(c) HTTP/1.1\r\nHost: playhead\r\n\r\n", "GET a HTTP/1.1\r\nHost: playhead\r\n\r\n",
		headOf + "\r\nok", headOf + "\r\nok\r\n", headOf + "Content-Length: 2\r\n\r\nok", headOf + "Content-Length: 3\r\n\r\nok", headOf + "\r\no",
		headOf + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", headOf + "Expect: 100-continue\r\n\r\nok", headOf + "Trailer: a\r\n\r\nok",
		"POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: +2\r\n\r\nok", "POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: 2,2\r\n\r\nok",
		"POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: -2\r\n\r\nok", "POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length:\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: 0x2\r\n\r\nok", "POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: 99999999999\r\n\r\nok",
		"POST / HTTP/1.1\r\nHost: playhead\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: playhead\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nA: " + strings.Repeat("a", 5000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: playhead\r\nA: " + strings.Repeat("a", 25_000) + "\r\n\r\n",
		fmt.Sprintf("POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: %d\r\n\r\n%s", 10_000, strings.Repeat("b", 10_000)),
		fmt.Sprintf("POST / HTTP/1.1\r\nHost: playhead\r\nContent-Length: %d\r\n\r\n%s", plainBodyBytes+1, strings.Repeat("b", plainBodyBytes+1)),
	}
	for _, path := range []string{
		"/length", "/short", "/over", "/typed", "/split", "/close", "/long", "/edge", "/none", "/unchanged", "/empty", "/odd",
		"/twice", "/flush", "/abort", "/pieces", "/html", "/back", "/lowstatus", "/unchanged/typed", "/unread", "/unread/none", "/unread/now",
	} {
		list = append(list, "GET "+path+" HTTP/1.1\r\nHost: playhead\r\n\r\n",
			"POST "+path+" HTTP/1.1\r\nHost: playhead\r\nContent-Length: 5000\r\n\r\n"+strings.Repeat("b", 5000))
	}
	return list
}()

const another = "GET /typed?another HTTP/1.1\r\nHost: playhead\r\n\r\n"

// TestServerAnswersAsNetHTTP: alone, after and before another request, and whatever
// comes at once.
func TestServerAnswersAsNetHTTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		whole, plain := newPair(t)
		for _, request := range requests {
			one := []byte(request)
			same(t, whole, plain, one)
			same(t, whole, plain, []byte(another), one, []byte(another))
			same(t, whole, plain, []byte(another+request+another))
			for _, cut := range []int{1, len(one) / 2, len(one) - 1} {
				same(t, whole, plain, one[:cut], one[cut:], []byte(another))
			}
		}
	})
}

// FuzzServer: whatever is sent, Server answers what net/http answers.
func FuzzServer(f *testing.F) {
	for _, request := range requests {
		f.Add([]byte(request+another), uint16(len(request)))
	}
	f.Fuzz(func(t *testing.T, sent []byte, cut uint16) {
		synctest.Test(t, func(t *testing.T) {
			whole, plain := newPair(t)
			at := min(int(cut), len(sent))
			same(t, whole, plain, sent[:at], sent[at:])
		})
	})
}

// TestPlainRequestsArePlain: what clients send is not passed on to net/http.
func TestPlainRequestsArePlain(t *testing.T) {
	t.Parallel()
	head := requestHead{header: http.Header{}}
	for _, request := range []string{
		string(get("/v1/accounts/12345/profiles/1/positions/99?consistency=linearizable")),
		string(post([]byte(`[{"seq":1}]`))),
		"GET /readyz HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n",
		"POST /v1/events HTTP/1.1\r\nHost: [::1]:8080\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 2\r\n" +
			"Authorization: Bearer abc.def-_\r\nContent-Type: application/x-ndjson\r\nAccept-Encoding: gzip\r\n\r\n[]",
	} {
		if _, plain := head.parse([]byte(request)); !plain {
			t.Errorf("%q is not plain", request)
		}
	}
}

// serve serves a handler on loopback until the test ends.
func serve(t testing.TB, whole *http.Server) (server *Server, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server = NewServer(whole)
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return server, l.Addr().String()
}

func dialTCP(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// wantEnd reads to the end of a connection.
func wantEnd(t testing.TB, what string, conn net.Conn) (sent string) {
	t.Helper()
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return string(b)
}

// TestServerTimeOuts: a connection ends that says nothing at first, nothing more, half of
// a head, half of a body, or takes no answer.
func TestServerTimeOuts(t *testing.T) {
	t.Parallel()
	const brief = 500 * time.Millisecond // a busy server must have read half a body by then
	failed := make(chan error, 1)
	_, address := serve(t, &http.Server{
		ReadHeaderTimeout: brief, ReadTimeout: brief, IdleTimeout: brief, WriteTimeout: 4 * brief, ErrorLog: silent,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			for n := 0; err == nil && r.URL.Path == "/endless" && n < 1<<30; n += sendBytes {
				_, err = w.Write(make([]byte, sendBytes))
			}
			if err != nil {
				failed <- err
			}
		}),
	})
	for what, text := range map[string]string{
		"silent": "", "half a head": "GET / HT", "idle": string(get("/")), "half a body": headOf + "\r\no",
	} {
		conn := dialTCP(t, address)
		send(t, conn, text)
		sent := wantEnd(t, what, conn)
		if answered := strings.HasPrefix(sent, "HTTP/1.1 200 OK\r\n"); answered != (what == "idle" || what == "half a body") {
			t.Errorf("%s: answered %q", what, sent)
		}
	}
	if err := <-failed; !isTimeout(err) {
		t.Errorf("half a body: %v", err)
	}
	send(t, dialTCP(t, address), string(get("/endless")))
	if err := <-failed; !isTimeout(err) {
		t.Errorf("an answer that nobody takes: %v", err)
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestServerShutdown: idle connections end, what is under way is answered, plain or not.
func TestServerShutdown(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	server, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			begun <- struct{}{}
			<-release
		}
	})})
	idle, silentConn, plain, other := dialTCP(t, address), dialTCP(t, address), dialTCP(t, address), dialTCP(t, address)
	send(t, idle, string(get("/")))
	answer, err := http.ReadResponse(bufio.NewReader(idle), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	send(t, plain, string(get("/wait")))
	send(t, other, "POST /wait HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	<-begun
	<-begun
	early, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Shutdown(early); !errors.Is(err, context.Canceled) {
		t.Errorf("with requests under way: %v", err)
	}
	wantEnd(t, "idle", idle)
	wantEnd(t, "silent", silentConn)
	done := make(chan error)
	go func() { done <- server.Shutdown(t.Context()) }()
	close(release)
	for what, conn := range map[string]net.Conn{"plain": plain, "not plain": other} {
		if sent := wantEnd(t, what, conn); !strings.HasPrefix(sent, "HTTP/1.1 200 OK\r\n") || !strings.Contains(sent, "Connection: close\r\n") {
			t.Errorf("%s: answered %q", what, sent)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("a server that was shut down still listens")
	}
}

// lines are what is logged.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

// TestAnAnswerThatIsCutIsTheLast: what a client was not sent is not followed by another
// answer, which would stand in its middle.
func TestAnAnswerThatIsCutIsTheLast(t *testing.T) {
	t.Parallel()
	const brief = 100 * time.Millisecond
	cut := make(chan error, 1)
	_, address := serve(t, &http.Server{WriteTimeout: brief, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/long" {
			_, _ = io.WriteString(w, "another answer")
			return
		}
		const length = 32 << 20
		w.Header().Set("Content-Length", strconv.Itoa(length))
		_, err := w.Write(make([]byte, length))
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
		_, again := w.Write(nil)
		cut <- errors.Join(err, again)
	})})
	conn := dialTCP(t, address)
	send(t, conn, string(get("/long"))+string(get("/another")))
	if err := <-cut; !isTimeout(err) {
		t.Fatalf("an answer that is not read: %v", err)
	}
	if sent := wantEnd(t, "cut", conn); strings.Contains(sent, "another answer") {
		t.Error("the next answer stands in the middle of the one that was cut")
	}
}

// TestEarlyAnswerIsRead: also by a client that has not sent all, of what net/http answers.
func TestEarlyAnswerIsRead(t *testing.T) {
	t.Parallel()
	_, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})})
	conn := dialTCP(t, address)
	send(t, conn, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", 8<<20, strings.Repeat("b", 300<<10)))
	if sent := wantEnd(t, "early", conn); !strings.HasPrefix(sent, "HTTP/1.1 413 ") {
		t.Errorf("answered %q", sent)
	}
}

// TestNoLengthIsNone: a handler may say that it tells no length.
func TestNoLengthIsNone(t *testing.T) {
	t.Parallel()
	_, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Length"] = nil
	})})
	if a, err := dial(t, address, 0).Do(get("/"), time.Now().Add(soon)); err != nil || a.Status != 200 || len(a.Body) != 0 {
		t.Errorf("%v, %v", a, err)
	}
}

// TestCloseEndsWaiting: what a handler waits for ends with the server.
func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan struct{})
	server, address := serve(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(ended)
	})})
	send(t, dialTCP(t, address), string(get("/")))
	<-begun
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}

// TestConnectionsOutliveTheirListener: they are answered on, plain or not.
func TestConnectionsOutliveTheirListener(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(&http.Server{Handler: http.HandlerFunc(ping)})
	served := make(chan error)
	go func() { served <- server.Serve(l) }()
	conn := dialTCP(t, l.Addr().String())
	answers := bufio.NewReader(conn)
	for i, text := range []string{string(get("/")), string(get("/")), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		if i == 1 {
			_ = l.Close()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve: %v", err)
			}
		}
		send(t, conn, text)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if body, err := io.ReadAll(answer.Body); string(body) != string(pong) || err != nil {
			t.Errorf("%q: answered %q, %v", text, body, err)
		}
		_ = answer.Body.Close()
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

// TestNothingIsTimedBetweenAnswersOverTLS: there it answers for itself now and then, and
// an old deadline would be the end of the connection.
func TestNothingIsTimedBetweenAnswersOverTLS(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{true, false} {
		inner, client := net.Pipe()
		conn := &timed{Conn: inner}
		server := NewServer(&http.Server{ReadHeaderTimeout: time.Minute, WriteTimeout: time.Minute, Handler: http.HandlerFunc(ping)})
		c := newServerConn(t.Context(), server, conn)
		c.quiet = quiet
		go c.serve()
		for range 2 {
			send(t, client, string(get("/")))
			answer, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
		_ = client.Close()
		<-c.request.Context().Done()
		if got := conn.cleared.Load(); (got == 2) == quiet {
			t.Errorf("quiet %v: the deadline was cleared %d times in two answers", quiet, got)
		}
	}
}

// timed counts how often its write deadline is taken away.
type timed struct {
	net.Conn
	cleared atomic.Int32
}

func (c *timed) SetWriteDeadline(deadline time.Time) error {
	if deadline.IsZero() {
		c.cleared.Add(1)
	}
	return c.Conn.SetWriteDeadline(deadline)
}

// TestServerSurvivesAPanic: the connection ends, others go on, and it is logged.
func TestServerSurvivesAPanic(t *testing.T) {
	t.Parallel()
	logged := make(lines, 1)
	_, address := serve(t, &http.Server{ErrorLog: log.New(logged, "", 0), Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("on purpose")
		}
	})})
	conn := dialTCP(t, address)
	send(t, conn, string(get("/panic")))
	sent, said := wantEnd(t, "panic", conn), <-logged
	if sent != "" || !strings.Contains(said, "on purpose") || !strings.Contains(said, "server_test.go") {
		t.Errorf("answered %q, logged %q", sent, said)
	}
	if a, err := dial(t, address, 0).Do(get("/"), time.Now().Add(soon)); err != nil || a.Status != 200 {
		t.Errorf("another: %v, %v", a, err)
	}
}

// TestServerOverTLS: plain requests and others, and a client that speaks in the clear.
func TestServerOverTLS(t *testing.T) {
	t.Parallel()
	behind := httptest.NewUnstartedServer(http.NotFoundHandler())
	behind.StartTLS() // for its certificate and a client that knows it
	t.Cleanup(behind.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(&http.Server{ErrorLog: silent, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS != nil, r.ContentLength)
	})})
	served := make(chan error)
	go func() { served <- server.Serve(tls.NewListener(l, behind.TLS)) }()
	for _, c := range []struct {
		body io.Reader
		want string
	}{
		{nil, "true 0"}, {strings.NewReader("body"), "true 4"}, {io.MultiReader(strings.NewReader("chunked")), "false -1"},
	} {
		r, err := behind.Client().Post("https://"+l.Addr().String()+"/", "text/plain", c.body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r.Body); string(got) != c.want || err != nil {
			t.Errorf("answered %q, %v, want %q", got, err, c.want)
		}
		_ = r.Body.Close()
	}
	conn := dialTCP(t, l.Addr().String())
	send(t, conn, string(get("/")))
	if sent := wantEnd(t, "in the clear", conn); !strings.Contains(sent, "HTTP request to an HTTPS server") {
		t.Errorf("in the clear: answered %q", sent)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// TestHeadAllocates no more than the text of a request's head.
func TestHeadAllocates(t *testing.T) {
	head := requestHead{header: http.Header{}}
	request := post(benchBody)
	if n := testing.AllocsPerRun(2000, func() {
		var r http.Request
		if _, plain := head.parse(request); !plain {
			t.Fatal("not plain")
		}
		head.fill(&r)
	}); n > 1 {
		t.Errorf("%v allocations a request, want 1", n)
	}
}

var (
	pong        = []byte(`{"outcomes":[{"status":"accepted"}]}`)
	jsonContent = []string{"application/json"}
)

func ping(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header()["Content-Type"] = jsonContent
	_, _ = w.Write(pong)
}
