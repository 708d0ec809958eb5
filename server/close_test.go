package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// TestCloseCutsWhatDoesNotEnd: a client that never ends its request keeps a node
// neither from closing nor in a handler over a closed node.
func TestCloseCutsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	n := startSingle(t)
	conn := n.ask(t, "POST /v1/events HTTP/1.1\r\nContent-Length: 100", "[")
	rafttest.Eventually(t, "the request is under way", func() bool { return len(n.inFlight) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := n.end(t, ctx); err == nil || !strings.Contains(err.Error(), "1 requests under way were cut") {
		t.Errorf("closed with %v", err)
	}
	if ctx.Err() != nil {
		t.Error("waiting for the request took all the time there was")
	}
	if _, err := io.ReadAll(conn); os.IsTimeout(err) {
		t.Error("the connection is still open")
	}
	rafttest.Eventually(t, "the handler ends", func() bool { return len(n.inFlight) < cap(n.inFlight) })
}

// TestCloseAnswersWhatIsUnderWay: a write that is under way on the leader when it
// is closed is answered, a connection that never asked holds nothing up, and
// another leads.
func TestCloseAnswersWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	old := c.leader(t)
	silent, err := net.Dial("tcp", old.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	body, err := json.Marshal([]event{newEvent(1, 1, "start")})
	if err != nil {
		t.Fatal(err)
	}
	writing := old.ask(t, fmt.Sprintf("POST /v1/events HTTP/1.1\r\nContent-Length: %d", len(body)), string(body[:9]))
	rafttest.Eventually(t, "the write is under way", func() bool { return len(old.inFlight) > 0 })
	closed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	go func() { closed <- old.Close(ctx) }()
	rafttest.Eventually(t, "nothing new is accepted", func() bool {
		conn, err := net.Dial("tcp", old.HTTPAddress())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if !old.node.IsLeader() {
		t.Error("leadership was handed over before the write was answered")
	}
	if _, err := writing.Write(body[9:]); err != nil {
		t.Error(err)
	}
	if line, err := bufio.NewReader(writing).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		t.Errorf("the write under way is answered %q, %v", line, err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-old.served; err != nil {
		t.Errorf("serve: %v", err)
	}
	old.served = nil
	eventuallyTold(t, c.leader(t), newEvent(1, 2, "keepalive"))
}

// TestSnapshotOutlastsTheTimeouts: the time a snapshot may take is its own.
func TestSnapshotOutlastsTheTimeouts(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	cfg := testConfig(t.TempDir())
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.http.ReadTimeout, s.http.WriteTimeout = timeout, timeout
	n := serveNode(t, s, cfg)
	n.waitReady(t)
	n.tell(t, newEvent(1, 1, "start"))
	n.views.mu.Lock() // the state cannot be copied yet
	time.AfterFunc(3*timeout, n.views.mu.Unlock)
	if a := n.send(t, http.MethodPost, "/v1/cluster/snapshot", nil); a.status != http.StatusNoContent {
		t.Errorf("%d %s", a.status, a.body)
	}
}
