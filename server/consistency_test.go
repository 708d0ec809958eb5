package server

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playhead-load/playhead/http1"
	"github.com/playhead-load/playhead/raft"
)

func formatIndex(index uint64) string { return strconv.FormatUint(index, 10) }

// readPaths is every read of account 42, profile 1.
func readPaths(title, session int) []string {
	p := profilePath(42, 1)
	return []string{
		sessionsPath(42), sessionsPath(42) + "/" + sessionID(session), fmt.Sprintf("%s/positions/%d", p, title),
		fmt.Sprintf("%s/positions?title_id=%d,2", p, title), p + "/continue-watching?limit=5", p + "/history?limit=5",
	}
}

func withLevel(path, level string) string {
	if strings.Contains(path, "?") {
		return path + "&consistency=" + level
	}
	return path + "?consistency=" + level
}

// TestReadLevels: on every node and at every level the same answers, with the index
// that they show, and a write is read where its index is asked for.
func TestReadLevels(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	leader := c.leader(t)
	for round := 1; round <= 10; round++ {
		writer := c.nodes[round%3]
		index := writer.tell(t, newEvent(1, round, "keepalive")).index(t)
		for _, n := range c.nodes {
			for _, path := range readPaths(80, 1) {
				want := leader.get(t, path)
				for _, level := range []string{"stale", "leader", "linearizable", ""} {
					a := n.get(t, withLevel(path, level), headerMinIndex, formatIndex(index))
					if a.status != http.StatusOK || string(a.body) != string(want.body) {
						t.Fatalf("round %d, %s, %s: %d %s, want %s", round, n.nodeID, withLevel(path, level), a.status, a.body, want.body)
					}
					if got := a.index(t); got < index {
						t.Fatalf("round %d, %s: index %d, want at least %d", round, n.nodeID, got, index)
					}
				}
			}
			// Without an index to wait for, leader and linearizable see it all the same.
			for _, level := range []string{"leader", "linearizable", ""} {
				s := n.get(t, withLevel(sessionsPath(42)+"/"+sessionID(1), level)).want(t, http.StatusOK)
				if number(t, s, "last_seq") != int64(round) {
					t.Fatalf("round %d, %s, level %q: seq %v", round, n.nodeID, level, s["last_seq"])
				}
			}
		}
	}
}

// TestFollowerBehind: what a follower has not applied yet keeps no reader waiting
// whom the leader answers.
func TestFollowerBehind(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	behind := c.followers(t)[0]
	behind.views.mu.RLock() // it applies nothing
	index := c.leader(t).tell(t, newEvent(1, 1, "start")).index(t)
	for _, level := range []string{"", "leader", "linearizable"} {
		a := behind.get(t, withLevel(sessionsPath(42), level), headerMinIndex, formatIndex(index))
		if a.want(t, http.StatusOK); a.index(t) < index {
			t.Errorf("level %q: index %d, want %d", level, a.index(t), index)
		}
	}
	behind.get(t, sessionsPath(42)+"?consistency=stale", headerMinIndex, formatIndex(index)).wantProblem(t, http.StatusServiceUnavailable, "")
	behind.get(t, sessionsPath(42), headerMinIndex, "x").wantProblem(t, http.StatusBadRequest, headerMinIndex)
	behind.views.mu.RUnlock()
	behind.get(t, sessionsPath(42)+"?consistency=stale", headerMinIndex, formatIndex(index)).want(t, http.StatusOK)
}

// TestMinIndexBeyondTheEnd: what nobody wrote is waited for no longer than a
// request may take.
func TestMinIndexBeyondTheEnd(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, n := range c.nodes {
		for _, level := range []string{"stale", "leader"} {
			asking.Go(func() {
				asked := time.Now()
				a, err := n.trySend(http.MethodGet, withLevel(sessionsPath(42), level), nil, headerMinIndex, "1000000000")
				if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Retry-After") == "" {
					t.Errorf("%s, %s: %v, %d %s, retry after %q", n.nodeID, level, err, a.status, a.body, a.header.Get("Retry-After"))
				}
				if took := time.Since(asked); took > 2*requestTimeout {
					t.Errorf("%s, %s: answered after %v", n.nodeID, level, took)
				}
			})
		}
	}
}

