package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/playhead-load/playhead/raft/rafttest"
	"github.com/playhead-load/playhead/viewing/wire"
)

// brief is a time-out that a test waits for.
const brief = 200 * time.Millisecond

// startChanged is a cluster of one whose limits were changed before it served.
func startChanged(t testing.TB, change func(*Server)) *testNode {
	t.Helper()
	cfg := testConfig(t.TempDir())
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	n := serveNode(t, s, cfg)
	n.waitReady(t)
	return n
}

// dial opens a connection that ends with the test.
func (n *testNode) dial(t testing.TB) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", n.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func write(t testing.TB, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// answerOf reads one answer.
func answerOf(t testing.TB, conn net.Conn) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.Close {
		response.Header.Set("Connection", "close") // which net/http takes out
	}
	return answer{response.StatusCode, response.Header, body}
}

// wantEnd wants the node to close the connection, whatever it says before.
func wantEnd(t testing.TB, what string, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); os.IsTimeout(err) {
		t.Errorf("%s: the connection is still open", what)
	}
}

// wantRefused wants 429, and to be told when to come again.
func wantRefused(t testing.TB, a answer) {
	t.Helper()
	a.wantProblem(t, http.StatusTooManyRequests, "")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

const eventsHead = "POST /v1/events HTTP/1.1\r\nHost: playhead\r\nContent-Length: %d\r\n\r\n"

// TestSlowBodies: bodies that do not come hold up nobody, though all of them
// together say that they will take far more memory than there is.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	const slow = 600
	if slow*maxBodyBytes <= 2*maxBodiesBytes || slow*trustedBytes >= maxBodiesBytes {
		t.Fatal("these bodies would be too few, or too many")
	}
	n := startSingle(t)
	for range slow {
		write(t, n.dial(t), fmt.Sprintf(eventsHead+"[", maxBodyBytes))
	}
	rafttest.Eventually(t, "all are under way", func() bool { return len(n.inFlight) == slow })
	n.tell(t, newEvent(1, 1, "start"))
	n.tell(t, newEvent(2, 1, "start").with("device_type", strings.Repeat("t", 64)))
	n.get(t, sessionsPath(42)+"/"+sessionID(1)).want(t, http.StatusOK)
	if len(n.inFlight) != slow {
		t.Errorf("%d of %d slow bodies were there all the time", len(n.inFlight), slow)
	}
}

// TestSlowBodyIsCut: a body that stops coming is answered 408 and gives back what it
// held.
func TestSlowBodyIsCut(t *testing.T) {
	t.Parallel()
	n := startChanged(t, func(s *Server) { s.http.ReadTimeout = brief })
	for _, part := range []string{"", "[", "[" + strings.Repeat(" ", 50_000)} {
		conn := n.dial(t)
		write(t, conn, fmt.Sprintf(eventsHead, 100_000)+part)
		a := answerOf(t, conn)
		a.wantProblem(t, http.StatusRequestTimeout, "")
		if a.header.Get("Connection") != "close" {
			t.Error("the connection is to go on with the rest of the body")
		}
		wantEnd(t, "slow body", conn)
	}
	rafttest.Eventually(t, "what was taken is given back", func() bool {
		return isFree(n.bodies, maxBodiesBytes) && isFree(n.writes, maxWritesBytes)
	})
}

// TestSlowAnswers: a client that does not read its answer takes no turn from others.
func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	n := startChanged(t, func(s *Server) {
		for i := range s.open {
			s.open[i].listener = narrow{s.open[i].listener}
		}
	})
	body := "[" + strings.Repeat("{},", wire.MaxEvents-1) + "{}"
	body += strings.Repeat(" ", maxBodyBytes-1-len(body)) + "]"
	const slow = maxWritesBytes / maxBodyBytes
	for range slow {
		conn := n.dial(t)
		if err := conn.SetReadBuffer(1); err != nil { // the least that the system has
			t.Fatal(err)
		}
		write(t, conn, fmt.Sprintf(eventsHead, len(body))+body)
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.inFlight) != slow {
		t.Fatalf("%d of %d answers are being written", len(n.inFlight), slow)
	}
	if !isFree(n.writes, maxWritesBytes) {
		t.Error("they hold up other writes")
	}
}

// narrow is a listener whose connections take little: the system keeps no whole answer.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if client, ok := conn.(*clientConn); ok {
		err = errors.Join(err, client.SetWriteBuffer(1))
	}
	return conn, err
}

func isFree(s *semaphore.Weighted, whole int64) bool {
	if !s.TryAcquire(whole) {
		return false
	}
	s.Release(whole)
	return true
}

