package server

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/playhead-load/playhead/raft/rafttest"
)

const (
	oldSessions = 24 // of profile 1 of account 42, a title each
	keptByThird = 3  // views that the third node keeps in memory
)

// hiddenOf are the titles that tellOldStory hides.
var hiddenOf = []int{7, 8, oldSessions}

// tellOldStory tells sessions that are over, hides some, and returns the last index.
func (n *testNode) tellOldStory(t *testing.T) (index uint64) {
	t.Helper()
	n.setLimit(t, 42, 2)
	for i := 1; i <= oldSessions; i++ {
		n.tell(t, played(i, i, 1000*i)...)
	}
	for _, title := range hiddenOf {
		a := n.send(t, http.MethodDelete, fmt.Sprintf("%s/history/%d", profilePath(42, 1), title), nil)
		if index = a.index(t); a.status != http.StatusNoContent {
			t.Fatalf("hide %d: %d %s", title, a.status, a.body)
		}
	}
	return index
}

// goOn moves the clock of the log with another account's events until ok says so.
func (c *testCluster) goOn(t *testing.T, what string, ok func() bool) (index uint64) {
	t.Helper()
	seq := int(time.Now().UnixMilli() % 1_000_000_000) // greater with each call
	rafttest.Eventually(t, what, func() bool {
		seq++
		index = c.leader(t).tell(t, newEvent(900, seq, "keepalive").with("account_id", 99, "position_ms", 0, "played_ms", 0, "at", momentText(0))).index(t)
		return ok()
	})
	return index
}

// wantSame checks that every node tells the same, at every level, and has the same digest.
func (c *testCluster) wantSame(t *testing.T, index uint64) {
	t.Helper()
	p := profilePath(42, 1)
	paths := []string{p + "/history?limit=100", p + "/history?limit=5", p + "/continue-watching?limit=100", sessionsPath(42), profilePath(42, 2) + "/history"}
	for i := 1; i <= oldSessions; i++ {
		paths = append(paths, sessionsPath(42)+"/"+sessionID(i), fmt.Sprintf("%s/positions/%d", p, i))
	}
	leader := c.leader(t)
	for _, n := range c.running() {
		for _, path := range paths {
			want := leader.get(t, path)
			for _, level := range []string{"stale", "leader", "linearizable"} {
				if got := n.get(t, withLevel(path, level), headerMinIndex, formatIndex(index)); got.status != http.StatusOK || string(got.body) != string(want.body) {
					t.Fatalf("%s, %s: %d\n%s, want\n%s", n.nodeID, withLevel(path, level), got.status, got.body, want.body)
				}
			}
		}
		if n.digest() != leader.digest() {
			t.Fatalf("%s and %s have come apart", n.nodeID, leader.nodeID)
		}
	}
}

// pagesOf walks through the history of profile 1, a page at each node in turn, and lists
// the titles. between is called after each page.
func (c *testCluster) pagesOf(t *testing.T, limit int, between func(page int) (index uint64)) (titles []int) {
	t.Helper()
	cursor, index := "", uint64(0)
	for page := 1; ; page++ {
		n := c.running()[page%len(c.running())]
		path := fmt.Sprintf("%s/history?limit=%d&cursor=%s&consistency=stale", profilePath(42, 1), limit, url.QueryEscape(cursor))
		body := n.get(t, path, headerMinIndex, formatIndex(index)).want(t, http.StatusOK)
		for _, title := range titlesOf(t, body) {
			titles = append(titles, int(title))
		}
		next, more := body["next_cursor"].(string)
		if !more {
			return titles
		}
		cursor, index = next, between(page)
	}
}

// shownOf are the titles of tellOldStory that are not hidden, the newest first.
func shownOf() (titles []int) {
	for i := oldSessions; i > 0; i-- {
		if !slices.Contains(hiddenOf, i) {
			titles = append(titles, i)
		}
	}
	return titles
}