// TestForwarding: a follower's answers are the leader's, status, headers and body.
func TestForwarding(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	follower, leader := c.followers(t)[0], c.leader(t)
	for name, ask := range map[string]func(n *testNode, account int) answer{
		"put": func(n *testNode, a int) answer {
			return n.send(t, "PUT", fmt.Sprintf("/v1/accounts/%d", a), `{"max_streams":7}`)
		},
		"put bad": func(n *testNode, a int) answer {
			return n.send(t, "PUT", fmt.Sprintf("/v1/accounts/%d", a), `{"max_streams":0}`)
		},
		"put unknown": func(n *testNode, a int) answer { return n.send(t, "PUT", fmt.Sprintf("/v1/accounts/%d", a), `{"x":0}`) },
		"events": func(n *testNode, a int) answer {
			return n.send(t, "POST", "/v1/events", []event{newEvent(1, 1, "start").with("account_id", a), {}})
		},
		"lines": func(n *testNode, a int) answer {
			return n.send(t, "POST", "/v1/events", lines(t, []any{newEvent(1, 1, "start").with("account_id", a), 1}), "Content-Type", ndjson)
		},
		"chunks": func(n *testNode, _ int) answer {
			return n.send(t, "POST", "/v1/events", io.MultiReader(strings.NewReader("[{}]")))
		},
		"malformed": func(n *testNode, _ int) answer { return n.send(t, "POST", "/v1/events", "[{]") },
		"empty":     func(n *testNode, _ int) answer { return n.send(t, "POST", "/v1/events", "[]") },
		"wrong path": func(n *testNode, a int) answer {
			return n.send(t, "POST", sessionsPath(a), newEvent(1, 0, "start").with("account_id", 1))
		},
		"wrong type": func(n *testNode, a int) answer {
			return n.send(t, "POST", sessionsPath(a), newEvent(1, 0, "stop").with("account_id", a))
		},
		"unknown": func(n *testNode, a int) answer { return n.get(t, sessionsPath(a)+"/"+sessionID(5)) },
		"list":    func(n *testNode, a int) answer { return n.get(t, profilePath(a, 1)+"/history?limit=3") },
		"linearizable": func(n *testNode, a int) answer {
			return n.get(t, profilePath(a, 1)+"/history?limit=3&consistency=linearizable")
		},
		"hide": func(n *testNode, a int) answer { return n.send(t, "DELETE", profilePath(a, 1)+"/history/80", nil) },
	} {
		// Two accounts, so that the second is not told what the first did.
		direct, forwarded := ask(leader, 777777), ask(follower, 888888)
		if direct.status != forwarded.status || strings.ReplaceAll(string(direct.body), "777777", "888888") != string(forwarded.body) {
			t.Errorf("%s: the leader says %d %s, the follower %d %s", name, direct.status, direct.body, forwarded.status, forwarded.body)
		}
		for _, header := range []string{"Content-Type", "Retry-After"} {
			if direct.header.Get(header) != forwarded.header.Get(header) {
				t.Errorf("%s: %s is %q at the leader, %q at the follower", name, header, direct.header.Get(header), forwarded.header.Get(header))
			}
		}
		if (direct.header.Get(headerIndex) == "") != (forwarded.header.Get(headerIndex) == "") {
			t.Errorf("%s: %s at one of them alone", name, headerIndex)
		}
	}
	// Admission too: created, the same again on the other node, and denied.
	follower.setLimit(t, 42, 1)
	created := follower.start(t, newEvent(1, 0, "start"))
	created.want(t, http.StatusCreated)
	if again := leader.start(t, newEvent(1, 0, "start")); again.status != http.StatusOK || string(again.body) != string(created.body) {
		t.Errorf("created %s, again %d %s", created.body, again.status, again.body)
	}
	p := follower.start(t, newEvent(2, 0, "start"))
	p.index(t)
	if denied := p.wantProblem(t, http.StatusConflict, ""); denied["type"] != "too-many-streams" || len(list(t, denied, "active")) != 1 {
		t.Errorf("denied with %s", p.body)
	}
	// A request that was passed on once is not passed on again.
	conn, err := leader.node.DialPeer(t.Context(), raft.Peer{NodeID: follower.nodeID, RaftAddress: follower.cfg.Raft.RaftAddress})
	if err != nil {
		t.Fatal(err)
	}
	link := http1.NewConn(conn, 0)
	defer link.Close()
	request := http1.AppendBody(http1.AppendHead(nil, "POST", "/v1/events", "n9"), []byte("[]"))
	if again, err := link.Do(request, time.Now().Add(within)); err != nil || again.Status != http.StatusServiceUnavailable {
		t.Errorf("passed on to a follower: %+v, %v", again, err)
	}
}