// TestFullQueue: while what is decided is all that may, a write waits for its turn
// before it is decoded, is refused when that does not come, and decided when it does.
// Reads are answered.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	const waiting, left = 20, 3 * leastWriteBytes / 2
	n := startChanged(t, func(s *Server) { s.turns = newPatience(brief) })
	if !n.writes.TryAcquire(maxWritesBytes - left) {
		t.Fatal("writes are under way, and nobody writes")
	}
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", "[{}]"), "rejected") // there is room for it
	malformed := `[{"seq":"bad"` + strings.Repeat(" ", left)
	wantRefused(t, n.send(t, http.MethodPost, "/v1/events", malformed)) // decoded it would be 400
	wantRefused(t, n.send(t, http.MethodPost, sessionsPath(42), malformed))
	wantRefused(t, n.send(t, http.MethodPut, "/v1/accounts/42", malformed))
	n.get(t, sessionsPath(42)).want(t, http.StatusOK)
	n.get(t, "/v1/cluster").want(t, http.StatusOK)
	if told := n.get(t, "/metrics"); !strings.Contains(string(told.body), `playhead_http_refused_total{reason="writes"} 3`) {
		t.Error("the refusals are not counted")
	}

	n.turns = newPatience(within) // nobody waits now
	conns := make([]net.Conn, waiting)
	for i := range conns {
		conns[i] = n.dial(t)
		write(t, conns[i], fmt.Sprintf(eventsHead+malformed, len(malformed)))
	}
	rafttest.Eventually(t, "all wait", func() bool { return len(n.inFlight) == waiting })
	n.writes.Release(maxWritesBytes - left)
	for _, conn := range conns {
		answerOf(t, conn).wantProblem(t, http.StatusBadRequest, "")
	}
	rafttest.Eventually(t, "all is given back", func() bool { return isFree(n.writes, maxWritesBytes) })
}

// TestNothingIsRefusedAfterItWasDecoded: what has its turn finds room in the log's
// queue.
func TestNothingIsRefusedAfterItWasDecoded(t *testing.T) {
	limits := startSingle(t).node.BatchLimits()
	if maxWritesBytes > limits.QueueBytes || maxWritesBytes/leastWriteBytes > limits.Queue {
		t.Errorf("%d bytes of writes are decided at once, the log takes %+v", maxWritesBytes, limits)
	}
}

// TestSlowHeaders: many that never end their headers hold up nobody, and are cut.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	const slow = 300
	n := startChanged(t, func(s *Server) { s.http.ReadHeaderTimeout = brief })
	conns := make([]net.Conn, slow)
	for i := range conns {
		conns[i] = n.dial(t)
		write(t, conns[i], "POST /v1/events HTTP/1.1\r\nHost: playhead\r\nX-Slow: 1")
	}
	n.tell(t, newEvent(1, 1, "start"))
	for _, conn := range conns {
		wantEnd(t, "slow headers", conn)
	}
	n.tell(t, newEvent(1, 2, "keepalive"))
}

// TestHalfOpen: connections of which nothing more is heard end, and give back their
// places; what was asked by one who sends no more is answered.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	n := startChanged(t, func(s *Server) {
		s.http.ReadHeaderTimeout, s.http.IdleTimeout, s.http.WriteTimeout = brief, brief, 5*brief
	})
	silent := n.dial(t)
	idle := n.dial(t)
	write(t, idle, "GET /healthz HTTP/1.1\r\nHost: playhead\r\n\r\n")
	closedHalf := n.dial(t)
	write(t, closedHalf, "GET /healthz HTTP/1.1\r\nHost: playhead\r\n\r\n")
	if err := closedHalf.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if a := answerOf(t, closedHalf); a.status != http.StatusOK {
		t.Errorf("half closed: %d %s", a.status, a.body)
	}
	deaf := n.dial(t) // asks, and never takes an answer
	go func() {
		for {
			if _, err := io.WriteString(deaf, "GET /metrics HTTP/1.1\r\nHost: playhead\r\n\r\n"); err != nil {
				return
			}
		}
	}()
	for what, conn := range map[string]net.Conn{"silent": silent, "idle": idle, "half closed": closedHalf} {
		wantEnd(t, what, conn)
	}
	client.CloseIdleConnections()
	rafttest.Eventually(t, "no connection is open", func() bool { return n.listener.open.Load() == 0 })
}

