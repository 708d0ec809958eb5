package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// ask sends the head of a request and what there is of its body over a connection
// of its own.
func (n *testNode) ask(t *testing.T, head, body string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", n.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "%s\r\nHost: playhead\r\n\r\n%s", head, body); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestBodiesOverCapacity: memory is bounded by what bodies say that they take, or
// may take, before any of it is read.
func TestBodiesOverCapacity(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	const left = 1000
	if !n.bodies.TryAcquire(maxBodiesBytes - left) {
		t.Fatal("bytes are taken, and nobody asks")
	}
	small, large := `[{}]`, `[`+strings.Repeat(" ", left)+`{}]`
	refused := func(what string, a answer) {
		t.Helper()
		a.wantProblem(t, http.StatusTooManyRequests, "")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", what)
		}
	}
	refused("large", n.send(t, http.MethodPost, "/v1/events", large))
	refused("large start", n.send(t, http.MethodPost, sessionsPath(42), large))
	refused("large put", n.send(t, http.MethodPut, "/v1/accounts/42", large))
	refused("of unknown length", n.send(t, http.MethodPost, "/v1/events", io.MultiReader(strings.NewReader(small))))

	// Refused before its body came.
	conn := n.ask(t, fmt.Sprintf("POST /v1/events HTTP/1.1\r\nContent-Length: %d", maxBodyBytes), "")
	if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 429 ") {
		t.Errorf("a head alone is answered %q, %v", line, err)
	}
	if told := n.get(t, "/metrics"); !strings.Contains(string(told.body), `playhead_http_refused_total{reason="bodies"} 5`) {
		t.Error("the refusals are not counted")
	}
	// What is small, has no body, or is too large whatever the load, is answered.
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", small), "rejected")
	n.get(t, sessionsPath(42)).want(t, http.StatusOK)
	n.send(t, http.MethodPost, "/v1/events", bytes.Repeat([]byte(" "), maxBodyBytes+1)).wantProblem(t, http.StatusRequestEntityTooLarge, "")

	n.bodies.Release(maxBodiesBytes - left)
	wantOutcomes(t, n.send(t, http.MethodPost, "/v1/events", large), "rejected")
	n.send(t, http.MethodPost, "/v1/events", "[").wantProblem(t, http.StatusBadRequest, "")
	rafttest.Eventually(t, "what was taken is given back", func() bool {
		if !n.bodies.TryAcquire(maxBodiesBytes) {
			return false
		}
		n.bodies.Release(maxBodiesBytes)
		return true
	})
}

// TestDenialsFreeTheirBuffers is not parallel: it counts the buffers of all nodes.
func TestDenialsFreeTheirBuffers(t *testing.T) {
	n := startSingle(t)
	n.setLimit(t, 42, 1)
	n.start(t, newEvent(1, 0, "start")).want(t, http.StatusCreated)
	var made atomic.Int64
	fresh := scratches.New
	scratches.New = func() any { made.Add(1); return fresh() }
	defer func() { scratches.New = fresh }()
	const denials = 200
	for range denials {
		n.start(t, newEvent(2, 0, "start")).wantProblem(t, http.StatusConflict, "")
		n.send(t, http.MethodPost, sessionsPath(42), "{").wantProblem(t, http.StatusBadRequest, "")
	}
	// The pool loses some, and under the race detector a quarter on purpose.
	if made.Load() > denials {
		t.Errorf("%d buffers for %d requests, one after another", made.Load(), 2*denials)
	}
	n.crash(t) // before New is set back
}
