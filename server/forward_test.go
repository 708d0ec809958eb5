package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/raft"
	"github.com/playhead-load/playhead/raft/rafttest"
)

// fakeLeader answers every request with the same bytes, and counts connections.
type fakeLeader struct {
	net.Listener
	opened atomic.Int64
}

func startFakeLeader(t *testing.T, answer string, closes bool) *fakeLeader {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	l := &fakeLeader{Listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.opened.Add(1)
			go func() {
				defer conn.Close()
				for in := bufio.NewReader(conn); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					if _, err := io.WriteString(conn, answer); err != nil || closes {
						return
					}
				}
			}()
		}
	}()
	return l
}

// peer is the leader as another node knows it.
func (l *fakeLeader) peer() raft.Peer {
	return raft.Peer{NodeID: "leader", RaftAddress: l.Addr().String()}
}

// fakePeers says who leads, and dials by dial.
type fakePeers struct {
	dial func(context.Context, raft.Peer) (net.Conn, error)

	mu      sync.Mutex
	leader  raft.Peer
	changed chan struct{}
}

func (p *fakePeers) KnownLeader() (raft.Peer, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader, p.changed
}

func (p *fakePeers) DialPeer(ctx context.Context, to raft.Peer) (net.Conn, error) {
	return p.dial(ctx, to)
}

func dialPlainly(ctx context.Context, to raft.Peer) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", to.RaftAddress)
}

// elect makes a leader known, or nil unknown.
func (p *fakePeers) elect(leader *fakeLeader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leader = raft.Peer{}
	if leader != nil {
		p.leader = leader.peer()
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

func startForwarder(t *testing.T, leader *fakeLeader) (*forwarder, *fakePeers) {
	t.Helper()
	peers := &fakePeers{dial: dialPlainly, leader: leader.peer(), changed: make(chan struct{})}
	f := newForwarder(peers, slog.New(slog.DiscardHandler))
	t.Cleanup(f.close)
	return f, peers
}

// pass passes a small request on that has all the time it wants.
func pass(t *testing.T, f *forwarder, method string) (*httptest.ResponseRecorder, bool, error) {
	t.Helper()
	w, err := f.await(t.Context())
	if err != nil {
		return nil, false, err
	}
	return passBy(t, f, w, method)
}

// passBy begins with a way that was found before.
func passBy(t *testing.T, f *forwarder, w *way, method string) (*httptest.ResponseRecorder, bool, error) {
	t.Helper()
	recorder := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequest(method, "/v1/events", nil), recorder)
	request := http1.AppendBody(http1.AppendHead(nil, method, "/v1/events", "leader"), []byte("[]"))
	err := f.pass(t.Context(), c, w, request, time.Now().Add(time.Hour))
	return recorder, c.Response().Committed, err
}

// idleLinks are those to the leader, and busyLinks all that have a request under way.
func (f *forwarder) idleLinks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to == nil {
		return 0
	}
	return len(f.to.idle)
}

func (f *forwarder) busyLinks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.busy)
}

const goodAnswer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nPlayhead-Index: 12\r\nSet-Cookie: a=b\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nno"

