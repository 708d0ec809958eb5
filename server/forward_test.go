package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

func dialPlainly(ctx context.Context, to raft.Peer) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", to.RaftAddress)
}

// passTo passes a small request on.
func passTo(t *testing.T, f *forwarder, leader *fakeLeader) (*httptest.ResponseRecorder, bool, error) {
	t.Helper()
	recorder := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequest(http.MethodPost, "/v1/events", nil), recorder)
	request := http1.AppendBody(http1.AppendHead(nil, http.MethodPost, "/v1/events", "leader"), []byte("[]"))
	err := f.pass(t.Context(), c, leader.peer(), request, time.Now().Add(within))
	return recorder, c.Response().Committed, err
}

const goodAnswer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nPlayhead-Index: 12\r\nSet-Cookie: a=b\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nno"

func TestForwardedAnswerAndConnection(t *testing.T) {
	t.Parallel()
	leader, f := startFakeLeader(t, goodAnswer, false), newForwarder(dialPlainly)
	defer f.close()
	for range 5 {
		got, _, err := passTo(t, f, leader)
		if err != nil {
			t.Fatal(err)
		}
		h := got.Header()
		if got.Code != http.StatusTooManyRequests || got.Body.String() != "no" || h.Get("Retry-After") != "7" ||
			h.Get(headerIndex) != "12" || h.Get("Content-Type") != "text/x" || h.Get("Set-Cookie") != "" {
			t.Errorf("passed back %d %v %s", got.Code, h, got.Body)
		}
	}
	if n := leader.opened.Load(); n != 1 {
		t.Errorf("%d connections for one request after another", n)
	}
	// To another leader: nothing idle leads there, and what leads elsewhere is closed.
	other := startFakeLeader(t, goodAnswer, false)
	if _, _, err := passTo(t, f, other); err != nil || other.opened.Load() != 1 {
		t.Errorf("%v, %d connections", err, other.opened.Load())
	}
	if len(f.idle) != 1 || f.leader != other.peer() {
		t.Errorf("%d connections are kept, to %v", len(f.idle), f.leader)
	}
}

// TestIdleConnectionThatEnded: the leader closed it meanwhile, and no request is
// lost to that.
func TestIdleConnectionThatEnded(t *testing.T) {
	t.Parallel()
	leader, f := startFakeLeader(t, goodAnswer, true), newForwarder(dialPlainly) // closes without having said so
	defer f.close()
	for i := range 3 {
		if _, _, err := passTo(t, f, leader); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		rafttest.Eventually(t, within, "the connection ends", func() bool { return !f.idle[0].Quiet() })
		f.idle[0].since = time.Now().Add(-2 * forwardLook)
	}
	f.idle[0].since = time.Now().Add(-2 * forwardIdle)
	if l, _, err := f.takeIdle(leader.peer(), time.Now()); l != nil || err != nil || len(f.idle) > 0 {
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
		leader, f := startFakeLeader(t, answer, true), newForwarder(dialPlainly)
		recorder, committed, err := passTo(t, f, leader)
		if err == nil || committed {
			t.Errorf("%s: error %v, and %q was sent", name, err, recorder.Body)
			continue
		}
		if p := problemOf(err); p.Status != http.StatusServiceUnavailable || p.retryAfterS == 0 || !strings.Contains(p.Detail, "repeat it") {
			t.Errorf("%s: told as %+v", name, p)
		}
		if len(f.idle)+len(f.busy) > 0 {
			t.Errorf("%s: the connection is kept", name)
		}
		f.close()
	}
}

// TestForwarderCloses: what is under way ends, and nothing begins any more.
func TestForwarderCloses(t *testing.T) {
	t.Parallel()
	silent, f := startFakeLeader(t, "", false), newForwarder(dialPlainly)
	ended := make(chan error, 1)
	go func() { _, _, err := passTo(t, f, silent); ended <- err }()
	rafttest.Eventually(t, within, "it is passed on", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.busy) == 1
	})
	f.close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	if _, _, err := passTo(t, f, silent); !errors.Is(err, errForwarderClosed) {
		t.Errorf("after the end: %v", err)
	}
	if len(f.idle)+len(f.busy) > 0 {
		t.Error("connections are kept")
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
