package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
)

// TestLeaderCloses: another leads, what was acknowledged is there, and writes go on.
func TestLeaderCloses(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for round := 1; round <= 2; round++ { // with two of three nodes, then again after the first is back
		old := c.leader(t)
		written := old.tell(t, newEvent(round, 1, "start").with("offline", true)).index(t)
		old.shutDown(t)
		for i, n := range c.running() {
			a := eventuallyTold(t, n, newEvent(round, 10+i, "keepalive").with("offline", true))
			if a.index(t) <= written {
				t.Errorf("index %d after %d", a.index(t), written)
			}
			s := n.get(t, sessionsPath(42)+"/"+sessionID(round), headerMinIndex, formatIndex(written)).want(t, http.StatusOK)
			if number(t, s, "events") != int64(2+i) {
				t.Errorf("round %d: %s has %v events, want %d", round, n.nodeID, s["events"], 2+i)
			}
		}
		at := slices.Index(c.nodes, old)
		c.nodes[at] = startNode(t, old.cfg)
		c.nodes[at].waitReady(t)
		s := c.nodes[at].get(t, sessionsPath(42)+"/"+sessionID(round)+"?consistency=linearizable").want(t, http.StatusOK)
		if number(t, s, "events") != 3 {
			t.Errorf("round %d: back again, %s has %v events", round, old.nodeID, s["events"])
		}
	}
}

// TestNoQuorum: with two of three nodes gone every write and every read but a
// stale one is refused with Retry-After; with one of them back it is as it was.
func TestNoQuorum(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.leader(t).setLimit(t, 42, 1)
	index := c.leader(t).tell(t, newEvent(1, 1, "start")).index(t)
	left := c.leader(t)
	gone := c.followers(t)
	left.get(t, sessionsPath(42), headerMinIndex, formatIndex(index)).want(t, http.StatusOK)
	for _, n := range gone {
		n.crash(t)
	}
	rafttest.Eventually(t, "the leader notices", func() bool { return !left.node.IsLeader() })
	before := left.get(t, sessionsPath(42)+"?consistency=stale")
	var asking sync.WaitGroup // at once, because each waits for an election
	for _, r := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPut, "/v1/accounts/42", `{"max_streams":9}`},
		{http.MethodPost, "/v1/events", []event{newEvent(1, 2, "stop")}},
		{http.MethodPost, sessionsPath(42), newEvent(2, 0, "start")},
		{http.MethodDelete, profilePath(42, 1) + "/history/80", nil},
		{http.MethodGet, sessionsPath(42), nil},
		{http.MethodGet, sessionsPath(42) + "?consistency=linearizable", nil},
		{http.MethodGet, "/readyz", nil},
		{http.MethodDelete, "/v1/cluster/members/" + gone[0].nodeID, nil},
		{http.MethodPost, "/v1/cluster/leadership", nil},
	} {
		asking.Go(func() {
			a, err := left.trySend(r.method, r.path, r.body)
			if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Retry-After") == "" {
				t.Errorf("%s %s: %v, %d %v %s", r.method, r.path, err, a.status, a.header, a.body)
			}
		})
	}
	asking.Wait()
	before.want(t, http.StatusOK)
	left.get(t, "/healthz")
	if body := left.get(t, "/v1/cluster").want(t, http.StatusOK); body["leader_id"] != "" || body["role"] == "leader" {
		t.Errorf("without a quorum: %v", body)
	}
	at := slices.Index(c.nodes, gone[0])
	c.nodes[at] = startNode(t, gone[0].cfg)
	left.waitReady(t)
	// Nothing of what was refused was done.
	after := left.get(t, sessionsPath(42))
	if string(after.body) != string(before.body) {
		t.Errorf("before %s, after %s", before.body, after.body)
	}
	wantTitles(t, left.get(t, profilePath(42, 1)+"/history"), 80)
	eventuallyTold(t, left, newEvent(1, 2, "stop"))
	s := c.leader(t).get(t, sessionsPath(42)+"/"+sessionID(1)).want(t, http.StatusOK)
	if s["state"] != "stopped" || number(t, s, "events") != 2 {
		t.Errorf("session: %v", s)
	}
}

// TestLeaderFallsDuringWrites: what is answered 200 while the leader dies is kept,
// what is answered otherwise is 503, and repeating it does no harm.
func TestLeaderFallsDuringWrites(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	victim, writer := c.leader(t), c.followers(t)[0]
	const events = 60
	told := make(chan error, 1)
	go func() {
		told <- func() error {
			for seq := 1; seq <= events; seq++ {
				for deadline := time.Now().Add(within); ; {
					a, err := writer.trySend(http.MethodPost, "/v1/events", []event{newEvent(1, seq, "keepalive").with("offline", true)})
					if err != nil {
						return err
					}
					if a.status == http.StatusOK {
						break
					}
					if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || time.Now().After(deadline) {
						return fmt.Errorf("seq %d: %d %s", seq, a.status, a.body)
					}
				}
			}
			return nil
		}()
	}()
	rafttest.Eventually(t, "some are written", func() bool {
		a := writer.get(t, sessionsPath(42)+"/"+sessionID(1)+"?consistency=stale")
		return a.status == http.StatusOK && number(t, a.want(t, http.StatusOK), "last_seq") >= 10
	})
	victim.crash(t)
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	for _, n := range c.running() {
		s := n.get(t, sessionsPath(42)+"/"+sessionID(1)+"?consistency=linearizable").want(t, http.StatusOK)
		if number(t, s, "events") != events || number(t, s, "last_seq") != events {
			t.Errorf("%s: %v of %d events", n.nodeID, s["events"], events)
		}
	}
}

// TestCloseFreesThePort: also of a node that never served.
func TestCloseFreesThePort(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t.TempDir())
	cfg.HTTPAddress = rafttest.FreeAddresses(t, 1)[0]
	for range 2 {
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		if err := s.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		cancel()
	}
	n := startNode(t, cfg)
	n.waitReady(t)
	if _, err := Open(cfg); err == nil {
		t.Error("two nodes on one address")
	}
	n.waitReady(t)
}

func TestConfigRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"keepalive": func(c *Config) { c.Keepalive = 0 },
		"lease":     func(c *Config) { c.Lease = c.Keepalive },
		"streams":   func(c *Config) { c.DefaultStreams = 0 },
		"many":      func(c *Config) { c.DefaultStreams = 1001 },
		"address":   func(c *Config) { c.HTTPAddress = "nonsense" },
		"node id":   func(c *Config) { c.Raft.NodeID = "" },
		"data":      func(c *Config) { c.Raft.DataDir = "" },
		"raft":      func(c *Config) { c.Raft.RaftAddress = ":0" },
	} {
		cfg := testConfig(t.TempDir())
		change(&cfg)
		if s, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
			_ = s.Close(t.Context())
		}
	}
}