func TestForwardedAnswerAndConnection(t *testing.T) {
	t.Parallel()
	leader := startFakeLeader(t, goodAnswer, false)
	f, peers := startForwarder(t, leader)
	for range 5 {
		got, _, err := pass(t, f, http.MethodPost)
		if err != nil {
			t.Fatal(err)
		}
		h := got.Header()
		if got.Code != http.StatusTooManyRequests || got.Body.String() != "no" || h.Get("Retry-After") != "7" ||
			h.Get(headerIndex) != "12" || h.Get("Content-Type") != "text/x" || h.Get("Set-Cookie") != "" {
			t.Errorf("passed back %d %v %s", got.Code, h, got.Body)
		}
	}
	if n := leader.opened.Load(); n != 1 || f.idleLinks() != 1 {
		t.Errorf("%d connections for one request after another, %d are kept", n, f.idleLinks())
	}
	// A leader that is not known any more may only be late.
	old := f.to
	peers.elect(nil)
	if w, _, err := f.current(); w != nil || err != nil || f.idleLinks() != 1 {
		t.Errorf("%v, %v, %d connections are kept", w, err, f.idleLinks())
	}
	// To another leader: what leads elsewhere is closed, without a request that asks for it.
	idle := old.idle[0]
	other := startFakeLeader(t, goodAnswer, false)
	peers.elect(other)
	rafttest.Eventually(t, "idle connections are closed", func() bool { return f.idleLinks() == 0 && idle.Close() != nil })
	if _, _, err := pass(t, f, http.MethodPost); err != nil || other.opened.Load() != 1 || leader.opened.Load() != 1 {
		t.Errorf("%v, %d connections", err, other.opened.Load())
	}
}

// TestIdleConnectionThatEnded: the leader closed it meanwhile, and no request is
// lost to that.
func TestIdleConnectionThatEnded(t *testing.T) {
	t.Parallel()
	f, _ := startForwarder(t, startFakeLeader(t, goodAnswer, true)) // closes without having said so
	for i := range 3 {
		if _, _, err := pass(t, f, http.MethodPost); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		rafttest.Eventually(t, "the connection ends", func() bool { return !f.to.idle[0].Quiet() })
		f.to.idle[0].since = time.Now().Add(-2 * forwardLook)
	}
	f.to.idle[0].since = time.Now().Add(-2 * forwardIdle)
	if l, _, err := f.takeIdle(f.to, time.Now()); l != nil || err != nil || f.idleLinks() > 0 {
		t.Errorf("%v, %v: idle for too long, and it is used", l, err)
	}
}

// TestLeaderFallsSilentInItsAnswer: half an answer of the leader is no answer.
func TestLeaderFallsSilentInItsAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"body":    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"outcomes\":[",
		"chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"head":    "HTTP/1.1 200 OK\r\nConte",
		"nothing": "",
		"garbage": "who is there?\r\n\r\n",
	} {
		for method, want := range map[string]string{http.MethodPost: "may have been done: repeat it", http.MethodGet: "the read: repeat it"} {
			f, _ := startForwarder(t, startFakeLeader(t, answer, true))
			recorder, committed, err := pass(t, f, method)
			if err == nil || committed {
				t.Errorf("%s: error %v, and %q was sent", name, err, recorder.Body)
				continue
			}
			wantLater(t, err, want)
			if f.idleLinks()+f.busyLinks() > 0 {
				t.Errorf("%s: the connection is kept", name)
			}
		}
	}
}

// wantLater wants an error told as 503 with Retry-After and with these words.
func wantLater(t *testing.T, err error, words string) {
	t.Helper()
	if p := problemOf(err); p.Status != http.StatusServiceUnavailable || p.retryAfterS == 0 || !strings.Contains(p.Detail, words) {
		t.Errorf("%v is told as %+v, want %q", err, p, words)
	}
}

// TestForwarderCloses: what is under way ends, and nothing begins any more.
func TestForwarderCloses(t *testing.T) {
	t.Parallel()
	f, _ := startForwarder(t, startFakeLeader(t, "", false))
	ended := make(chan error, 1)
	go func() { _, _, err := pass(t, f, http.MethodPost); ended <- err }()
	rafttest.Eventually(t, "it is passed on", func() bool { return f.busyLinks() == 1 })
	f.close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if _, _, err := pass(t, f, http.MethodPost); !errors.Is(err, errShuttingDown) {
		t.Errorf("after the end: %v", err)
	}
	if f.idleLinks()+f.busyLinks() > 0 {
		t.Error("connections are kept")
	}
}