// TestVanishedPeers: the system asks for signs of life of a connection that is silent.
func TestVanishedPeers(t *testing.T) {
	t.Parallel()
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	raw, err := accepted.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for option, want := range map[int]int{
		syscall.TCP_KEEPINTVL: int(keepaliveInterval.Seconds()), syscall.TCP_KEEPCNT: keepaliveCount,
	} {
		var got int
		var optErr error
		if err := raw.Control(func(fd uintptr) { got, optErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option) }); err != nil || optErr != nil || got != want {
			t.Errorf("option %d is %d, want %d: %v %v", option, got, want, err, optErr)
		}
	}
}

// TestConnectionLimit: beyond its connections a node tells new ones to come again,
// and answers those that it has.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	const limit = 8
	n := startChanged(t, func(s *Server) { s.listener.max = limit })
	client.CloseIdleConnections()
	rafttest.Eventually(t, "no connection is open", func() bool { return n.listener.open.Load() == 0 })
	ask := func(conn net.Conn) answer {
		write(t, conn, "GET /v1/cluster HTTP/1.1\r\nHost: playhead\r\n\r\n")
		return answerOf(t, conn)
	}
	var conns []net.Conn
	for range limit {
		conns = append(conns, n.dial(t))
		ask(conns[len(conns)-1]).want(t, http.StatusOK)
	}
	for range 3 * maxTurnedAway { // none of them takes anything away
		conn := n.dial(t)
		write(t, conn, "GET /v1/cluster HTTP/1.1\r\n")
		wantRefused(t, answerOf(t, conn))
		wantEnd(t, "turned away", conn)
		_ = conn.Close()
	}
	for _, conn := range conns {
		ask(conn).want(t, http.StatusOK)
	}
	_ = conns[0].Close()
	rafttest.Eventually(t, "a place is free", func() bool { return n.listener.open.Load() < limit })
	metrics := n.get(t, "/metrics")
	for _, want := range []string{fmt.Sprintf("playhead_http_connections %d\n", limit), fmt.Sprintf("playhead_http_connections_refused_total %d\n", 3*maxTurnedAway)} {
		if !strings.Contains(string(metrics.body), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}

func TestConnectionsOfDescriptors(t *testing.T) {
	for descriptors, want := range map[uint64]int64{
		1 << 62: maxConnections, 20_000: maxConnections, 10_000: 10_000 - reservedDescriptors, 1024: 512,
	} {
		if got := connectionsOf(descriptors); got != want {
			t.Errorf("%d descriptors: %d connections, want %d", descriptors, got, want)
		}
	}
}

// TestFlood: of many batches at once, far more than the node lets in, every one is
// either acknowledged and there, or refused with 429 and nothing of it was done.
func TestFlood(t *testing.T) {
	t.Parallel()
	const clients, batches, perBatch = 64, 6, 50
	n := startChanged(t, func(s *Server) {
		s.writes, s.turns = semaphore.NewWeighted(4*15<<10), newPatience(brief)
	})
	n.views.mu.Lock() // until some were refused nothing is applied
	var refused, acknowledged atomic.Int64
	var done sync.Map // session → whether it was acknowledged
	var flood sync.WaitGroup
	for client := range clients {
		flood.Go(func() {
			for b := range batches {
				session := 1 + client*batches + b
				var events []event
				for seq := range perBatch {
					events = append(events, newEvent(session, seq, "keepalive").with("account_id", 1+client))
				}
				a, err := n.trySend(http.MethodPost, "/v1/events", events)
				switch {
				case err != nil:
					t.Error(err)
				case a.status == http.StatusOK:
					acknowledged.Add(1)
					done.Store(session, true)
				case a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") != "":
					refused.Add(1)
					done.Store(session, false)
				default:
					t.Errorf("answered %d %s", a.status, a.body)
				}
			}
		})
	}
	rafttest.Eventually(t, "some are refused", func() bool { return refused.Load() > clients })
	n.views.mu.Unlock()
	flood.Wait()
	if acknowledged.Load() == 0 || refused.Load() == 0 {
		t.Fatalf("%d acknowledged, %d refused", acknowledged.Load(), refused.Load())
	}
	done.Range(func(session, acknowledged any) bool {
		id := session.(int)
		a := n.get(t, sessionsPath(1+(id-1)/batches)+"/"+sessionID(id))
		if !acknowledged.(bool) {
			a.wantProblem(t, http.StatusNotFound, "")
		} else if got := number(t, a.want(t, http.StatusOK), "events"); got != perBatch {
			t.Errorf("session %d was acknowledged, and has %d events", id, got)
		}
		return true
	})
}