// TestNodesForgetApart: one node keeps all in memory, one nothing, one the newest three
// views; their answers and digests are the same, before and after events of sessions that
// left, and after the sessions left again. Pages of history go on through another leader,
// through memory and disk, and every archive rebuilds the state.
func TestNodesForgetApart(t *testing.T) {
	t.Parallel()
	c := startCluster(t, func(c *Config) {
		switch c.Raft.NodeID {
		case "n2":
			c.SessionMemory = 200 * time.Millisecond
		case "n3":
			c.SessionMemory, c.HistoryMemory = time.Second, keptByThird
		}
	})
	cold := func(node int) int { return c.nodes[node].views.size().Cold }
	c.leader(t).tellOldStory(t)
	index := c.goOn(t, "sessions leave two nodes", func() bool { return cold(1) == oldSessions && cold(2) == oldSessions-keptByThird })
	if cold(0) != 0 {
		t.Fatalf("%d sessions left the node that keeps all", cold(0))
	}
	c.wantSame(t, index)

	late := func(session, seq int) event {
		return played(session, session, 1)[1].with("seq", seq, "type", "telemetry")
	}
	titles := c.pagesOf(t, 4, func(page int) uint64 {
		if page == 2 {
			leader := c.leader(t)
			leader.send(t, http.MethodPost, "/v1/cluster/leadership", nil).want(t, http.StatusOK)
			rafttest.Eventually(t, "another leads", func() bool { return !leader.node.IsLeader() && c.leader(t) != leader })
		}
		// One of a page before and one of a page to come are in memory again.
		return c.leader(t).tell(t, late(oldSessions-2*page, 10), late(page, 10)).index(t)
	})
	if want := shownOf(); !slices.Equal(titles, want) {
		t.Errorf("pages of history\n%v, want\n%v", titles, want)
	}
	leader := c.leader(t)
	wantOutcomes(t, leader.send(t, http.MethodPost, "/v1/events", []event{late(17, 1), late(17, 7), late(17, 7), late(17, 5)}),
		"duplicate", "accepted", "duplicate", "accepted")
	s := leader.get(t, sessionsPath(42)+"/"+sessionID(17)).want(t, http.StatusOK)
	if events, last := number(t, s, "events"), number(t, s, "last_seq"); events != 4 || last != 7 {
		t.Errorf("%d events, the newest %d, want 4 and 7: %v", events, last, s)
	}
	again := played(19, 19, 1)[0].with("offline", nil)
	a := leader.start(t, again)
	a.want(t, http.StatusOK) // as one that was admitted, or is over
	wantOutcomes(t, leader.send(t, http.MethodPost, "/v1/events", []event{again}), "duplicate")
	c.wantSame(t, a.index(t))
	if back := c.nodes[1].views.size().Revived; back == 0 {
		t.Error("nothing came back on the node that keeps nothing")
	}
	c.wantSame(t, c.goOn(t, "they leave again", func() bool { return cold(1) >= oldSessions-1 }))

	state := leader.digest()
	for _, n := range c.nodes {
		n.shutDown(t)
		wantProven(t, n.cfg.Raft.DataDir, state, 1)
	}
}

// TestWipedNodeIsSentWhatLeftMemory: a node that lost its disk is sent a snapshot with
// the sessions that left memory, before and after an earlier one; it keeps all from then
// on itself, so that what it has on the disk was sent.
func TestWipedNodeIsSentWhatLeftMemory(t *testing.T) {
	t.Parallel()
	c := startCluster(t, func(c *Config) { c.SessionMemory, c.Raft.TrailingLogs = 200*time.Millisecond, 1 })
	leader := c.leader(t)
	leader.tellOldStory(t)
	all := func(sessions int) func() bool {
		return func() bool { return leader.views.size().Cold == sessions }
	}
	c.goOn(t, "sessions leave", all(oldSessions))
	snapshotNow(t)(leader)
	leader.tell(t, played(50, 50, 1)...)
	c.goOn(t, "another leaves", all(oldSessions+1))

	wiped := c.followers(t)[0]
	leader.send(t, http.MethodDelete, "/v1/cluster/members/"+wiped.nodeID, nil).want(t, http.StatusOK)
	wiped.crash(t)
	cfg := wiped.cfg
	if err := os.RemoveAll(cfg.Raft.DataDir); err != nil {
		t.Fatal(err)
	}
	snapshotNow(t)(leader)
	index := leader.tell(t, newEvent(900, 1_000_000_001, "keepalive").with("account_id", 99, "at", momentText(0), "position_ms", 0, "played_ms", 0)).index(t)
	cfg.SessionMemory, cfg.Raft.BootstrapExpect, cfg.Raft.Join = 0, 0, nil
	back := startNode(t, cfg)
	c.nodes[slices.Index(c.nodes, wiped)] = back
	leader.send(t, http.MethodPost, "/v1/cluster/members", map[string]any{
		"node_id": back.nodeID, "raft_address": cfg.Raft.RaftAddress, "voter": true,
	}).want(t, http.StatusOK)
	back.waitReady(t)
	c.wantSame(t, index)
	if got := back.views.size().Cold; got != oldSessions+1 {
		t.Errorf("it was sent %d sessions that left memory, want %d", got, oldSessions+1)
	}
	if titles := c.pagesOf(t, 4, func(int) uint64 { return index }); !slices.Equal(titles, append([]int{50}, shownOf()...)) {
		t.Errorf("pages of history: %v", titles)
	}
	back.crash(t) // and has it on its own disk from then on
	back = startNode(t, cfg)
	c.nodes[slices.Index(c.nodes, c.find(back.nodeID))] = back
	back.waitReady(t)
	c.wantSame(t, index)
}

func (c *testCluster) find(id string) *testNode {
	return c.nodes[slices.IndexFunc(c.nodes, func(n *testNode) bool { return n.nodeID == id })]
}