// TestLeaderLost: a leader takes requests and does not answer, then takes no connection
// either. Once another leads, and without a further request, what the one was sent ends
// and what it was not sent is answered by the other.
func TestLeaderLost(t *testing.T) {
	t.Parallel()
	const sent, unsent = forwardDials + 1, 4 * forwardDials
	silent, good := startFakeLeader(t, "", false), startFakeLeader(t, goodAnswer, false)
	f, peers := startForwarder(t, silent)
	lost, _, err := f.current()
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	ask := func(check func(error)) { // who leads was looked up before
		asking.Go(func() {
			_, _, err := passBy(t, f, lost, http.MethodPost)
			check(err)
		})
	}
	for range sent {
		ask(func(err error) {
			if !errors.Is(err, errOtherLeads) {
				t.Errorf("sent, and ended with %v", err)
			}
			wantLater(t, err, "repeat it")
		})
	}
	rafttest.Eventually(t, "requests are sent", func() bool { return f.busyLinks() == sent })
	peers.dial = func(ctx context.Context, to raft.Peer) (net.Conn, error) {
		if to != silent.peer() {
			return dialPlainly(ctx, to)
		}
		<-lost.ctx.Done()                   // packets vanish, and it takes longer than the test to tell
		return nil, context.Cause(lost.ctx) // its own ends a moment later
	}
	for range unsent {
		ask(func(err error) {
			if err != nil {
				t.Errorf("not sent, and ended with %v", err)
			}
		})
	}
	rafttest.Eventually(t, "all that may be opened are", func() bool { return len(lost.dialing) == forwardDials })
	peers.elect(good)
	ended := make(chan struct{})
	go func() { asking.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(within):
		t.Fatalf("%d requests still wait for the leader of before", f.busyLinks()+len(lost.dialing))
	}
	if f.busyLinks() > 0 || good.opened.Load() == 0 {
		t.Errorf("%d connections are busy, %d were opened", f.busyLinks(), good.opened.Load())
	}
}

// TestPassingOnIsRefused: why stands in the log once, and nothing was done.
func TestPassingOnIsRefused(t *testing.T) {
	t.Parallel()
	leader := startFakeLeader(t, goodAnswer, false)
	var told bytes.Buffer
	refuse := func(context.Context, raft.Peer) (net.Conn, error) { return nil, errors.New("refused on purpose") }
	peers := &fakePeers{dial: refuse, leader: leader.peer(), changed: make(chan struct{})}
	f := newForwarder(peers, slog.New(slog.NewTextHandler(&told, nil)))
	defer f.close()
	lines := func() int {
		return strings.Count(told.String(), `level=WARN msg="a request could not be passed on to the leader" leader_id=leader raft_address=`+
			leader.Addr().String()+` error="refused on purpose"`)
	}
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		_, _, err := pass(t, f, method)
		wantLater(t, err, "the leader cannot be reached; nothing was done")
	}
	if lines() != 1 {
		t.Errorf("the log has not one line of it:\n%s", &told)
	}
	f.to.warned = time.Now().Add(-forwardWarnEvery)
	if _, _, err := pass(t, f, http.MethodPost); err == nil || lines() != 2 {
		t.Errorf("%v, and after a while the log has not another line:\n%s", err, &told)
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	const least = 50 * time.Millisecond
	p := newPatience(least)
	begun := time.Now()
	first := p.context()
	if p.context() != first {
		t.Error("two contexts within a step")
	}
	deadline, ok := first.Deadline()
	if wait := deadline.Sub(begun); !ok || wait < least+patienceStep || wait > least+patienceStep+within {
		t.Errorf("it ends after %v", wait)
	}
	p.current.Load().until = time.Now() // the step is over
	if next := p.context(); next == first {
		t.Error("one context for all time")
	}
	<-first.Done()
	if !errors.Is(first.Err(), context.DeadlineExceeded) {
		t.Error(first.Err())
	}
	p.cut()
	if !errors.Is(p.context().Err(), context.Canceled) {
		t.Error("cut, and it goes on")
	}
}
